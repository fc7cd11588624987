"""Settings that are fine one by one but not together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ssd.config.rules import show

# (dotted path, what is wrong); the path is that of the setting to change.
Problem = tuple[str, str]

_SMALLEST_IMAGE = 33
_COARSEST_BACKBONE_LEVEL = 5


def problems(config: Any) -> Iterator[Problem]:
    """Yields what does not fit together in a TrainEvalPipelineConfig.

    Sections that are missing or not supported are left alone: they are refused by themselves.
    """
    if config.model.HasField("ssd"):
        if config.model.ssd.feature_extractor.type.endswith("_fpn_keras"):
            yield from _image_size(config.model.ssd)
            yield from _levels(config.model.ssd)
        yield from _matcher(config.model.ssd)
        yield from _detections(config.model.ssd)
    yield from _train_config(config)
    for index in range(1, len(config.eval_input_reader)):
        yield f"eval_input_reader[{index}]", "only one eval_input_reader is supported; remove it."


def _image_size(ssd: Any) -> Iterator[Problem]:
    """The FPN adds each map to the next coarser one doubled, so sizes must halve exactly."""
    if not ssd.image_resizer.HasField("fixed_shape_resizer"):
        return
    fpn = ssd.feature_extractor.fpn
    for side in ("height", "width"):
        path = f"model.ssd.image_resizer.fixed_shape_resizer.{side}"
        pixels = getattr(ssd.image_resizer.fixed_shape_resizer, side)
        if pixels < _SMALLEST_IMAGE:
            yield path, f"{pixels} is too small; {_SMALLEST_IMAGE} or more is needed."
            continue
        coarsest = min(fpn.max_level, _COARSEST_BACKBONE_LEVEL)
        # A convolution of stride 2 with SAME padding rounds up.
        sizes = [-(-pixels // 2**level) for level in range(fpn.min_level, coarsest + 1)]
        if any(fine != 2 * coarse for fine, coarse in itertools.pairwise(sizes)):
            halves = ", ".join(map(str, sizes))
            step = 2**coarsest
            yield (
                path,
                f"{pixels} gives feature maps of {halves}, which do not double exactly as the "
                f"FPN needs; take a multiple of {step}, such as {-(-pixels // step) * step}.",
            )


def _levels(ssd: Any) -> Iterator[Problem]:
    fpn = ssd.feature_extractor.fpn
    if fpn.max_level < fpn.min_level:
        path = "model.ssd.feature_extractor.fpn.max_level"
        yield path, f"{fpn.max_level} is below min_level {fpn.min_level}."
    if not ssd.anchor_generator.HasField("multiscale_anchor_generator"):
        return
    anchors = ssd.anchor_generator.multiscale_anchor_generator
    for name in ("min_level", "max_level"):
        if getattr(anchors, name) != getattr(fpn, name):
            yield (
                f"model.ssd.anchor_generator.multiscale_anchor_generator.{name}",
                f"{getattr(anchors, name)}, but feature_extractor.fpn.{name} is "
                f"{getattr(fpn, name)}; every feature map needs its anchors, so make them equal.",
            )


def _matcher(ssd: Any) -> Iterator[Problem]:
    if not ssd.matcher.HasField("argmax_matcher") or ssd.matcher.argmax_matcher.ignore_thresholds:
        return
    matcher = ssd.matcher.argmax_matcher
    path = "model.ssd.matcher.argmax_matcher"
    matched, unmatched = matcher.matched_threshold, matcher.unmatched_threshold
    if unmatched > matched:
        what = f"{show(unmatched)} is above matched_threshold {show(matched)}."
        yield f"{path}.unmatched_threshold", what
    elif unmatched == matched and not matcher.negatives_lower_than_unmatched:
        yield (
            f"{path}.negatives_lower_than_unmatched",
            "false needs unmatched_threshold below matched_threshold; they are equal.",
        )


def _detections(ssd: Any) -> Iterator[Problem]:
    nms = ssd.post_processing.batch_non_max_suppression
    if nms.max_detections_per_class > nms.max_total_detections:
        yield (
            "model.ssd.post_processing.batch_non_max_suppression.max_detections_per_class",
            f"{nms.max_detections_per_class} is above max_total_detections "
            f"{nms.max_total_detections}.",
        )


def _train_config(config: Any) -> Iterator[Problem]:
    train = config.train_config
    version = train.DESCRIPTOR.fields_by_name["fine_tune_checkpoint_version"].enum_type
    if train.fine_tune_checkpoint and train.fine_tune_checkpoint_version != 2:
        name = version.values_by_number[train.fine_tune_checkpoint_version].name
        given = train.HasField("fine_tune_checkpoint_version")
        yield (
            "train_config.fine_tune_checkpoint_version",
            f"{name if given else f'not set, and the default is {name}'}; only V2 checkpoints "
            "can be restored. Set fine_tune_checkpoint_version: V2.",
        )
    padded = config.train_input_reader.max_number_of_boxes
    if train.HasField("max_number_of_boxes") and train.max_number_of_boxes > padded:
        yield (
            "train_config.max_number_of_boxes",
            f"{train.max_number_of_boxes} has no effect: train_input_reader.max_number_of_boxes "
            f"({padded}) limits the boxes of an image. Set that one.",
        )
    momentum = train.optimizer.momentum_optimizer
    yield from _learning_rate(momentum.learning_rate)
    for index, option in enumerate(train.data_augmentation_options):
        yield from _crops(option, f"train_config.data_augmentation_options[{index}]")


def _learning_rate(learning_rate: Any) -> Iterator[Problem]:
    path = "train_config.optimizer.momentum_optimizer.learning_rate"
    cosine = learning_rate.cosine_decay_learning_rate
    if learning_rate.HasField("cosine_decay_learning_rate"):
        path = f"{path}.cosine_decay_learning_rate"
        if cosine.warmup_steps > cosine.total_steps:
            yield (
                f"{path}.warmup_steps",
                f"{cosine.warmup_steps} is above total_steps {cosine.total_steps}.",
            )
        if cosine.warmup_steps and cosine.warmup_learning_rate > cosine.learning_rate_base:
            yield (
                f"{path}.warmup_learning_rate",
                f"{show(cosine.warmup_learning_rate)} is above learning_rate_base "
                f"{show(cosine.learning_rate_base)}.",
            )
    manual = learning_rate.manual_step_learning_rate
    if manual.warmup and manual.schedule and manual.schedule[0].step == 0:
        yield (
            f"{path}.manual_step_learning_rate.schedule[0].step",
            "0 leaves no steps for the warm-up; give 1 or more, or set warmup: false.",
        )
    schedule = manual.schedule
    for index, (before, after) in enumerate(itertools.pairwise(schedule), 1):
        if after.step <= before.step:
            yield (
                f"{path}.manual_step_learning_rate.schedule[{index}].step",
                f"{after.step} does not come after step {before.step}.",
            )


def _crops(option: Any, path: str) -> Iterator[Problem]:
    crops = [(f"{path}.random_crop_image", option.random_crop_image)]
    for index, operation in enumerate(option.ssd_random_crop.operations):
        crops.append((f"{path}.ssd_random_crop.operations[{index}]", operation))
    for own_path, crop in crops:
        for name in ("aspect_ratio", "area"):
            low, high = getattr(crop, f"min_{name}"), getattr(crop, f"max_{name}")
            if low > high:
                what = f"{show(low)} is above max_{name} {show(high)}."
                yield f"{own_path}.min_{name}", what
