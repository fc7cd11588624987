"""Loss messages -> SsdLoss."""

from __future__ import annotations

import functools
from typing import Any

from ssd.core import classification_losses, expected_loss_weights, localization_losses
from ssd.core.expected_loss_weights import WeightsFunction
from ssd.core.hard_example_miner import HardExampleMiner
from ssd.models.ssd_loss import AnchorLoss, SsdLoss

_BOX_LOSSES = {"weighted_iou": localization_losses.iou, "weighted_giou": localization_losses.giou}
_EXPECTED_LOSS_WEIGHTS = {
    1: expected_loss_weights.expected_sampling,
    2: expected_loss_weights.reweighting_unmatched_anchors,
}


def build(ssd: Any) -> SsdLoss:
    """Returns the loss of an Ssd message."""
    loss = ssd.loss
    sampler = loss.random_example_sampler
    return SsdLoss(
        localization_loss=_localization_loss(loss.localization_loss),
        classification_loss=_classification_loss(loss.classification_loss),
        compares_boxes=loss.localization_loss.WhichOneof("localization_loss") in _BOX_LOSSES,
        classification_weight=loss.classification_weight,
        localization_weight=loss.localization_weight,
        normalize_loss_by_num_matches=ssd.normalize_loss_by_num_matches,
        normalize_loc_loss_by_codesize=ssd.normalize_loc_loss_by_codesize,
        hard_example_miner=_miner(loss) if loss.HasField("hard_example_miner") else None,
        positive_sample_fraction=sampler.positive_sample_fraction
        if loss.HasField("random_example_sampler")
        else None,
        expected_loss_weights=_expected_loss_weights(loss),
    )


def _localization_loss(message: Any) -> AnchorLoss:
    kind = message.WhichOneof("localization_loss")
    if kind == "weighted_smooth_l1":
        delta = message.weighted_smooth_l1.delta
        return functools.partial(localization_losses.smooth_l1, delta=delta)
    losses = {
        "weighted_l2": localization_losses.l2,
        "l1_localization_loss": localization_losses.l1,
        **_BOX_LOSSES,
    }
    return losses[kind]


def _classification_loss(message: Any) -> AnchorLoss:
    kind = message.WhichOneof("classification_loss")
    values = getattr(message, kind)
    match kind:
        case "weighted_sigmoid_focal":
            return functools.partial(
                classification_losses.sigmoid_focal,
                gamma=values.gamma,
                alpha=values.alpha if values.HasField("alpha") else None,
            )
        case "bootstrapped_sigmoid":
            return functools.partial(
                classification_losses.bootstrapped_sigmoid,
                alpha=values.alpha,
                hard_bootstrap=values.hard_bootstrap,
            )
        case "weighted_softmax":
            return functools.partial(classification_losses.softmax, logit_scale=values.logit_scale)
        case "weighted_logits_softmax":
            return functools.partial(
                classification_losses.softmax_against_logits, logit_scale=values.logit_scale
            )
        case "penalty_reduced_logistic_focal_loss":
            return functools.partial(
                classification_losses.penalty_reduced_focal, alpha=values.alpha, beta=values.beta
            )
        case "weighted_dice_classification_loss":
            return functools.partial(
                classification_losses.dice,
                squared_normalization=values.squared_normalization,
                is_prediction_probability=values.is_prediction_probability,
            )
    return classification_losses.sigmoid


def _miner(loss: Any) -> HardExampleMiner:
    values = loss.hard_example_miner
    loss_types = values.DESCRIPTOR.fields_by_name["loss_type"].enum_type
    return HardExampleMiner(
        num_hard_examples=values.num_hard_examples,
        iou_threshold=values.iou_threshold,
        loss_type=loss_types.values_by_number[values.loss_type].name,
        classification_weight=loss.classification_weight,
        localization_weight=loss.localization_weight,
        max_negatives_per_positive=values.max_negatives_per_positive,
        min_negatives_per_image=values.min_negatives_per_image,
    )


def _expected_loss_weights(loss: Any) -> WeightsFunction | None:
    function = _EXPECTED_LOSS_WEIGHTS.get(loss.expected_loss_weights)
    if function is None:
        return None
    return functools.partial(
        function,
        min_num_negative_samples=loss.min_num_negative_samples,
        desired_negative_sampling_ratio=loss.desired_negative_sampling_ratio,
    )
