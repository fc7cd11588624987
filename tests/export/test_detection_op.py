from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from flatbuffers import flexbuffers

from export.detection_op import (
    center_size_anchors,
    input_size,
    options_of,
    post_process_function,
)
from ssd.core.image_resizer import (
    FixedShapeResizer,
    GrayscaleResizer,
    IdentityResizer,
    KeepAspectRatioResizer,
)
from ssd.errors import InputError
from ssd.models.post_processor import NmsSettings, PostProcessor


def test_anchors_by_hand():
    # yc = (0.1 + 0.5) / 2, xc = (0.2 + 0.8) / 2, h = 0.5 - 0.1, w = 0.8 - 0.2; one leaves the image
    anchors = np.array([[0.1, 0.2, 0.5, 0.8], [-0.25, 0.5, 0.25, 1.25]], np.float32)
    expected = [[0.3, 0.5, 0.4, 0.6], [0.0, 0.875, 0.5, 0.75]]
    np.testing.assert_allclose(center_size_anchors(anchors), expected, atol=1e-7)
    assert center_size_anchors(anchors).dtype == np.float32


def test_no_anchors():
    assert center_size_anchors(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_options_are_those_of_the_config(small_detector, monkeypatch):
    settings = PostProcessor(NmsSettings(0.2, 0.45, 7, 9))
    monkeypatch.setattr(small_detector, "post_processor", settings)
    assert dataclasses.asdict(options_of(small_detector)) == {
        "max_detections": 9,
        "detections_per_class": 7,
        "use_regular_nms": False,
        "nms_score_threshold": 0.2,
        "nms_iou_threshold": 0.45,
        "num_classes": 3,
        "y_scale": 10.0,
        "x_scale": 8.0,
        "h_scale": 5.0,
        "w_scale": 4.0,
        "max_classes_per_detection": 1,
    }


def test_flags_win_over_the_config(small_detector):
    options = options_of(small_detector, max_detections=4, use_regular_nms=True)
    assert (options.max_detections, options.use_regular_nms) == (4, True)


def test_flexbuffer_holds_every_option(small_detector):
    options = options_of(small_detector, use_regular_nms=True)
    stored = flexbuffers.Loads(options.to_flexbuffer())
    assert stored == pytest.approx(dataclasses.asdict(options))
    # Loads makes 1 of a true that was stored as a number; the op reads a bool.
    assert stored["use_regular_nms"] is True


def test_stand_in_returns_the_shapes_of_the_op(small_detector):
    outputs = post_process_function(options_of(small_detector, max_detections=6))(
        np.zeros((1, 48, 4), np.float32),
        np.zeros((1, 48, 3), np.float32),
        np.zeros((48, 4), np.float32),
    )
    assert [tuple(output.shape) for output in outputs] == [(1, 6, 4), (1, 6), (1, 6), (1,)]


@pytest.mark.parametrize(
    ("resizer", "message"),
    [
        (IdentityResizer(), "a .tflite file takes images of one size, stretched to it"),
        (KeepAspectRatioResizer(64, 96, "BILINEAR", True), "images of one size, stretched to it"),
        (GrayscaleResizer(FixedShapeResizer(64, 96)), "convert_to_grayscale: .* RGB images"),
    ],
)
def test_only_stretched_rgb_images(small_detector, monkeypatch, resizer, message):
    monkeypatch.setattr(small_detector, "image_resizer", resizer)
    with pytest.raises(InputError, match=f"^model.ssd.image_resizer: .*{message}"):
        input_size(small_detector)
