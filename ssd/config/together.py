"""Settings that are fine one by one but not together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ssd.config import together_training
from ssd.config.rules import Problem, show

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
    yield from together_training.problems(config)


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
