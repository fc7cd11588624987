"""The `train_config.data_augmentation_options` that are acted on; see `obeyed.py`."""

from __future__ import annotations

from ssd.config.rules import FRACTION, Table, at_least, under

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

AUGMENTATION: Table = {
    "": None,
    "random_horizontal_flip": None,
    "random_horizontal_flip.probability": FRACTION,
    **under("random_crop_image", _CROP),
    "ssd_random_crop": None,
    **under("ssd_random_crop.operations", _CROP),
}
