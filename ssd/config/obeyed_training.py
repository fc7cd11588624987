"""The `train_config` settings that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.obeyed_augmentation import AUGMENTATION
from ssd.config.obeyed_optimizer import OPTIMIZER
from ssd.config.rules import COUNT, Table, at_least, only, under

TRAIN_CONFIG: Table = {
    "": None,
    "batch_size": COUNT,
    "num_steps": COUNT,
    **under("data_augmentation_options", AUGMENTATION),
    **under("optimizer", OPTIMIZER),
    "gradient_clipping_by_norm": at_least(0),
    "fine_tune_checkpoint": None,
    "fine_tune_checkpoint_type": only("", "classification", "detection", "full"),
    "fine_tune_checkpoint_version": None,
    "from_detection_checkpoint": None,
    "max_number_of_boxes": None,
}
