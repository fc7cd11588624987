"""BoxPredictor messages -> box predictors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ssd.errors import InputError
from ssd.models import hyperparams_builder
from ssd.models.box_predictor import Columns
from ssd.models.convolutional_box_predictor import ConvolutionalBoxPredictor
from ssd.models.weight_shared_box_predictor import WeightSharedBoxPredictor

BoxPredictor = ConvolutionalBoxPredictor | WeightSharedBoxPredictor
_SIGMOID = 1  # WeightSharedConvolutionalBoxPredictor.ScoreConverter


def build(
    message: Any,
    *,
    num_class_columns: int,
    num_anchors_per_location: Sequence[int],
    feature_map_channels: Sequence[int],
    freeze_batchnorm: bool,
    is_tf1: bool,
) -> BoxPredictor:
    """Returns the box predictor that a BoxPredictor message describes.

    Args:
      message: with `convolutional_box_predictor` or `weight_shared_convolutional_box_predictor`.
      num_class_columns: background included, if it has a column.
      num_anchors_per_location: one number per feature map.
      feature_map_channels: one number per feature map. Layers are made and checked here, not at
        the first call, where Keras would wrap a complaint in lines of its own.
      freeze_batchnorm: of the whole model.
      is_tf1: see `hyperparams_builder.build`.

    Raises:
      InputError: heads are shared, but the feature maps have different numbers of anchors; or
        channels do not divide into the groups of `group_norm`.
    """
    predictor = _build(
        message,
        num_class_columns=num_class_columns,
        num_anchors_per_location=num_anchors_per_location,
        freeze_batchnorm=freeze_batchnorm,
        is_tf1=is_tf1,
    )
    predictor.build([(None, None, None, channels) for channels in feature_map_channels])
    return predictor


def _build(
    message: Any,
    *,
    num_class_columns: int,
    num_anchors_per_location: Sequence[int],
    freeze_batchnorm: bool,
    is_tf1: bool,
) -> BoxPredictor:
    kind = message.WhichOneof("box_predictor_oneof")
    values = getattr(message, kind)
    hyperparams = hyperparams_builder.build(
        values.conv_hyperparams, freeze_batchnorm=freeze_batchnorm, is_tf1=is_tf1
    )
    clip = values.box_encodings_clip_range
    has_clip = values.HasField("box_encodings_clip_range")
    columns = Columns(
        values.box_code_size, num_class_columns, (clip.min, clip.max) if has_clip else None
    )
    common = {
        "num_layers_before_predictor": values.num_layers_before_predictor,
        "kernel_size": values.kernel_size,
        "class_prediction_bias_init": values.class_prediction_bias_init,
        "use_depthwise": values.use_depthwise,
        "dropout_rate": 1.0 - values.dropout_keep_probability if values.use_dropout else None,
    }
    if kind == "convolutional_box_predictor":
        return ConvolutionalBoxPredictor(
            hyperparams,
            columns,
            num_anchors_per_location=num_anchors_per_location,
            min_depth=values.min_depth,
            max_depth=values.max_depth,
            apply_sigmoid_to_scores=values.apply_sigmoid_to_scores,
            **common,
        )
    if len(set(num_anchors_per_location)) > 1:
        raise InputError(
            f"model.ssd.box_predictor.{kind}: its heads are shared by all feature maps, but the "
            f"anchor generator has {list(num_anchors_per_location)} anchors per location; give a "
            "convolutional_box_predictor, or the same number everywhere (for "
            "ssd_anchor_generator: reduce_boxes_in_lowest_layer: false)"
        )
    return WeightSharedBoxPredictor(
        hyperparams,
        columns,
        num_levels=len(num_anchors_per_location),
        num_anchors_per_location=num_anchors_per_location[0],
        depth=values.depth,
        share_prediction_tower=values.share_prediction_tower,
        # The original looks at this one field, not at sync_batch_norm; see docs/differences.md.
        has_normalized_towers=values.conv_hyperparams.WhichOneof("normalizer_oneof")
        in ("batch_norm", "group_norm"),
        apply_conv_hyperparams_to_heads=values.apply_conv_hyperparams_to_heads,
        apply_conv_hyperparams_pointwise=values.apply_conv_hyperparams_pointwise,
        converts_to_sigmoid=values.score_converter == _SIGMOID,
        **common,
    )
