"""Detections of the original, one recording per setting and combination of settings."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from ssd.core.post_processing import Detections, multiclass_nms

DATA = Path(__file__).parents[2] / "data"
RECORDING = np.load(DATA / "core_multiclass_nms.npz")
SWITCHES = np.load(DATA / "core_nms_switches.npz")
ARGUMENTS = {
    "score_thresh": "score_threshold",
    "iou_thresh": "iou_threshold",
    "max_size_per_class": "max_detections_per_class",
    "max_total_size": "max_total_detections",
}
# Settings of the original that change no number here.
NO_ARGUMENTS = ("use_hard_nms", "use_cpu_nms", "max_classes_per_detection")


def recorded_cases(recording: np.lib.npyio.NpzFile) -> list[str]:
    return [name[: -len("_config")] for name in recording.files if name.endswith("_config")]


@pytest.mark.parametrize(
    ("recording", "case"),
    [(data, case) for data in (RECORDING, SWITCHES) for case in recorded_cases(data)],
    ids=lambda value: value if isinstance(value, str) else "switch" if value is SWITCHES else "op",
)
def test_equals_the_recording(recording: np.lib.npyio.NpzFile, case: str) -> None:
    config = ast.literal_eval(str(recording[f"{case}_config"]))
    inputs = str(recording[f"{case}_inputs"]) if f"{case}_inputs" in recording else case
    boxes = recording[f"{inputs}_boxes"].reshape(2, -1, 4)
    scores = recording[f"{inputs}_scores"]
    settings = {ARGUMENTS.get(k, k): v for k, v in config.items() if k not in NO_ARGUMENTS}
    found = multiclass_nms(boxes, scores, **settings)
    prefix = f"{case}_out"
    np.testing.assert_array_equal(found.num_detections, recording[f"{prefix}_num"])
    # Not a single rounding apart on the machine of the recording; other kernels may round others.
    np.testing.assert_allclose(found.detection_scores, recording[f"{prefix}_scores"], rtol=1e-6)
    np.testing.assert_allclose(found.detection_boxes, recording[f"{prefix}_boxes"], atol=1e-6)
    np.testing.assert_array_equal(found.detection_classes, recording[f"{prefix}_classes"])
    assert_recorded_anchors(found, scores, config, recording, prefix)


def assert_recorded_anchors(
    found: Detections,
    scores: np.ndarray,
    config: dict[str, object],
    recording: np.lib.npyio.NpzFile,
    prefix: str,
) -> None:
    """The recorded anchors; those of partitioned suppression are ranks by score."""
    names = (f"{prefix}_extra_anchor_indices", f"{prefix}_anchor_indices")
    names = tuple(name for name in names if name in recording)
    if config.get("use_combined_nms"):
        assert not names
        return
    expected = recording[names[0]].astype(np.int32)
    if config.get("use_partitioned_nms") and config.get("use_static_shapes"):
        if config.get("use_class_agnostic_nms"):
            scores = np.broadcast_to(scores.max(axis=2, keepdims=True), scores.shape)
        order = np.argsort(-scores, axis=1, kind="stable")  # [B, A, C], anchors by score
        images = np.arange(2)[:, np.newaxis]
        expected = order[images, expected, found.detection_classes.numpy()]
    np.testing.assert_array_equal(found.anchor_indices, expected)
