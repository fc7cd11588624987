"""AutoAugment for detection; the pixel operations are those of tf-models-official, an extra."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import tensorflow as tf

from ssd.data.augmentation.auto_augment_operations import apply_operation
from ssd.data.augmentation.auto_augment_policies import POLICIES
from ssd.data.augmentation.draws import Example, fold_in, uniform
from ssd.errors import InputError
from ssd.standard_fields import InputFields


def autoaugment_image(example: Example, seed: tf.Tensor, *, policy_name: str = "v0") -> Example:
    """Returns the example after one sub-policy, drawn evenly, of an AutoAugment policy.

    Boxes move with the image: one that was turned or sheared becomes the smallest around its
    corners, in whole pixels; one that left the image a strip of a twentieth at its edge. No box is
    dropped, so that weights, difficult and crowd flags stay as they are.

    Args:
      example: image float32 [h, w, 3], 0..255, whose fractions are cut off.
      seed: int32 or int64 [2].
      policy_name: v0 (the one of the paper), v1, v2, v3 or test.

    Raises:
      InputError: another policy_name, or tf-models-official is not installed.
    """
    if policy_name not in POLICIES:
        raise InputError(
            f"autoaugment_image: policy_name is {policy_name}; expected one of "
            f"{', '.join(POLICIES)}"
        )
    garden, policy = load_model_garden(), POLICIES[policy_name]
    image = tf.saturate_cast(example[InputFields.image], tf.uint8)
    boxes = example[InputFields.groundtruth_boxes]

    def run(number: int) -> tuple[tf.Tensor, tf.Tensor]:
        changed = image, boxes
        for place, (name, probability, level) in enumerate(policy[number], start=1):
            own_seed = fold_in(seed, place)
            changed = apply_operation(garden, name, probability, level, *changed, own_seed)
        return changed

    chosen = uniform(fold_in(seed, 0), 0, len(policy), dtype=tf.int32)
    branches = [functools.partial(run, number) for number in range(len(policy))]
    image, boxes = tf.switch_case(chosen, branches)
    return {
        **example,
        InputFields.image: tf.cast(image, tf.float32),
        InputFields.groundtruth_boxes: boxes,
    }


def load_model_garden() -> Any:
    """Returns the module official.vision.ops.augment.

    Raises:
      InputError: it is not installed, or does not load; says what to install.
    """
    try:
        # Takes seconds and hundreds of megabytes: only for those who ask for this op.
        return importlib.import_module("official.vision.ops.augment")
    except ImportError as error:
        raise InputError(
            f"autoaugment_image: tf-models-official does not load ({error}); "
            "`pip install -r requirements/modelgarden.txt`, or take the step out"
        ) from None
