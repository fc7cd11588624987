"""Box coder, matcher and similarity messages -> what assigns targets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ssd.core import bipartite_matcher, matcher, similarity, target_assigner
from ssd.core.box_coder import BoxCoder, FasterRcnnBoxCoder, MeanStddevBoxCoder, SquareBoxCoder

# (anchors, groundtruth boxes, one-hot classes, weights) -> targets
AssignTargets = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], target_assigner.Targets]


def build(ssd: Any) -> AssignTargets:
    """Returns the assigner with the settings of an Ssd message.

    Records hold no confidences, so with `use_confidences_as_targets` the classes stand for them, as
    in the original.
    """
    settings = {
        "match": _match(ssd.matcher),
        "similarity": _similarity(ssd.similarity_calculator),
        "box_coder": build_box_coder(ssd.box_coder),
        "has_background": ssd.add_background_class,
    }
    if ssd.use_confidences_as_targets:
        return functools.partial(
            target_assigner.assign_confidences,
            implicit_example_weight=ssd.implicit_example_weight,
            **settings,
        )
    return functools.partial(
        target_assigner.assign,
        unmatched_class_label=unmatched_class_label(ssd),
        negative_class_weight=ssd.negative_class_weight,
        **settings,
    )


def build_box_coder(message: Any) -> BoxCoder:
    """Returns the box coder that a BoxCoder message describes."""
    kind = message.WhichOneof("box_coder_oneof")
    values = getattr(message, kind)
    match kind:
        case "mean_stddev_box_coder":
            return MeanStddevBoxCoder(values.stddev)
        case "square_box_coder":
            return SquareBoxCoder((values.y_scale, values.x_scale, values.length_scale))
    return FasterRcnnBoxCoder(
        (values.y_scale, values.x_scale, values.height_scale, values.width_scale)
    )


def unmatched_class_label(ssd: Any) -> list[float]:
    """Returns the class target of an anchor without a box: zeros, or 1 in the first column.

    That column is the first class where the background has none, as in the original.
    """
    columns = ssd.num_classes + int(ssd.add_background_class)
    return [0.0 if ssd.encode_background_as_zeros else 1.0, *[0.0] * (columns - 1)]


def _match(message: Any) -> target_assigner.Match:
    if message.HasField("bipartite_matcher"):
        return bipartite_matcher.match
    values = message.argmax_matcher
    ignore = values.ignore_thresholds
    return functools.partial(
        matcher.match,
        # Without thresholds every anchor takes its best box, however little they overlap.
        matched_threshold=None if ignore else values.matched_threshold,
        unmatched_threshold=None if ignore else values.unmatched_threshold,
        negatives_lower_than_unmatched=values.negatives_lower_than_unmatched,
        force_match_for_each_row=values.force_match_for_each_row,
    )


def _similarity(message: Any) -> similarity.Similarity:
    match message.WhichOneof("region_similarity"):
        case "ioa_similarity":
            return similarity.ioa
        case "neg_sq_dist_similarity":
            return similarity.negative_squared_distance
        case "thresholded_iou_similarity":
            threshold = message.thresholded_iou_similarity.iou_threshold
            return functools.partial(similarity.thresholded_iou, iou_threshold=threshold)
    return similarity.iou
