"""Which anchors train: those with the highest loss (`hard_example_miner`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from ssd.core.matcher import UNMATCHED
from ssd.core.types import TensorLike
from ssd.errors import InputError

LOSS_TYPES = ("BOTH", "CLASSIFICATION", "LOCALIZATION")


class MinedLosses(NamedTuple):
    """What is left of a batch's losses.

    Attributes:
      localization_loss, classification_loss: float32 scalars, sums over the selected anchors.
      num_positives: int32 [B], selected anchors with a groundtruth box.
      num_negatives: int32 [B], all other selected anchors, ignored ones among them.
    """

    localization_loss: tf.Tensor
    classification_loss: tf.Tensor
    num_positives: tf.Tensor
    num_negatives: tf.Tensor


@dataclass(frozen=True)
class HardExampleMiner:
    """Selects anchors image by image; field names are those of pipeline.config.

    Anchors are taken by falling loss (the lower index first on ties). One whose box overlaps that
    of an anchor already taken by more than `iou_threshold` is left out (Shrivastava et al. 2016).
    Of what was taken, all positives stay and the first max_negatives_per_positive negatives for
    each of them (Liu et al. 2016), at least min_negatives_per_image; ignored anchors stay as long
    as negatives do. Without max_negatives_per_positive everything taken stays.

    Attributes:
      num_hard_examples: how many to take at most; 0 means all.
      iou_threshold: in [0, 1]; 1 leaves none out, and is fast also when all are taken.
      loss_type: the loss to go by: CLASSIFICATION, LOCALIZATION, or BOTH, weighted.
      classification_weight, localization_weight: of `loss`; used for BOTH.
      max_negatives_per_positive: 0 means no limit.
      min_negatives_per_image: used with max_negatives_per_positive; an image without positives
        trains nothing otherwise.

    Raises:
      InputError: loss_type is none of the three.
    """

    num_hard_examples: int
    iou_threshold: float
    loss_type: str
    classification_weight: float
    localization_weight: float
    max_negatives_per_positive: float
    min_negatives_per_image: int

    def __post_init__(self) -> None:
        if self.loss_type not in LOSS_TYPES:
            raise InputError(
                f"hard_example_miner: loss_type is {self.loss_type!r}; "
                f"expected one of {', '.join(LOSS_TYPES)}."
            )

    def mine(
        self,
        location_losses: TensorLike,
        cls_losses: TensorLike,
        decoded_boxes: TensorLike,
        match: TensorLike,
    ) -> MinedLosses:
        """Returns the sums over the selected anchors; gradients flow to these only.

        Args:
          location_losses, cls_losses: float32 [B, A], weighted per anchor, before normalization.
          decoded_boxes: float32 [B, A, 4], the predicted boxes, yxyx normalized.
          match: int32 [B, A], of `matcher.match`.
        """
        location_losses = tf.convert_to_tensor(location_losses, tf.float32)
        cls_losses = tf.convert_to_tensor(cls_losses, tf.float32)
        hardness = {
            "CLASSIFICATION": lambda: cls_losses,
            "LOCALIZATION": lambda: location_losses,
            "BOTH": lambda: (
                cls_losses * self.classification_weight + location_losses * self.localization_weight
            ),
        }[self.loss_type]()
        is_selected, num_positives, num_negatives = tf.map_fn(
            lambda image: self._select(*image),
            (tf.stop_gradient(hardness), tf.stop_gradient(decoded_boxes), match),
            fn_output_signature=(tf.bool, tf.int32, tf.int32),
        )
        return MinedLosses(
            localization_loss=tf.reduce_sum(tf.where(is_selected, location_losses, 0.0)),
            classification_loss=tf.reduce_sum(tf.where(is_selected, cls_losses, 0.0)),
            num_positives=num_positives,
            num_negatives=num_negatives,
        )

    def _select(
        self, hardness: tf.Tensor, boxes: tf.Tensor, match: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One image: bool [A], and the numbers of positives and of the others among them."""
        taken = self._take(hardness, boxes)
        match_of_taken = tf.gather(match, taken)
        is_positive = match_of_taken >= 0
        num_positives = tf.math.count_nonzero(is_positive, dtype=tf.int32)
        if self.max_negatives_per_positive > 0:
            limit = tf.maximum(
                self.min_negatives_per_image,
                tf.cast(
                    self.max_negatives_per_positive * tf.cast(num_positives, tf.float32), tf.int32
                ),
            )
            negatives_so_far = tf.cumsum(tf.cast(match_of_taken == UNMATCHED, tf.int32))
            taken = tf.boolean_mask(taken, is_positive | (negatives_so_far <= limit))
        is_selected = tf.scatter_nd(
            taken[:, tf.newaxis], tf.ones_like(taken, tf.bool), tf.shape(hardness)
        )
        return is_selected, num_positives, tf.size(taken) - num_positives

    def _take(self, hardness: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """One image: int32 indices of the anchors by falling loss, overlapping ones left out."""
        limit = tf.shape(hardness)[0]
        if self.num_hard_examples > 0:
            limit = tf.minimum(limit, self.num_hard_examples)
        if self.iou_threshold >= 1.0:
            # No overlap is more than 1, and comparing each anchor with each takes a while.
            return tf.argsort(hardness, direction="DESCENDING", stable=True)[:limit]
        return tf.image.non_max_suppression(boxes, hardness, limit, self.iou_threshold)
