"""The whole journey on a data set of six pictures, and on real photos."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd import label_map
from ssd.errors import GateError, InputError
from ssd.standard_fields import TfExampleFields as F
from tfrecord_tools import tf_example
from tfrecord_tools.convert import convert
from tfrecord_tools.record_file import read_records


@pytest.fixture
def run(data_set: Path):
    """Converts the six pictures; returns (report, lines said)."""

    def go(**changes):
        said: list[str] = []
        arguments = {
            "kind": "voc",
            "images": data_set / "images",
            "annotations": data_set / "annotations",
            "output": data_set / "out",
            "say": said.append,
        }
        report = convert(**(arguments | changes))
        return report, "\n".join(said)

    return go


def records_in(folder: Path, split: str = "*") -> list[tuple]:
    files = sorted(folder.glob(f"{split}-*.tfrecord"))
    return [tf_example.decode(record) for file in files for record in read_records(file)]


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_output_and_report(data_set: Path, run):
    report, said = run(val_fraction=0.4)
    out = data_set / "out"
    written = json.loads((out / "conversion_report.json").read_text())
    assert written == report.as_json()
    assert written["images"] == 6
    assert written["boxes"] == 7
    assert written["classes"] == {"cat": 3, "cow": 2, "dog": 2}
    assert set(written["splits"]) == {"train", "val"}
    total = dict.fromkeys(written["classes"], 0)
    for name, split in written["splits"].items():
        found = records_in(out, name)
        assert split["images"] == len(found) > 0
        assert split["boxes"] == sum(len(annotation.boxes) for annotation, *_ in found)
        for shard in split["shards"]:
            content = (out / shard["file"]).read_bytes()
            assert shard["bytes"] == len(content)
            assert shard["sha256"] == hashlib.sha256(content).hexdigest()
        for class_name, count in split["classes"].items():
            total[class_name] += count
    assert total == written["classes"]
    map_bytes = (out / "label_map.pbtxt").read_bytes()
    assert written["label_map"]["sha256"] == hashlib.sha256(map_bytes).hexdigest()
    assert label_map.load(out / "label_map.pbtxt").names == ("cat", "cow", "dog")
    assert written["problem_counts"]["no-objects"] == 1
    assert written["problem_counts"]["box-outside"] == 0
    assert [(p["rule"], p["object"], p["fixed"]) for p in written["problems"]] == [
        *[("few-images", None, False)] * 3,
        ("no-objects", None, False),
    ]
    rows = [line.split() for line in said.splitlines()]
    for key in ("images", "boxes"):
        assert [key, *(str(split[key]) for split in written["splits"].values())] in rows
    assert "no-objects 1:" in said
    assert "0 of: unreadable-xml, not-voc" in said
    cats = [str(split["classes"]["cat"]) for split in written["splits"].values()]
    assert ["cat", *cats] in rows


def test_tensorflow_reads_what_the_files_say(data_set: Path, run):
    """Every value through tf.data and parse_single_example, pictures decoded, boxes in pixels."""
    import tensorflow as tf

    run(val_fraction=0.5, shards=2)
    spec = {F.image_encoded: tf.io.FixedLenFeature([], tf.string)}
    spec |= {F.source_id: tf.io.FixedLenFeature([], tf.string)}
    spec |= {key: tf.io.FixedLenFeature([], tf.int64) for key in (F.height, F.width)}
    corners = (F.object_bbox_xmin, F.object_bbox_ymin, F.object_bbox_xmax, F.object_bbox_ymax)
    spec |= {key: tf.io.VarLenFeature(tf.float32) for key in corners}
    spec |= {F.object_class_text: tf.io.VarLenFeature(tf.string)}
    files = sorted(str(path) for path in (data_set / "out").glob("*.tfrecord"))
    found = {}
    for record in tf.data.TFRecordDataset(files):
        parsed = tf.io.parse_single_example(record, spec)
        shape = tf.io.decode_image(parsed[F.image_encoded], channels=3).shape
        assert tuple(shape) == (120, 200, 3) == (parsed[F.height], parsed[F.width], 3)
        boxes = np.stack([parsed[key].values.numpy() for key in corners], axis=-1)
        names = [text.decode() for text in parsed[F.object_class_text].values.numpy()]
        found[parsed[F.source_id].numpy().decode()] = (names, boxes * [200, 120, 200, 120])
        image = (data_set / "images" / parsed[F.source_id].numpy().decode()).read_bytes()
        assert parsed[F.image_encoded].numpy() == image
    assert sorted(found) == [f"p{n}.jpg" for n in range(6)]
    assert found["p1.jpg"][0] == ["dog", "cat"]
    np.testing.assert_allclose(
        found["p1.jpg"][1], [[10, 12, 190, 60], [100, 20, 150, 119]], atol=1e-4
    )
    np.testing.assert_allclose(found["p4.jpg"][1], [[5, 6, 7, 9], [50, 10, 51, 11]], atol=1e-4)
    assert found["p3.jpg"][1].shape == (0, 4)


def test_same_bytes_whatever_the_number_of_workers(data_set: Path, run):
    outputs = []
    for workers in (1, 3):
        run(workers=workers, output=data_set / "same", shards=2)
        outputs.append(digests(data_set / "same"))
    assert outputs[0] == outputs[1]
    run(seed=1, output=data_set / "same", shards=2)
    assert digests(data_set / "same") != outputs[0]


def test_more_shards_than_records(data_set: Path, run):
    run(val_fraction=0.0, shards=50)
    names = [path.name for path in sorted((data_set / "out").glob("*.tfrecord"))]
    assert names == [f"train-{n:05d}-of-00006.tfrecord" for n in range(6)]


@pytest.mark.parametrize(("fraction", "empty"), [(0.0, "val"), (1.0, "train")])
def test_an_empty_split_is_said_and_not_written(data_set: Path, run, fraction, empty: str):
    _, said = run(val_fraction=fraction)
    assert f"the split {empty} is empty: no {empty}-*.tfrecord is written" in said
    assert not list((data_set / "out").glob(f"{empty}*"))


def test_a_second_conversion_replaces_the_first(data_set: Path, run):
    run(shards=3)
    (data_set / "out" / "mine.txt").write_text("stays")
    run(shards=1, val_fraction=0.0)
    assert sorted(path.name for path in (data_set / "out").iterdir()) == [
        "conversion_report.json",
        "label_map.pbtxt",
        "mine.txt",
        "train-00000-of-00001.tfrecord",
    ]


def test_given_label_map(data_set: Path, run):
    given = data_set / "given.pbtxt"
    given.write_text(
        'item { id: 9 name: "dog" }\nitem { id: 2 name: "/m/cat" display_name: "cat" }\n'
        'item { id: 4 name: "cow" }\nitem { id: 5 name: "emu" }\n'
    )
    report, _ = run(label_map=given)
    written = report.as_json()
    assert written["classes"] == {"/m/cat": 3, "cow": 2, "emu": 0, "dog": 2}
    assert [p["detail"] for p in written["problems"] if p["rule"] == "class-without-boxes"] == [
        "no box of 'emu' in any split"
    ]
    ids = {}
    for annotation, _, _, class_ids in records_in(data_set / "out"):
        ids.update(zip(annotation.class_names, class_ids, strict=True))
    assert ids == {"dog": 9, "/m/cat": 2, "cow": 4}
    assert label_map.load(data_set / "out" / "label_map.pbtxt") == label_map.load(given)


def test_a_label_map_that_lies_in_the_output_is_kept(data_set: Path, run):
    (data_set / "out").mkdir()
    given = data_set / "out" / "label_map.pbtxt"
    text = "# mine\n" + "".join(
        f'item {{ id: {i} name: "{n}" }}\n' for i, n in enumerate(("dog", "cow", "cat"), 1)
    )
    given.write_text(text)
    with pytest.raises(InputError, match=r"has label_map\.pbtxt but no conversion_report\.json"):
        run()
    run(label_map=given)
    run(label_map=given)
    assert given.read_text() == text


def test_a_class_that_the_label_map_lacks(data_set: Path, run):
    label_map.save(label_map.from_names(["Cat", "dog", "cow"]), data_set / "given.pbtxt")
    message = (
        r"p0\.xml: object 1: unknown-class 'cat': not among the 3 of .*given\.pbtxt; "
        r"did you mean 'Cat'\?"
    )
    with pytest.raises(InputError, match=message):
        run(label_map=data_set / "given.pbtxt")
    assert not (data_set / "out").exists()


@pytest.fixture
def broken_set(data_set: Path, write_voc, write_image) -> Path:
    """The six pictures and one of every common fault."""
    images, xml = data_set / "images", data_set / "annotations"
    write_voc(xml / "gone.xml", [("cat", 1, 2, 3, 4)])
    (xml / "bad.xml").write_text("<annotation>")
    (xml / "cvat.xml").write_text("<annotations/>")
    cut = write_image(images / "cut.jpg")
    cut.write_bytes(cut.read_bytes()[:-50])
    write_voc(xml / "cut.xml", [("cat", 1, 2, 30, 40)])
    write_image(images / "alpha.png", mode="RGBA")
    write_voc(xml / "alpha.xml", [("Cat", 150, 2, 230, 40), ("cow", 9, 9, 9, 9)], "alpha.png")
    write_image(images / "turned.jpg", (90, 60))
    write_voc(xml / "turned.xml", [("dog", 80, 50, 10, 20), ("dog", 10, 20, 80, 50)])
    write_image(images / "alone.jpg")
    return data_set


COUNTS = {
    "unreadable-xml": 1,
    "not-voc": 1,
    "image-missing": 1,
    "image-unreadable": 1,
    "size-mismatch": 1,
    "box-inverted": 1,
    "box-outside": 1,
    "box-zero-area": 1,
    "duplicate-box": 1,
    "image-reencoded": 1,
    "similar-classes": 1,
    "no-objects": 1,
    "annotation-missing": 1,
}


def test_a_broken_data_set_is_mended_and_every_step_is_said(broken_set: Path, run):
    report, said = run(val_fraction=0.0)
    counts = report.log.counts()
    assert counts.pop("few-images") == 4
    assert {rule: count for rule, count in counts.items() if count} == COUNTS
    assert report.images == 8
    for rule in COUNTS:
        assert f"  {rule} 1: " in said
    for problem in (p for p in report.log.problems if p.rule != "few-images"):
        assert str(problem) in said
    found = {
        a.source_id: (a, image_format) for a, _, image_format, _ in records_in(broken_set / "out")
    }
    assert found["alpha.png"][0].boxes.shape == (1, 4)
    # xmax 230 of 200 is clipped to 1.
    assert found["alpha.png"][0].boxes[0, 3] == 1.0
    turned = found["turned.jpg"][0]
    assert turned.image_size == (60, 90)
    np.testing.assert_allclose(turned.boxes, [[20 / 60, 10 / 90, 50 / 60, 80 / 90]], rtol=1e-6)


def test_strict_refuses_it_and_writes_nothing(broken_set: Path, run):
    message = r"--strict: 10 problems, so nothing was written; the first: .*\(box-inverted\)"
    with pytest.raises(GateError, match=message):
        run(strict=True)
    assert not (broken_set / "out").exists()


def test_strict_passes_a_sound_set_with_notes(data_set: Path, run):
    report, _ = run(strict=True)
    assert report.log.counts()["no-objects"] == 1


def test_a_data_set_without_one_usable_image(tmp_path: Path, write_image, write_voc):
    write_image(tmp_path / "images" / "a.jpg")
    write_voc(tmp_path / "xml" / "b.xml", [("cat", 1, 2, 3, 4)])
    arguments = {"images": tmp_path / "images", "annotations": tmp_path / "xml"}
    message = (
        r"xml: not one usable image \(1 image-missing, 1 annotation-missing\); the first: "
        r".*b\.xml: no b\.jpg or b\.\* below"
    )
    with pytest.raises(InputError, match=message):
        convert("voc", output=tmp_path / "out", say=lambda line: None, **arguments)
    (tmp_path / "images" / "b.jpg").write_bytes(b"not a picture")
    message = r"not one usable image \(1 image-unreadable.*first: .*b\.jpg: no picture of a known"
    with pytest.raises(InputError, match=message):
        convert("voc", output=tmp_path / "out", say=lambda line: None, **arguments)
    write_image(tmp_path / "images" / "b.jpg")
    write_voc(tmp_path / "xml" / "b.xml", [])
    with pytest.raises(InputError, match="xml: no box, so no class"):
        convert("voc", output=tmp_path / "out", say=lambda line: None, **arguments)
    write_voc(tmp_path / "xml" / "b.xml", [("cat", 5, 5, 5, 5)])
    with pytest.raises(InputError, match="no usable box in 1 images; nothing to learn"):
        convert("voc", output=tmp_path / "out", say=lambda line: None, **arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_fraction": 1.5}, r"--val-fraction is 1\.5; expected a number from 0 to 1"),
        ({"val_fraction": float("nan")}, "--val-fraction is nan"),
        ({"shards": 0}, "--shards is 0; expected 1 or more"),
        ({"workers": -1}, "--workers is -1; expected 1 or more"),
        ({"images": "nowhere"}, "nowhere: no such folder; --images takes"),
        ({"label_map": "nowhere.pbtxt"}, "nowhere.pbtxt"),
    ],
)
def test_arguments_that_are_refused(run, changes, message: str):
    with pytest.raises(InputError, match=message):
        run(**changes)


def test_pictures_and_annotations_are_only_read(broken_set: Path, run):
    def snapshot():
        folders = (broken_set / "images", broken_set / "annotations")
        return {p: (p.stat().st_mtime_ns, p.read_bytes()) for f in folders for p in f.iterdir()}

    before = snapshot()
    run()
    assert snapshot() == before


def test_coco_gives_the_same_boxes_as_voc(data_set: Path, run):
    run(val_fraction=0.0)
    by_voc = {a.filename: a for a, *_ in records_in(data_set / "out")}
    names = ["cat", "cow", "dog"]
    content = {
        "images": [{"id": 70 + n, "file_name": f"p{n}.jpg"} for n in range(6)],
        "annotations": [],
        "categories": [{"id": 3 * i, "name": name} for i, name in enumerate(names)],
    }
    for n in range(6):
        annotation = by_voc[f"p{n}.jpg"]
        for (y0, x0, y1, x1), name in zip(
            annotation.boxes.tolist(), annotation.class_names, strict=True
        ):
            bbox = [x0 * 200, y0 * 120, (x1 - x0) * 200, (y1 - y0) * 120]
            content["annotations"].append(
                {"image_id": 70 + n, "category_id": 3 * names.index(name), "bbox": bbox}
            )
    file = data_set / "coco.json"
    file.write_text(json.dumps(content))
    report, _ = run(kind="coco", annotations=file, output=data_set / "coco", val_fraction=0.0)
    assert report.as_json()["source_category_ids"] == {"cat": 0, "cow": 3, "dog": 6}
    by_coco = {a.filename: a for a, *_ in records_in(data_set / "coco")}
    assert {a.source_id for a in by_coco.values()} == {f"p{n}.jpg" for n in range(6)}
    for name, annotation in by_voc.items():
        np.testing.assert_allclose(by_coco[name].boxes, annotation.boxes, atol=1e-6)
        assert by_coco[name].class_names == annotation.class_names


def test_killed_at_any_moment_nothing_is_half_written(data_set: Path, write_voc):
    """Killed while it decodes: the earlier conversion stays, then the same command succeeds."""
    for number in range(300):
        os.link(data_set / "images" / "p0.jpg", data_set / "images" / f"q{number}.jpg")
        write_voc(data_set / "annotations" / f"q{number}.xml", [("cat", 20, 30, 90, 110)])
    out = data_set / "home" / "out"
    command = [sys.executable, "-m", "tfrecord_tools", "convert", "voc", "--output", str(out)]
    command += ["--images", str(data_set / "images")]
    command += ["--annotations", str(data_set / "annotations")]
    killed = 0
    for seed, wait in ((1, 0.0), (2, 0.02), (3, 0.05)):
        before = digests(out) if out.exists() else None
        child = subprocess.Popen([*command, "--seed", str(seed)], stdout=subprocess.DEVNULL)
        home = out if out.exists() else out.parent
        while child.poll() is None and not list(home.glob(".out.unfinished-*/content/*.tmp")):
            time.sleep(0.002)
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        if child.wait() != -signal.SIGKILL:
            continue  # It was done before.
        killed += 1
        visible = [path for path in out.glob("*") if not path.name.startswith(".")]
        if before is None:
            assert visible == []
        else:
            assert {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in visible} == before
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        assert json.loads((out / "conversion_report.json").read_text())["images"] == 306
        assert len(records_in(out)) == 306
        assert not [path for path in out.iterdir() if path.name.startswith(".")]
        if seed == 1:
            assert os.listdir(out.parent) == ["out"]
    assert killed > 0


def test_bccd_with_its_own_split(shared: Path, tmp_path: Path):
    folder = shared / "data" / "bccd_voc"
    report = convert(
        "voc",
        images=folder / "JPEGImages",
        annotations=folder / "Annotations",
        split_dir=folder / "ImageSets",
        output=tmp_path / "out",
        say=lambda line: None,
    )
    written = report.as_json()
    assert {name: split["images"] for name, split in written["splits"].items()} == {
        "train": 292,
        "val": 72,
    }
    # 4888 annotated boxes, two of them without area, both RBC.
    assert written["boxes"] == 4886
    assert written["classes"] == {"Platelets": 361, "RBC": 4153, "WBC": 372}
    hits = [(p["rule"], Path(p["file"]).stem, p["object"]) for p in written["problems"]]
    assert hits == [
        ("box-zero-area", "BloodImage_00338", 13),
        ("box-zero-area", "BloodImage_00343", 4),
    ]
    test_list = (folder / "ImageSets" / "Main" / "test.txt").read_text().split()
    in_val = [annotation.source_id for annotation, *_ in records_in(tmp_path / "out", "val")]
    assert sorted(in_val) == sorted(f"{name}.jpg" for name in test_list)


def test_coco_val_with_the_label_map_of_a_checkpoint(shared: Path, tmp_path: Path):
    folder = shared / "data" / "coco_val2017_64"
    checkpoint = shared / "checkpoints" / "ssd_mobilenet_v2_fpnlite_050_224_coco80"
    report = convert(
        "coco",
        images=folder / "val2017",
        annotations=folder / "annotations" / "instances_val2017_64.json",
        label_map=checkpoint / "label_map.pbtxt",
        val_fraction=1.0,
        output=tmp_path / "out",
        say=lambda line: None,
    )
    source = json.loads((folder / "annotations" / "instances_val2017_64.json").read_text())
    assert report.images == 64
    assert report.boxes == len(source["annotations"])
    assert report.as_json()["source_category_ids"]["toothbrush"] == 90
    assert len(report.classes) == 80
    crowds = sum(a.is_crowd.sum() for a, *_ in records_in(tmp_path / "out"))
    assert crowds == sum(a["iscrowd"] for a in source["annotations"]) > 0
    names = {c["id"]: c["name"] for c in source["categories"]}
    by_name = {i["file_name"]: i for i in source["images"]}
    ids = label_map.load(checkpoint / "label_map.pbtxt").id_of
    for annotation, _, _, class_ids in records_in(tmp_path / "out"):
        image = by_name[annotation.source_id]
        width, height = image["width"], image["height"]
        wanted = [a for a in source["annotations"] if a["image_id"] == image["id"]]
        assert list(class_ids) == [ids[names[a["category_id"]]] for a in wanted]
        ymin, xmin, ymax, xmax = annotation.boxes.T * [[height], [width], [height], [width]]
        bboxes = np.array([a["bbox"] for a in wanted]).reshape(-1, 4)
        xywh = np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1)
        np.testing.assert_allclose(xywh, bboxes, atol=0.02)


def test_microcontrollers_whose_xml_lies_beside_the_pictures(shared: Path, tmp_path: Path):
    folder = shared / "data" / "microcontrollers_voc_csv"
    arguments = {"images": folder, "annotations": folder, "output": tmp_path / "out"}
    arguments["label_map"] = folder / "labelmap.pbtxt"
    report = convert("voc", strict=True, say=lambda line: None, **arguments)
    # 142 + 7 photos in train/ and test/, 170 + 7 boxes.
    assert (report.images, report.boxes) == (149, 177)
    assert report.log.problems == []


def test_pngs_named_jpg_with_a_stated_width_of_0(shared: Path, tmp_path: Path):
    folder = shared / "data" / "odd_images"
    report = convert(
        "voc", images=folder, annotations=folder, output=tmp_path / "out", say=lambda line: None
    )
    counts = report.log.counts()
    assert report.images == 2
    assert [counts[r] for r in ("size-mismatch", "image-reencoded", "wrong-extension")] == [2] * 3
    for annotation, encoded_image, image_format, _ in records_in(tmp_path / "out"):
        assert image_format == "png"
        image = Image.open(folder / annotation.filename)
        assert annotation.image_size == (image.height, image.width)
        assert encoded_image.startswith(b"\x89PNG")
