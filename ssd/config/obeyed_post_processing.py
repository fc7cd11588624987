"""The `model.ssd.post_processing` settings that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.rules import COUNT, FRACTION, Table

POST_PROCESSING: Table = {
    "": None,
    "batch_non_max_suppression": None,
    "batch_non_max_suppression.score_threshold": None,
    "batch_non_max_suppression.iou_threshold": FRACTION,
    "batch_non_max_suppression.max_detections_per_class": COUNT,
    "batch_non_max_suppression.max_total_detections": COUNT,
    "score_converter": None,
}
