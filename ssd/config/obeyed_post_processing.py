"""The `model.ssd.post_processing` settings that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.rules import COUNT, FRACTION, POSITIVE, Table, at_least, under

_CURVE: Table = {
    "": None,
    "x_y_pair": None,
    "x_y_pair.x": None,
    "x_y_pair.y": None,
    "training_data_type": None,
}

_CALIBRATION: Table = {
    "": None,
    "temperature_scaling_calibration": None,
    "temperature_scaling_calibration.scaler": POSITIVE,
    "function_approximation": None,
    **under("function_approximation.x_y_pairs", _CURVE),
    "class_id_function_approximations": None,
    **under("class_id_function_approximations.class_id_xy_pairs_map", _CURVE),
}

_NMS: Table = {
    "": None,
    "score_threshold": None,
    "iou_threshold": FRACTION,
    "max_detections_per_class": COUNT,
    "max_total_detections": COUNT,
    "use_static_shapes": None,
    "use_class_agnostic_nms": None,
    "max_classes_per_detection": COUNT,
    "soft_nms_sigma": at_least(0),
    "use_partitioned_nms": None,
    "use_combined_nms": None,
    "change_coordinate_frame": None,
    "use_hard_nms": None,
}

POST_PROCESSING: Table = {
    "": None,
    **under("batch_non_max_suppression", _NMS),
    "score_converter": None,
    "logit_scale": POSITIVE,
    **under("calibration_config", _CALIBRATION),
}
