"""COCO's names, and detections under the ids of a data set that has some of them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from ssd import coco_names, label_map


class Fixed:
    """Five rows of two pictures, the last ones padding; COCO's 90 ids."""

    name, image_size, batch_size, num_classes = "fixed", None, 2, 90

    def __init__(self) -> None:
        self.label_map = coco_names.assumed(90)
        self.label_map_is_assumed = True

    def __call__(self, images):
        boxes = np.arange(40, dtype=np.float32).reshape(2, 5, 4) / 100
        return {
            "detection_boxes": boxes,
            "detection_scores": np.array([[0.9, 0.8, 0.7, 0.6, 0.0], [0.5, 0.4, 0.0, 0.0, 0.0]]),
            # dog, person, (no class), cat; then car, dog.
            "detection_classes": np.array([[18, 1, 95, 17, 18], [3, 18, 1, 1, 1]]),
            "num_detections": np.array([4, 2]),
        }


def test_the_names_are_those_of_coco(shared):
    file = shared / "data/coco_val2017_64/annotations/instances_val2017_64.json"
    categories = json.loads(file.read_text())["categories"]
    by_id = {item.id: item.name for item in coco_names.assumed(90).items}
    assert by_id == {category["id"]: category["name"] for category in categories}
    in_order = [category["name"] for category in sorted(categories, key=lambda c: c["id"])]
    assert list(coco_names.assumed(80).names) == in_order


@pytest.mark.parametrize(
    ("path", "num_classes", "is_named"),
    [
        ("hub:https://tfhub.dev/tensorflow/centernet/resnet50v1_fpn_512x512/1", None, True),
        (
            "hub:https://www.kaggle.com/models/tensorflow/ssd-mobilenet-v2/tensorFlow2/x/1",
            None,
            True,
        ),
        ("hub:https://tfhub.dev/somebody/birds/1", None, False),
        ("exports/tensorflow/saved_model", None, False),
        ("hub:https://tfhub.dev/tensorflow/of_three/1", 3, False),
    ],
)
def test_modules_that_do_not_tell_their_classes(path, num_classes, is_named, capsys):
    predictor = SimpleNamespace(label_map=None, num_classes=num_classes)
    coco_names.name_classes(predictor, path)
    assert (predictor.label_map is not None) == is_named
    assert ("its 90 classes are taken for COCO's" in capsys.readouterr().err) == is_named


def test_detections_get_the_ids_of_the_data():
    data = label_map.from_names(["cat", "dog"])
    predictor = coco_names.with_classes_of(Fixed(), data)
    assert (predictor.label_map, predictor.batch_size, predictor.name) == (data, 2, "fixed")
    found = predictor(np.zeros((2, 8, 9, 3)))
    assert found["num_detections"].tolist() == [2, 1]
    assert found["detection_classes"][0, :2].tolist() == [2, 1]
    assert found["detection_classes"][1, :1].tolist() == [2]
    assert found["detection_scores"][0, :2].tolist() == [0.9, 0.6]
    # Rows 0 and 3 of the first picture, row 1 of the second.
    np.testing.assert_allclose(found["detection_boxes"][0, 1], [0.12, 0.13, 0.14, 0.15])
    np.testing.assert_allclose(found["detection_boxes"][1, 0], [0.24, 0.25, 0.26, 0.27])


def test_when_names_stay_as_they_are():
    partly = coco_names.with_classes_of(Fixed(), label_map.from_names(["dog", "helmet"]))
    assert partly.label_map.num_classes == 90  # and evaluation refuses it
    other = coco_names.with_classes_of(Fixed(), label_map.from_names(["bolt", "nut"]))
    assert other.label_map is None
    carried = Fixed()
    carried.label_map_is_assumed = False
    assert coco_names.with_classes_of(carried, label_map.from_names(["dog"])) is carried
