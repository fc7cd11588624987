"""Settings of the model that are fine one by one but not together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ssd.config import (
    together_evaluation,
    together_image_size,
    together_post_processing,
    together_training,
)
from ssd.config.obeyed_model import EXTRACTOR_TYPES
from ssd.config.rules import Problem, show

_ANCHORS = "model.ssd.anchor_generator"
_PREDICTOR = "model.ssd.box_predictor"


def problems(config: Any) -> Iterator[Problem]:
    """Yields what does not fit together in a TrainEvalPipelineConfig.

    Sections that are missing or not supported are left alone: they are refused by themselves.
    """
    if config.model.HasField("ssd"):
        ssd = config.model.ssd
        if ssd.feature_extractor.type in EXTRACTOR_TYPES:
            yield from together_image_size.problems(ssd)
            yield from _feature_maps(ssd)
        yield from _background(ssd)
        yield from _box_predictor(ssd)
        yield from _matcher(ssd)
        yield from _loss(ssd)
        yield from together_post_processing.problems(ssd)
    yield from together_training.problems(config)
    yield from together_evaluation.problems(config.eval_config)


def _feature_maps(ssd: Any) -> Iterator[Problem]:
    """Every feature map needs its anchors."""
    has_fpn = "_fpn" in ssd.feature_extractor.type
    fpn = ssd.feature_extractor.fpn
    if has_fpn and fpn.max_level < fpn.min_level:
        path = "model.ssd.feature_extractor.fpn.max_level"
        yield path, f"{fpn.max_level} is below min_level {fpn.min_level}."
        return
    count = fpn.max_level - fpn.min_level + 1 if has_fpn else ssd.feature_extractor.num_layers
    setting = "fpn" if has_fpn else "num_layers"
    maps = f"feature_extractor.{setting} gives {count} feature maps"
    generator = ssd.anchor_generator
    match generator.WhichOneof("anchor_generator_oneof"):
        case "multiscale_anchor_generator":
            yield from _levels(ssd, has_fpn, count)
        case "ssd_anchor_generator":
            layers = generator.ssd_anchor_generator.num_layers
            if layers != count:
                path = f"{_ANCHORS}.ssd_anchor_generator.num_layers"
                yield path, f"{layers}, but {maps}; make them equal."
            yield from _ssd_anchor_lists(generator.ssd_anchor_generator)
        case "flexible_grid_anchor_generator":
            grids = len(generator.flexible_grid_anchor_generator.anchor_grid)
            for n, grid in enumerate(generator.flexible_grid_anchor_generator.anchor_grid):
                if len(grid.base_sizes) != len(grid.aspect_ratios):
                    path = f"{_ANCHORS}.flexible_grid_anchor_generator.anchor_grid[{n}].base_sizes"
                    yield (
                        path,
                        f"{len(grid.base_sizes)} for {len(grid.aspect_ratios)} aspect_ratios; "
                        "give one each.",
                    )
            if grids != count:
                path = f"{_ANCHORS}.flexible_grid_anchor_generator.anchor_grid"
                yield path, f"{grids} of them, but {maps}; make them equal."
        case "grid_anchor_generator":
            if count != 1:
                path = f"{_ANCHORS}.grid_anchor_generator"
                yield path, f"makes anchors for one feature map, but {maps}."


def _levels(ssd: Any, has_fpn: bool, count: int) -> Iterator[Problem]:
    anchors = ssd.anchor_generator.multiscale_anchor_generator
    path = f"{_ANCHORS}.multiscale_anchor_generator"
    if not has_fpn:
        if anchors.max_level - anchors.min_level + 1 != count:
            yield (
                f"{path}.max_level",
                f"levels {anchors.min_level} to {anchors.max_level}, but "
                f"feature_extractor.num_layers gives {count} feature maps; make them as many.",
            )
        return
    for name in ("min_level", "max_level"):
        wanted = getattr(ssd.feature_extractor.fpn, name)
        if getattr(anchors, name) != wanted:
            yield (
                f"{path}.{name}",
                f"{getattr(anchors, name)}, but feature_extractor.fpn.{name} is {wanted}; every "
                "feature map needs its anchors, so make them equal.",
            )


def _ssd_anchor_lists(anchors: Any) -> Iterator[Problem]:
    for what in ("stride", "offset"):
        if bool(getattr(anchors, f"height_{what}")) != bool(getattr(anchors, f"width_{what}")):
            yield (
                f"{_ANCHORS}.ssd_anchor_generator.height_{what}",
                f"goes with width_{what}: give both, or neither.",
            )
    for name in ("scales", "height_stride", "width_stride", "height_offset", "width_offset"):
        values = getattr(anchors, name)
        if values and len(values) != anchors.num_layers:
            yield (
                f"{_ANCHORS}.ssd_anchor_generator.{name}",
                f"{len(values)} values for num_layers {anchors.num_layers}; give as many, or none.",
            )


def _background(ssd: Any) -> Iterator[Problem]:
    if ssd.use_confidences_as_targets and not ssd.add_background_class:
        yield (
            "model.ssd.use_confidences_as_targets",
            "needs add_background_class: true; the original fails without it too.",
        )


def _box_predictor(ssd: Any) -> Iterator[Problem]:
    kind = ssd.box_predictor.WhichOneof("box_predictor_oneof")
    if kind not in (
        "convolutional_box_predictor",
        "weight_shared_convolutional_box_predictor",
    ):
        return
    values, path = getattr(ssd.box_predictor, kind), f"{_PREDICTOR}.{kind}"
    if values.use_depthwise and values.kernel_size == 1:
        yield f"{path}.kernel_size", "1 makes no sense with use_depthwise: true; give 3."
    code_size = 3 if ssd.box_coder.HasField("square_box_coder") else 4
    if values.box_code_size != code_size:
        yield (
            f"{path}.box_code_size",
            f"{values.box_code_size}, but box_coder has {code_size} numbers per box; give that.",
        )
    clip = values.box_encodings_clip_range
    if values.HasField("box_encodings_clip_range") and clip.min >= clip.max:
        yield (
            f"{path}.box_encodings_clip_range.min",
            f"{show(clip.min)} is not below max {show(clip.max)}.",
        )
    if kind == "convolutional_box_predictor":
        if values.min_depth > values.max_depth:
            yield f"{path}.min_depth", f"{values.min_depth} is above max_depth {values.max_depth}."
        return
    anchors = ssd.anchor_generator.ssd_anchor_generator
    if (
        ssd.anchor_generator.HasField("ssd_anchor_generator")
        and anchors.reduce_boxes_in_lowest_layer
        and anchors.num_layers > 1
        and len(anchors.aspect_ratios) + (anchors.interpolated_scale_aspect_ratio > 0) != 3
    ):
        yield (
            f"{_ANCHORS}.ssd_anchor_generator.reduce_boxes_in_lowest_layer",
            f"true gives the finest map 3 anchors per location and the others more, but the heads "
            f"of {kind} are shared by all maps. Set it to false.",
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


def _loss(ssd: Any) -> Iterator[Problem]:
    loss, path = ssd.loss, "model.ssd.loss"
    kind = loss.classification_loss.WhichOneof("classification_loss")
    if loss.HasField("hard_example_miner") and kind == "weighted_sigmoid_focal":
        yield (
            f"{path}.hard_example_miner",
            "does not go with weighted_sigmoid_focal, which weighs hard examples by itself; the "
            "original refuses the pair. Remove one of them.",
        )
    selects = loss.HasField("hard_example_miner") or loss.HasField("random_example_sampler")
    has_expected = loss.expected_loss_weights != 0
    if kind == "weighted_dice_classification_loss" and (
        loss.HasField("hard_example_miner") or has_expected
    ):
        setting = "expected_loss_weights" if has_expected else "hard_example_miner"
        yield (
            f"{path}.{setting}",
            "needs a loss per anchor, which weighted_dice_classification_loss is not. Remove one.",
        )
    if has_expected and selects:
        yield (
            f"{path}.expected_loss_weights",
            "weighs every anchor, in place of selecting some; remove it, or the "
            "hard_example_miner and random_example_sampler.",
        )
    if has_expected and kind == "weighted_softmax" and ssd.encode_background_as_zeros:
        yield (
            f"{path}.expected_loss_weights",
            "with weighted_softmax needs encode_background_as_zeros: false; else every anchor "
            "counts as foreground.",
        )
    box_loss = loss.localization_loss.WhichOneof("localization_loss")
    if box_loss in ("weighted_iou", "weighted_giou") and ssd.box_coder.HasField("square_box_coder"):
        yield (
            f"{path}.localization_loss.{box_loss}",
            "compares boxes, and square_box_coder keeps only squares; use faster_rcnn_box_coder.",
        )
