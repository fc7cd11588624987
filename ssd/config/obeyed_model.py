"""The `model` settings that are acted on; `obeyed.py` says how to read these tables."""

from __future__ import annotations

from ssd.config.rules import COUNT, FRACTION, POSITIVE, Table, at_least, between, only, under

_HYPERPARAMS: Table = {
    "": None,
    "op": only("CONV"),
    "regularizer": None,
    "regularizer.l2_regularizer": None,
    "regularizer.l2_regularizer.weight": at_least(0),
    "initializer": None,
    "initializer.truncated_normal_initializer": None,
    "initializer.truncated_normal_initializer.mean": None,
    "initializer.truncated_normal_initializer.stddev": at_least(0),
    "initializer.random_normal_initializer": None,
    "initializer.random_normal_initializer.mean": None,
    "initializer.random_normal_initializer.stddev": at_least(0),
    "initializer.variance_scaling_initializer": None,
    "initializer.variance_scaling_initializer.factor": POSITIVE,
    "initializer.variance_scaling_initializer.uniform": None,
    "initializer.variance_scaling_initializer.mode": None,
    "activation": only("RELU_6"),
    "batch_norm": None,
    "batch_norm.decay": FRACTION,
    "batch_norm.center": only(True),
    "batch_norm.scale": only(True),
    "batch_norm.epsilon": POSITIVE,
    "batch_norm.train": only(True, why="freeze_batchnorm is the switch that freezes statistics."),
}

_FEATURE_EXTRACTOR: Table = {
    "": None,
    "type": only("ssd_mobilenet_v2_fpn_keras"),
    "depth_multiplier": POSITIVE,
    "min_depth": COUNT,
    **under("conv_hyperparams", _HYPERPARAMS),
    "use_depthwise": None,
    "override_base_feature_extractor_hyperparams": only(
        True, why="With false the backbone would not follow conv_hyperparams."
    ),
    "fpn": None,
    "fpn.min_level": between(2, 5),
    "fpn.max_level": at_least(2),
    "fpn.additional_layer_depth": COUNT,
}

_BOX_PREDICTOR: Table = {
    "": None,
    **under("conv_hyperparams", _HYPERPARAMS),
    "depth": COUNT,
    "num_layers_before_predictor": at_least(0),
    "kernel_size": COUNT,
    "class_prediction_bias_init": None,
    "share_prediction_tower": None,
    "use_depthwise": None,
}

_POST_PROCESSING: Table = {
    "": None,
    "batch_non_max_suppression": None,
    "batch_non_max_suppression.score_threshold": None,
    "batch_non_max_suppression.iou_threshold": FRACTION,
    "batch_non_max_suppression.max_detections_per_class": COUNT,
    "batch_non_max_suppression.max_total_detections": COUNT,
    "score_converter": only("SIGMOID"),
}

_LOSS: Table = {
    "": None,
    "localization_loss": None,
    "localization_loss.weighted_smooth_l1": None,
    "localization_loss.weighted_smooth_l1.delta": POSITIVE,
    "classification_loss": None,
    "classification_loss.weighted_sigmoid_focal": None,
    "classification_loss.weighted_sigmoid_focal.gamma": at_least(0),
    "classification_loss.weighted_sigmoid_focal.alpha": FRACTION,
    "classification_weight": at_least(0),
    "localization_weight": at_least(0),
}

_SSD: Table = {
    "": None,
    "num_classes": COUNT,
    "image_resizer": None,
    "image_resizer.fixed_shape_resizer": None,
    "image_resizer.fixed_shape_resizer.height": COUNT,
    "image_resizer.fixed_shape_resizer.width": COUNT,
    "image_resizer.fixed_shape_resizer.resize_method": only("BILINEAR"),
    "image_resizer.fixed_shape_resizer.convert_to_grayscale": only(False),
    **under("feature_extractor", _FEATURE_EXTRACTOR),
    "box_coder": None,
    "box_coder.faster_rcnn_box_coder": None,
    "box_coder.faster_rcnn_box_coder.y_scale": POSITIVE,
    "box_coder.faster_rcnn_box_coder.x_scale": POSITIVE,
    "box_coder.faster_rcnn_box_coder.height_scale": POSITIVE,
    "box_coder.faster_rcnn_box_coder.width_scale": POSITIVE,
    "matcher": None,
    "matcher.argmax_matcher": None,
    "matcher.argmax_matcher.matched_threshold": FRACTION,
    "matcher.argmax_matcher.unmatched_threshold": FRACTION,
    "matcher.argmax_matcher.ignore_thresholds": None,
    "matcher.argmax_matcher.negatives_lower_than_unmatched": None,
    "matcher.argmax_matcher.force_match_for_each_row": None,
    "similarity_calculator": None,
    "similarity_calculator.iou_similarity": None,
    "encode_background_as_zeros": only(
        True, why="Background then is the absence of every class, as sigmoid scores need it."
    ),
    "box_predictor": None,
    **under("box_predictor.weight_shared_convolutional_box_predictor", _BOX_PREDICTOR),
    "anchor_generator": None,
    "anchor_generator.multiscale_anchor_generator": None,
    "anchor_generator.multiscale_anchor_generator.min_level": at_least(2),
    "anchor_generator.multiscale_anchor_generator.max_level": at_least(2),
    "anchor_generator.multiscale_anchor_generator.anchor_scale": POSITIVE,
    "anchor_generator.multiscale_anchor_generator.aspect_ratios": POSITIVE,
    "anchor_generator.multiscale_anchor_generator.scales_per_octave": COUNT,
    "anchor_generator.multiscale_anchor_generator.normalize_coordinates": only(True),
    **under("post_processing", _POST_PROCESSING),
    "normalize_loss_by_num_matches": None,
    "normalize_loc_loss_by_codesize": None,
    **under("loss", _LOSS),
    "freeze_batchnorm": None,
}

MODEL: Table = {"": None, **under("ssd", _SSD)}
