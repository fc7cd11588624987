"""LiteRT, through our own predictor: what every other consumer is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from ssd.standard_fields import DetectionFields


def test_float_files_detect_what_the_detector_detects(exported, differences, make_found):
    detector, theirs = exported.detector, []
    for picture in exported.pictures:
        images = picture[np.newaxis].astype(np.float32)
        found = detector.postprocess(detector.predict(detector.preprocess(images)))
        count = int(found[DetectionFields.num_detections][0])
        classes = found[DetectionFields.detection_classes][0, :count].numpy()
        theirs.append(
            make_found(
                found[DetectionFields.detection_boxes][0, :count].numpy(),
                tuple(exported.labels[int(n)] for n in classes),
                found[DetectionFields.detection_scores][0, :count].numpy(),
            )
        )
    for form in ("nms", "raw"):
        # Steps of 1/256 are for int8; float files are as close as float is.
        said = differences(exported.ours(form, "none"), theirs, min_iou=0.999, max_score_error=1e-4)
        assert said == [], form


@pytest.mark.parametrize("quantize", ["none", "float16", "dynamic"])
def test_both_forms_detect_the_same(exported, differences, quantize):
    ours, theirs = (exported.ours(form, quantize) for form in ("raw", "nms"))
    assert differences(ours, theirs, max_score_error=1e-4) == []
