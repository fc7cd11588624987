"""What training minimizes: both losses per anchor, which anchors count, normalization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ssd.core import example_sampling, expected_loss_weights, losses
from ssd.core.expected_loss_weights import WeightsFunction
from ssd.core.hard_example_miner import HardExampleMiner
from ssd.core.target_assigner import Targets

# (predictions, targets, weights) -> losses: [B, A, 4] -> [B, A], and
# [B, A, C+1] -> [B, A, C+1] or [B, A].
AnchorLoss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class SsdLoss:
    """The `loss` section and the normalization switches; field names are theirs.

    Attributes:
      localization_loss, classification_loss: per anchor, their own settings bound.
      compares_boxes: whether localization_loss takes boxes (IoU losses) instead of encodings.
      classification_weight, localization_weight: factors of the two.
      normalize_loss_by_num_matches: divide both by the matched weight of the batch, at least 1.
      normalize_loc_loss_by_codesize: divide the localization loss by the box code size too.
      hard_example_miner: None: every anchor counts.
      positive_sample_fraction: of `random_example_sampler`; None: no sampling.
      expected_loss_weights: None: no weighting.
    """

    localization_loss: AnchorLoss
    classification_loss: AnchorLoss
    compares_boxes: bool = False
    classification_weight: float = 1.0
    localization_weight: float = 1.0
    normalize_loss_by_num_matches: bool = True
    normalize_loc_loss_by_codesize: bool = False
    hard_example_miner: HardExampleMiner | None = None
    positive_sample_fraction: float | None = None
    expected_loss_weights: WeightsFunction | None = None

    def __call__(
        self,
        box_encodings: tf.Tensor,
        class_predictions: tf.Tensor,
        targets: Targets,
        *,
        unmatched_class_label: Any,
        decode: Callable[[tf.Tensor], tf.Tensor],
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns the named float32 scalars whose sum is minimized.

        Args:
          box_encodings: float32 [B, A, code size].
          class_predictions: float32 [B, A, C+1], logits.
          targets: of the same batch.
          unmatched_class_label: float32 [C+1], the class target of an anchor without a box.
          decode: box encodings -> boxes [B, A, 4].
          seed: int [2], of the sampler's draw; needed with positive_sample_fraction only.
        """
        if self.positive_sample_fraction is not None:
            targets = _sampled(targets, self.positive_sample_fraction, seed)
        predicted, wanted = box_encodings, targets.reg_targets
        if self.compares_boxes:
            predicted, wanted = decode(predicted), decode(wanted)
        location_losses = self.localization_loss(predicted, wanted, targets.reg_weights)
        cls_losses = self.classification_loss(
            class_predictions, targets.cls_targets, targets.cls_weights
        )
        if self.expected_loss_weights is not None:
            unmatched = tf.ones_like(targets.cls_targets) * unmatched_class_label
            localization, classification = expected_loss_weights.reweighted(
                location_losses,
                cls_losses,
                self.classification_loss(class_predictions, unmatched, targets.cls_weights),
                targets.cls_targets,
                self.expected_loss_weights,
            )
        elif self.hard_example_miner is not None:
            mined = self.hard_example_miner.mine(
                location_losses, _per_anchor(cls_losses), decode(box_encodings), targets.match
            )
            localization, classification = mined.localization_loss, mined.classification_loss
        else:
            localization, classification = map(tf.reduce_sum, (location_losses, cls_losses))
        return self._normalized(localization, classification, targets)

    def _normalized(
        self, localization: tf.Tensor, classification: tf.Tensor, targets: Targets
    ) -> dict[str, tf.Tensor]:
        normalizer = tf.constant(1.0)
        if self.normalize_loss_by_num_matches:
            normalizer = losses.num_matches_normalizer(targets.reg_weights)
        code_size = float(targets.reg_targets.shape[-1])
        box_normalizer = normalizer
        if self.normalize_loc_loss_by_codesize:
            box_normalizer *= code_size
        return {
            "localization_loss": localization * (self.localization_weight / box_normalizer),
            "classification_loss": classification * (self.classification_weight / normalizer),
        }


def _sampled(targets: Targets, fraction: float, seed: tf.Tensor | None) -> Targets:
    if seed is None:
        raise ValueError("random_example_sampler needs a seed")
    is_sampled = example_sampling.sample_balanced(
        targets.cls_targets, targets.cls_weights, positive_sample_fraction=fraction, seed=seed
    )
    sampled = tf.cast(is_sampled, tf.float32)
    cls_weights = targets.cls_weights
    per_column = sampled if cls_weights.shape.rank == 2 else sampled[..., tf.newaxis]
    return targets._replace(
        reg_weights=targets.reg_weights * sampled, cls_weights=cls_weights * per_column
    )


def _per_anchor(cls_losses: tf.Tensor) -> tf.Tensor:
    return cls_losses if cls_losses.shape.rank == 2 else tf.reduce_sum(cls_losses, axis=2)
