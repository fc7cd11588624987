"""The training, reading and evaluation settings that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.rules import COUNT, FRACTION, POSITIVE, Table, at_least, only, under

_LEARNING_RATE: Table = {
    "": None,
    "constant_learning_rate": None,
    "constant_learning_rate.learning_rate": at_least(0),
    "exponential_decay_learning_rate": None,
    "exponential_decay_learning_rate.initial_learning_rate": at_least(0),
    "exponential_decay_learning_rate.decay_steps": COUNT,
    "exponential_decay_learning_rate.decay_factor": POSITIVE,
    "exponential_decay_learning_rate.staircase": None,
    "exponential_decay_learning_rate.burnin_learning_rate": at_least(0),
    "exponential_decay_learning_rate.burnin_steps": None,
    "exponential_decay_learning_rate.min_learning_rate": at_least(0),
    "manual_step_learning_rate": None,
    "manual_step_learning_rate.initial_learning_rate": at_least(0),
    "manual_step_learning_rate.schedule": None,
    "manual_step_learning_rate.schedule.step": None,
    "manual_step_learning_rate.schedule.learning_rate": at_least(0),
    "manual_step_learning_rate.warmup": None,
    "cosine_decay_learning_rate": None,
    "cosine_decay_learning_rate.learning_rate_base": at_least(0),
    "cosine_decay_learning_rate.total_steps": COUNT,
    "cosine_decay_learning_rate.warmup_learning_rate": at_least(0),
    "cosine_decay_learning_rate.warmup_steps": None,
    "cosine_decay_learning_rate.hold_base_rate_steps": None,
}

_CROP: Table = {
    "": None,
    "min_object_covered": FRACTION,
    "min_aspect_ratio": at_least(0),
    "max_aspect_ratio": at_least(0),
    "min_area": FRACTION,
    "max_area": FRACTION,
    "overlap_thresh": FRACTION,
    "clip_boxes": None,
    "random_coef": FRACTION,
}

TRAIN_CONFIG: Table = {
    "": None,
    "batch_size": COUNT,
    "num_steps": COUNT,
    "data_augmentation_options": None,
    "data_augmentation_options.random_horizontal_flip": None,
    "data_augmentation_options.random_horizontal_flip.probability": FRACTION,
    **under("data_augmentation_options.random_crop_image", _CROP),
    "data_augmentation_options.ssd_random_crop": None,
    **under("data_augmentation_options.ssd_random_crop.operations", _CROP),
    "optimizer": None,
    "optimizer.momentum_optimizer": None,
    **under("optimizer.momentum_optimizer.learning_rate", _LEARNING_RATE),
    "optimizer.momentum_optimizer.momentum_optimizer_value": at_least(0),
    "optimizer.use_moving_average": only(
        False, why="Set use_moving_average: false; averages of the weights are not kept."
    ),
    "gradient_clipping_by_norm": at_least(0),
    "fine_tune_checkpoint": None,
    "fine_tune_checkpoint_type": only("", "classification", "detection", "full"),
    "fine_tune_checkpoint_version": None,
    "from_detection_checkpoint": None,
    "max_number_of_boxes": None,
}

INPUT_READER: Table = {
    "": None,
    "label_map_path": None,
    "tf_record_input_reader": None,
    "tf_record_input_reader.input_path": None,
    "shuffle": None,
    "max_number_of_boxes": COUNT,
    "sample_1_of_n_examples": only(1),
    "input_type": only("TF_EXAMPLE", "INPUT_DEFAULT"),
}

EVAL_CONFIG: Table = {
    "": None,
    "metrics_set": only("coco_detection_metrics"),
    "batch_size": COUNT,
    "use_moving_averages": only(False),
}
