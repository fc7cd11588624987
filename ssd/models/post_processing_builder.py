"""PostProcessing messages -> PostProcessor."""

from __future__ import annotations

from typing import Any

from ssd.core.calibration import Calibration
from ssd.models.post_processor import NmsSettings, PostProcessor


def build(message: Any, *, has_background: bool) -> PostProcessor:
    """Returns the plain form of a PostProcessing message."""
    nms = message.batch_non_max_suppression
    converters = message.DESCRIPTOR.fields_by_name["score_converter"].enum_type
    return PostProcessor(
        NmsSettings(
            score_threshold=nms.score_threshold,
            iou_threshold=nms.iou_threshold,
            max_detections_per_class=nms.max_detections_per_class,
            max_total_detections=nms.max_total_detections,
            change_coordinate_frame=nms.change_coordinate_frame,
            use_static_shapes=nms.use_static_shapes,
            use_class_agnostic_nms=nms.use_class_agnostic_nms,
            soft_nms_sigma=nms.soft_nms_sigma,
            use_partitioned_nms=nms.use_partitioned_nms,
            use_combined_nms=nms.use_combined_nms,
        ),
        score_converter=converters.values_by_number[message.score_converter].name,
        logit_scale=message.logit_scale,
        calibration=_calibration(message.calibration_config),
        has_background=has_background,
    )


def _calibration(message: Any) -> Calibration:
    match message.WhichOneof("calibrator"):
        case "temperature_scaling_calibration":
            return Calibration(temperature=message.temperature_scaling_calibration.scaler)
        case "function_approximation":
            return Calibration(curve=_curve(message.function_approximation.x_y_pairs))
        case "class_id_function_approximations":
            curves = message.class_id_function_approximations.class_id_xy_pairs_map
            return Calibration(
                class_curves={class_id: _curve(pairs) for class_id, pairs in curves.items()}
            )
    return Calibration()


def _curve(x_y_pairs: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    pairs = x_y_pairs.x_y_pair
    return tuple(pair.x for pair in pairs), tuple(pair.y for pair in pairs)
