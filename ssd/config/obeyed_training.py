"""The `train_config` settings that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.obeyed_augmentation import AUGMENTATION
from ssd.config.obeyed_optimizer import OPTIMIZER
from ssd.config.rules import COUNT, Table, at_least, only, under

TRAIN_CONFIG: Table = {
    "": None,
    "batch_size": COUNT,
    "num_steps": None,  # 0 is no end of its own: --steps gives one
    **under("data_augmentation_options", AUGMENTATION),
    **under("optimizer", OPTIMIZER),
    "update_trainable_variables": None,
    "freeze_variables": None,
    "bias_grad_multiplier": at_least(0),
    "gradient_clipping_by_norm": at_least(0),
    "add_regularization_loss": None,
    "fine_tune_checkpoint": None,
    "fine_tune_checkpoint_type": only(
        "", "classification", "detection", "fine_tune", "full", "matching"
    ),
    "fine_tune_checkpoint_version": None,  # the file itself says which it is
    "from_detection_checkpoint": None,
    "load_all_detection_checkpoint_vars": None,
    "max_number_of_boxes": None,
    "merge_multiple_label_boxes": None,
}
