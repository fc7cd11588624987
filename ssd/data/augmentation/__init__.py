"""Random changes of a training example, boxes included: the data_augmentation_options.

An op has the name of its step in pipeline.config, and its keyword arguments those of the step's
fields. It takes an example and a seed and is a pure function of both: the same seed gives the same
result, eagerly and inside tf.data, in any process. An op leaves the values it was given untouched
and every field without rows per box as it is. The fields with rows per box (`PER_BOX_FIELDS` of
the decoder) are dropped and repeated together; groundtruth_area stays in square pixels of the
original image. `apply` hands images of 0..255 as float32 [h, w, 3] to every op that computes
pixels; those that only move them leave the dtype alone.

Map:

    draws           what an op is; random numbers out of a seed
    sequence        `apply`: several ops, one after the other
    windows         a part of an image and the boxes in it
    flips           left to right, upside down, a quarter turn
    crops           a random window cut out; one of several ways to do so
    pads            a random place in a larger image
    crop_pads       both
    aspect_ratios   cut or padded to an aspect ratio
    square          random scale and place in a square
    concat          the image beside itself
    boxes, labels   boxes moved; boxes of a class dropped, classes renamed
    color, values   colours as a camera changes them; values moved and scaled
    quality         JPEG artefacts, fewer pixels
    patches         noise or black on parts of the image
    resizing        other sizes
    auto_augment    learnt policies; with auto_augment_operations and auto_augment_policies
"""

from __future__ import annotations

from ssd.data.augmentation.crops import random_crop_image, ssd_random_crop
from ssd.data.augmentation.draws import Augmentation
from ssd.data.augmentation.flips import random_horizontal_flip
from ssd.data.augmentation.sequence import apply
from ssd.data.augmentation.windows import crop_to_window

# Beside the frame, what the configs of the zoo ask for; the other ops are in their modules.
__all__ = [
    "Augmentation",
    "apply",
    "crop_to_window",
    "random_crop_image",
    "random_horizontal_flip",
    "ssd_random_crop",
]
