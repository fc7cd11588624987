"""What training reads is what people annotated: boxes to 1e-6, pictures to the byte."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from ssd import label_map
from ssd.standard_fields import InputFields
from tfrecord_tools import tf_example
from tfrecord_tools.convert import convert
from tfrecord_tools.record_file import read_records


def converted(kind: str, folder: Path, **arguments) -> dict[str, tuple[dict, bytes]]:
    """Returns name of picture -> (what the training decoder reads, encoded picture)."""
    import tensorflow as tf

    from ssd.data.decoder import Decoder

    convert(kind, output=folder, val_fraction=0.3, say=lambda line: None, **arguments)
    decode = Decoder(label_map.load(folder / "label_map.pbtxt"))
    found = {}
    for shard in folder.glob("*.tfrecord"):
        for record in read_records(shard):
            example = {k: v.numpy() for k, v in decode(tf.constant(record)).items()}
            features = tf_example.parse_features(record)
            found[example[InputFields.filename].decode()] = (example, features["image/encoded"][0])
    return found


@pytest.mark.parametrize("name", ["bccd_voc", "barcodes_1d"])
def test_voc(shared: Path, tmp_path: Path, name: str):
    folder = shared / "data" / name
    images = folder / ("JPEGImages" if name == "bccd_voc" else "images")
    xml = folder / ("Annotations" if name == "bccd_voc" else "annotations_voc_derived")
    found = converted("voc", tmp_path, images=images, annotations=xml)
    names = label_map.load(tmp_path / "label_map.pbtxt").names
    assert len(found) == len(list(xml.glob("*.xml")))
    for filename, (example, encoded) in found.items():
        assert encoded == (images / filename).read_bytes()
        height, width = example[InputFields.original_image_size]
        expected = []
        root = etree.parse(xml / f"{Path(filename).stem}.xml").getroot()
        for element in root.findall("object"):
            corners = [
                float(element.find(f"bndbox/{t}").text) for t in ("ymin", "xmin", "ymax", "xmax")
            ]
            box = np.array(corners) / [height, width, height, width]
            if (box[2:] > box[:2]).all():
                expected.append((element.find("name").text, box))
        classes = example[InputFields.groundtruth_classes]
        assert [names[i - 1] for i in classes] == [class_name for class_name, _ in expected]
        boxes = np.clip([box for _, box in expected], 0, 1).reshape(-1, 4)
        np.testing.assert_allclose(example[InputFields.groundtruth_boxes], boxes, atol=1e-6)


def test_coco(shared: Path, tmp_path: Path):
    folder = shared / "data" / "coco128_train2017"
    file = folder / "annotations" / "instances_train2017.json"
    images = folder / "train2017"
    found = converted("coco", tmp_path, images=images, annotations=file)
    content = json.loads(file.read_text())
    assert len(found) == len(content["images"])
    names = {c["id"]: c["name"] for c in content["categories"]}
    ids = label_map.load(tmp_path / "label_map.pbtxt").id_of
    for image in content["images"]:
        example, encoded = found[image["file_name"]]
        assert encoded == (images / image["file_name"]).read_bytes()
        wanted = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        x, y, width, height = np.array([a["bbox"] for a in wanted]).reshape(-1, 4).T
        sides = [image["height"], image["width"]] * 2
        boxes = np.stack([y, x, y + height, x + width], axis=-1) / sides
        np.testing.assert_allclose(
            example[InputFields.groundtruth_boxes], np.clip(boxes, 0, 1), atol=1e-6
        )
        classes = example[InputFields.groundtruth_classes].tolist()
        assert classes == [ids[names[a["category_id"]]] for a in wanted]
