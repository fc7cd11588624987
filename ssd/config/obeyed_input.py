"""The reading and evaluation settings that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.rules import COUNT, FRACTION, Table, at_least, only

INPUT_READER: Table = {
    "": None,
    "label_map_path": None,
    "tf_record_input_reader": None,
    "tf_record_input_reader.input_path": None,
    "shuffle": None,
    "max_number_of_boxes": COUNT,
    "sample_1_of_n_examples": at_least(0),
    "input_type": only("TF_EXAMPLE", "INPUT_DEFAULT"),
}

EVAL_CONFIG: Table = {
    "": None,
    "metrics_set": only(
        "coco_detection_metrics",
        "pascal_voc_detection_metrics",
        "weighted_pascal_voc_detection_metrics",
        "precision_at_recall_detection_metrics",
        "open_images_V2_detection_metrics",
        "oid_V2_detection_metrics",
        why="COCO's are computed in any case.",
    ),
    "include_metrics_per_category": None,
    "all_metrics_per_category": None,
    "super_categories": None,
    "super_categories.key": None,
    "super_categories.value": None,
    "recall_lower_bound": FRACTION,
    "recall_upper_bound": FRACTION,
    "batch_size": COUNT,
    "use_moving_averages": None,
}
