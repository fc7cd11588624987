from __future__ import annotations

import numpy as np
import pytest

from ssd.anchor_fit.recall import AnchorModel, load_model
from ssd.anchor_fit.scale import fit_scale

CONFIG = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
SCALE = "model.ssd.anchor_generator.multiscale_anchor_generator.anchor_scale"


def squares(side_pixels: float, count: int) -> np.ndarray:
    """Boxes of that side at 320 pixels, around centres of stride-8 cells."""
    centres = (np.arange(count)[:, np.newaxis] * [3, 2] % 36 + 2.5) * 8 / 320
    half = side_pixels / 320 / 2
    return np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)


def fitted(model: AnchorModel, boxes: np.ndarray, class_ids: list[int]):
    placed = model.place(boxes, np.zeros((len(boxes), 2), np.int32))
    return fit_scale(model, placed, np.array(class_ids, int))


def test_the_smallest_anchor_becomes_the_smallest_box():
    """Anchors begin at scale * 8 pixels: squares of 16 are met exactly by scale 2."""
    found = fitted(load_model(CONFIG), squares(16.0, 10), [1] * 10)
    assert found.anchor_scale == 2.0
    # (16 / 32) ** 2 = 0.25 with the config's own.
    assert (found.own_recalls, found.recalls) == ({1: 0.0}, {1: 1.0})


def test_a_rare_class_is_heard():
    boxes = np.concatenate([squares(64.0, 30), squares(16.0, 2)])
    found = fitted(load_model(CONFIG), boxes, [1] * 30 + [5] * 2)
    assert found.anchor_scale == 2.0
    assert (found.own_recalls, found.recalls) == ({1: 1.0, 5: 0.0}, {1: 1.0, 5: 1.0})


@pytest.mark.parametrize("side", [32.0, 90.0, 200.0])
def test_what_fits_is_left_alone(side):
    assert fitted(load_model(CONFIG), squares(side, 6), [1] * 6) is None


def test_a_scale_that_is_small_already():
    assert fitted(load_model(CONFIG, [f"{SCALE}=2.0"]), squares(16.0, 5), [1] * 5) is None


def test_no_boxes_and_other_generators():
    assert fitted(load_model(CONFIG), np.zeros((0, 4), np.float32), []) is None
    model = load_model("ssd_mobilenet_v2_320x320_coco17_tpu-8")
    assert fitted(model, squares(8.0, 4), [1] * 4) is None
