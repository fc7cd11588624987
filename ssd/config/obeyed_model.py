"""The `model` settings that are acted on; `obeyed.py` says how to read these tables."""

from __future__ import annotations

from ssd.config.obeyed_post_processing import POST_PROCESSING
from ssd.config.rules import (
    COUNT,
    FRACTION,
    POSITIVE,
    Rule,
    Table,
    above,
    at_least,
    between,
    only,
    under,
)

EXTRACTOR_TYPES = tuple(
    f"ssd_mobilenet_v{version}{suffix}"
    for version in (1, 2)
    for suffix in ("_keras", "_fpn_keras", "", "_fpn")
)

_SHARE = Rule(lambda value: 0 < value <= 1, "more than 0, up to 1")
_NORMAL: Table = {"": None, "mean": None, "stddev": at_least(0)}
_BATCH_NORM: Table = {
    "": None,
    "decay": FRACTION,
    "center": None,
    "scale": None,
    "epsilon": POSITIVE,
    "train": only(True, why="freeze_batchnorm is the switch that freezes statistics."),
}

_HYPERPARAMS: Table = {
    "": None,
    "op": only("CONV"),
    "regularizer": None,
    "regularizer.l1_regularizer": None,
    "regularizer.l1_regularizer.weight": at_least(0),
    "regularizer.l2_regularizer": None,
    "regularizer.l2_regularizer.weight": at_least(0),
    "initializer": None,
    **under("initializer.truncated_normal_initializer", _NORMAL),
    **under("initializer.random_normal_initializer", _NORMAL),
    "initializer.variance_scaling_initializer": None,
    "initializer.variance_scaling_initializer.factor": POSITIVE,
    "initializer.variance_scaling_initializer.uniform": None,
    "initializer.variance_scaling_initializer.mode": None,
    "initializer.keras_initializer_by_name": only(
        "glorot_uniform",
        "glorot_normal",
        "he_uniform",
        "he_normal",
        "lecun_uniform",
        "lecun_normal",
        "orthogonal",
        "zeros",
        "ones",
    ),
    "activation": None,
    **under("batch_norm", _BATCH_NORM),
    **under("sync_batch_norm", _BATCH_NORM),
    "group_norm": None,
    "regularize_depthwise": None,
    "force_use_bias": None,
}

_FEATURE_EXTRACTOR: Table = {
    "": None,
    "type": Rule(
        lambda value: value in EXTRACTOR_TYPES,
        ", ".join(EXTRACTOR_TYPES),
        "MobileNetV3, MobileDet and the other backbones of the original are not built here yet.",
    ),
    "depth_multiplier": POSITIVE,
    "min_depth": COUNT,
    **under("conv_hyperparams", _HYPERPARAMS),
    "override_base_feature_extractor_hyperparams": None,
    "batch_norm_trainable": only(
        True, why="It was taken out of the original; freeze_batchnorm freezes statistics."
    ),
    "pad_to_multiple": COUNT,
    "use_explicit_padding": None,
    "use_depthwise": None,
    "num_layers": between(1, 6),
    "fpn": None,
    "fpn.min_level": between(2, 5),
    "fpn.max_level": at_least(2),
    "fpn.additional_layer_depth": COUNT,
}

_CLIP_RANGE: Table = {"": None, "min": None, "max": None}
_ANY_BOX_PREDICTOR: Table = {
    "": None,
    **under("conv_hyperparams", _HYPERPARAMS),
    "num_layers_before_predictor": at_least(0),
    "use_dropout": None,
    "dropout_keep_probability": _SHARE,
    "kernel_size": COUNT,
    "box_code_size": COUNT,
    "class_prediction_bias_init": None,
    "use_depthwise": None,
    **under("box_encodings_clip_range", _CLIP_RANGE),
}
_CONVOLUTIONAL_BOX_PREDICTOR: Table = {
    **_ANY_BOX_PREDICTOR,
    "min_depth": at_least(0),
    "max_depth": at_least(0),
    "apply_sigmoid_to_scores": None,
}
_WEIGHT_SHARED_BOX_PREDICTOR: Table = {
    **_ANY_BOX_PREDICTOR,
    "apply_conv_hyperparams_to_heads": None,
    "apply_conv_hyperparams_pointwise": None,
    "depth": COUNT,
    "share_prediction_tower": None,
    "score_converter": None,
}

_LOCALIZATION_LOSS: Table = {
    "": None,
    "weighted_l2": None,
    "weighted_smooth_l1": None,
    "weighted_smooth_l1.delta": POSITIVE,
    "weighted_iou": None,
    "l1_localization_loss": None,
    "weighted_giou": None,
}
_CLASSIFICATION_LOSS: Table = {
    "": None,
    "weighted_sigmoid": None,
    "weighted_softmax": None,
    "weighted_softmax.logit_scale": POSITIVE,
    "weighted_logits_softmax": None,
    "weighted_logits_softmax.logit_scale": POSITIVE,
    "bootstrapped_sigmoid": None,
    "bootstrapped_sigmoid.alpha": FRACTION,
    "bootstrapped_sigmoid.hard_bootstrap": None,
    "weighted_sigmoid_focal": None,
    "weighted_sigmoid_focal.gamma": at_least(0),
    "weighted_sigmoid_focal.alpha": FRACTION,
    "penalty_reduced_logistic_focal_loss": None,
    "penalty_reduced_logistic_focal_loss.alpha": at_least(0),
    "penalty_reduced_logistic_focal_loss.beta": at_least(0),
    "weighted_dice_classification_loss": None,
    "weighted_dice_classification_loss.squared_normalization": None,
    "weighted_dice_classification_loss.is_prediction_probability": None,
}
_LOSS: Table = {
    "": None,
    **under("localization_loss", _LOCALIZATION_LOSS),
    **under("classification_loss", _CLASSIFICATION_LOSS),
    "hard_example_miner": None,
    "hard_example_miner.num_hard_examples": at_least(0),
    "hard_example_miner.iou_threshold": FRACTION,
    "hard_example_miner.loss_type": None,
    "hard_example_miner.max_negatives_per_positive": at_least(0),
    "hard_example_miner.min_negatives_per_image": at_least(0),
    "classification_weight": at_least(0),
    "localization_weight": at_least(0),
    "random_example_sampler": None,
    "random_example_sampler.positive_sample_fraction": _SHARE,
    "equalization_loss": None,
    "equalization_loss.weight": only(
        0, why="The original stores it and never uses it, so there is nothing to equal."
    ),
    "expected_loss_weights": None,
    "min_num_negative_samples": at_least(0),
    "desired_negative_sampling_ratio": POSITIVE,
}

_ANCHOR_GENERATOR: Table = {
    "": None,
    "grid_anchor_generator": None,
    "grid_anchor_generator.height": COUNT,
    "grid_anchor_generator.width": COUNT,
    "grid_anchor_generator.height_stride": at_least(0),
    "grid_anchor_generator.width_stride": at_least(0),
    "grid_anchor_generator.height_offset": None,
    "grid_anchor_generator.width_offset": None,
    "grid_anchor_generator.scales": POSITIVE,
    "grid_anchor_generator.aspect_ratios": POSITIVE,
    "ssd_anchor_generator": None,
    "ssd_anchor_generator.num_layers": COUNT,
    "ssd_anchor_generator.min_scale": POSITIVE,
    "ssd_anchor_generator.max_scale": POSITIVE,
    "ssd_anchor_generator.scales": POSITIVE,
    "ssd_anchor_generator.aspect_ratios": POSITIVE,
    "ssd_anchor_generator.interpolated_scale_aspect_ratio": at_least(0),
    "ssd_anchor_generator.reduce_boxes_in_lowest_layer": None,
    "ssd_anchor_generator.base_anchor_height": POSITIVE,
    "ssd_anchor_generator.base_anchor_width": POSITIVE,
    "ssd_anchor_generator.height_stride": COUNT,
    "ssd_anchor_generator.width_stride": COUNT,
    "ssd_anchor_generator.height_offset": at_least(0),
    "ssd_anchor_generator.width_offset": at_least(0),
    "multiscale_anchor_generator": None,
    "multiscale_anchor_generator.min_level": at_least(2),
    "multiscale_anchor_generator.max_level": at_least(2),
    "multiscale_anchor_generator.anchor_scale": POSITIVE,
    "multiscale_anchor_generator.aspect_ratios": POSITIVE,
    "multiscale_anchor_generator.scales_per_octave": COUNT,
    "multiscale_anchor_generator.normalize_coordinates": only(
        True, why="Boxes are normalized everywhere; anchors in pixels would match none."
    ),
    "flexible_grid_anchor_generator": None,
    "flexible_grid_anchor_generator.anchor_grid": None,
    "flexible_grid_anchor_generator.anchor_grid.base_sizes": POSITIVE,
    "flexible_grid_anchor_generator.anchor_grid.aspect_ratios": POSITIVE,
    "flexible_grid_anchor_generator.anchor_grid.height_stride": COUNT,
    "flexible_grid_anchor_generator.anchor_grid.width_stride": COUNT,
    "flexible_grid_anchor_generator.anchor_grid.height_offset": None,
    "flexible_grid_anchor_generator.anchor_grid.width_offset": None,
    "flexible_grid_anchor_generator.normalize_coordinates": only(
        True, why="Boxes are normalized everywhere; anchors in pixels would match none."
    ),
}

_IMAGE_RESIZER: Table = {
    "": None,
    "keep_aspect_ratio_resizer": None,
    "keep_aspect_ratio_resizer.min_dimension": COUNT,
    "keep_aspect_ratio_resizer.max_dimension": COUNT,
    "keep_aspect_ratio_resizer.resize_method": None,
    "keep_aspect_ratio_resizer.pad_to_max_dimension": None,
    "keep_aspect_ratio_resizer.convert_to_grayscale": None,
    "keep_aspect_ratio_resizer.per_channel_pad_value": None,
    "fixed_shape_resizer": None,
    "fixed_shape_resizer.height": COUNT,
    "fixed_shape_resizer.width": COUNT,
    "fixed_shape_resizer.resize_method": None,
    "fixed_shape_resizer.convert_to_grayscale": None,
    "identity_resizer": None,
    "conditional_shape_resizer": None,
    "conditional_shape_resizer.condition": only("GREATER", "SMALLER"),
    "conditional_shape_resizer.size_threshold": COUNT,
    "conditional_shape_resizer.resize_method": None,
    "conditional_shape_resizer.convert_to_grayscale": None,
    "pad_to_multiple_resizer": None,
    "pad_to_multiple_resizer.multiple": COUNT,
    "pad_to_multiple_resizer.convert_to_grayscale": None,
}

_SSD: Table = {
    "": None,
    "num_classes": COUNT,
    **under("image_resizer", _IMAGE_RESIZER),
    **under("feature_extractor", _FEATURE_EXTRACTOR),
    "box_coder": None,
    "box_coder.faster_rcnn_box_coder": None,
    "box_coder.faster_rcnn_box_coder.y_scale": POSITIVE,
    "box_coder.faster_rcnn_box_coder.x_scale": POSITIVE,
    "box_coder.faster_rcnn_box_coder.height_scale": POSITIVE,
    "box_coder.faster_rcnn_box_coder.width_scale": POSITIVE,
    "box_coder.mean_stddev_box_coder": None,
    "box_coder.mean_stddev_box_coder.stddev": above(0),
    "box_coder.square_box_coder": None,
    "box_coder.square_box_coder.y_scale": POSITIVE,
    "box_coder.square_box_coder.x_scale": POSITIVE,
    "box_coder.square_box_coder.length_scale": POSITIVE,
    "matcher": None,
    "matcher.argmax_matcher": None,
    # Distances as similarity are below 0.
    "matcher.argmax_matcher.matched_threshold": Rule(lambda value: value <= 1, "1 or less"),
    "matcher.argmax_matcher.unmatched_threshold": Rule(lambda value: value <= 1, "1 or less"),
    "matcher.argmax_matcher.ignore_thresholds": None,
    "matcher.argmax_matcher.negatives_lower_than_unmatched": None,
    "matcher.argmax_matcher.force_match_for_each_row": None,
    "matcher.bipartite_matcher": None,
    "similarity_calculator": None,
    "similarity_calculator.neg_sq_dist_similarity": None,
    "similarity_calculator.iou_similarity": None,
    "similarity_calculator.ioa_similarity": None,
    "similarity_calculator.thresholded_iou_similarity": None,
    "similarity_calculator.thresholded_iou_similarity.iou_threshold": FRACTION,
    "encode_background_as_zeros": None,
    "negative_class_weight": at_least(0),
    "box_predictor": None,
    **under("box_predictor.convolutional_box_predictor", _CONVOLUTIONAL_BOX_PREDICTOR),
    **under(
        "box_predictor.weight_shared_convolutional_box_predictor", _WEIGHT_SHARED_BOX_PREDICTOR
    ),
    **under("anchor_generator", _ANCHOR_GENERATOR),
    **under("post_processing", POST_PROCESSING),
    "normalize_loss_by_num_matches": None,
    "normalize_loc_loss_by_codesize": None,
    **under("loss", _LOSS),
    "freeze_batchnorm": None,
    "add_background_class": None,
    "use_confidences_as_targets": None,
    "implicit_example_weight": at_least(0),
}

MODEL: Table = {"": None, **under("ssd", _SSD)}
