"""Settings of post-processing that are fine one by one but not together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ssd.config.rules import Problem, show

_PATH = "model.ssd.post_processing"
_NMS = f"{_PATH}.batch_non_max_suppression"
_CURVES = f"{_PATH}.calibration_config"


def problems(ssd: Any) -> Iterator[Problem]:
    """Yields what does not fit together in the post_processing of an Ssd message."""
    nms = ssd.post_processing.batch_non_max_suppression
    if nms.max_detections_per_class > nms.max_total_detections:
        yield (
            f"{_NMS}.max_detections_per_class",
            f"{nms.max_detections_per_class} is above max_total_detections "
            f"{nms.max_total_detections}.",
        )
    yield from _soft(nms)
    yield from _combined(nms)
    if nms.use_class_agnostic_nms and nms.max_classes_per_detection > 1:
        yield (
            f"{_NMS}.max_classes_per_detection",
            f"{nms.max_classes_per_detection} does not go with use_class_agnostic_nms, which "
            "gives each box one class; the original refuses it too. Set it to 1.",
        )
    yield from _calibration(ssd)


def _soft(nms: Any) -> Iterator[Problem]:
    if nms.soft_nms_sigma <= 0:
        return
    path, sigma = f"{_NMS}.soft_nms_sigma", show(nms.soft_nms_sigma)
    if nms.use_static_shapes:
        yield path, f"{sigma} does not go with use_static_shapes, which suppresses hard only."
    if nms.use_hard_nms and not nms.use_class_agnostic_nms:
        yield path, f"{sigma} contradicts use_hard_nms: true; remove one of them."


def _combined(nms: Any) -> Iterator[Problem]:
    if not nms.use_combined_nms:
        return
    path = f"{_NMS}.use_combined_nms"
    if nms.soft_nms_sigma > 0:
        yield path, "has no soft form; remove soft_nms_sigma."
    elif nms.use_class_agnostic_nms:
        yield path, "does not go with use_class_agnostic_nms; remove one of them."
    elif nms.change_coordinate_frame:
        yield (
            path,
            "does not go with change_coordinate_frame, which is true by default; add "
            "change_coordinate_frame: false.",
        )


def _calibration(ssd: Any) -> Iterator[Problem]:
    calibration = ssd.post_processing.calibration_config
    match calibration.WhichOneof("calibrator"):
        case "function_approximation":
            pairs = calibration.function_approximation.x_y_pairs
            yield from _curve(pairs, f"{_CURVES}.function_approximation.x_y_pairs")
        case "class_id_function_approximations":
            path = f"{_CURVES}.class_id_function_approximations.class_id_xy_pairs_map"
            curves = calibration.class_id_function_approximations.class_id_xy_pairs_map
            columns = ssd.num_classes + int(ssd.add_background_class)
            for class_id in sorted(curves):
                yield from _curve(curves[class_id], f"{path}[{class_id}]")
                if not 0 <= class_id < columns:
                    yield (
                        f"{path}[{class_id}]",
                        f"no such class; the scores have columns 0 to {columns - 1}.",
                    )


def _curve(pairs: Any, path: str) -> Iterator[Problem]:
    xs = [pair.x for pair in pairs.x_y_pair]
    if not xs:
        yield path, "has no x_y_pair; give at least one."
    for index, (before, after) in enumerate(itertools.pairwise(xs), 1):
        if after < before:
            yield f"{path}.x_y_pair[{index}].x", f"{show(after)} is below {show(before)} before it."
