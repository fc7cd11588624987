"""Hyperparams messages (`conv_hyperparams`) -> ConvHyperparams."""

from __future__ import annotations

from typing import Any

from ssd.models.hyperparams import BatchNorm, ConvHyperparams, GroupNorm

_VARIANCE_SCALING_MODES = {0: "fan_in", 1: "fan_out", 2: "fan_avg"}
_NORMALS = {
    "truncated_normal_initializer": "TruncatedNormal",
    "random_normal_initializer": "RandomNormal",
}


def build(message: Any, *, freeze_batchnorm: bool, is_tf1: bool) -> ConvHyperparams:
    """Returns the plain form of a Hyperparams message.

    Args:
      message: `conv_hyperparams`.
      freeze_batchnorm: of the whole model.
      is_tf1: the model is of a TF1 type; see `ConvHyperparams.reaches_every_kernel`.
    """
    activation = message.DESCRIPTOR.fields_by_name["activation"].enum_type
    return ConvHyperparams(
        initializer=_initializer(message.initializer),
        regularizer=_regularizer(message.regularizer),
        activation=activation.values_by_number[message.activation].name,
        normalizer=_normalizer(message),
        force_use_bias=message.force_use_bias,
        freeze_batchnorm=freeze_batchnorm,
        reaches_every_kernel=is_tf1,
        regularize_depthwise=message.regularize_depthwise,
    )


def _initializer(message: Any) -> dict[str, Any] | str | None:
    kind = message.WhichOneof("initializer_oneof")
    if kind is None:
        return None
    values = getattr(message, kind)
    if kind == "keras_initializer_by_name":
        return str(values)
    if kind == "variance_scaling_initializer":
        config = {
            "scale": values.factor,
            "mode": _VARIANCE_SCALING_MODES[values.mode],
            "distribution": "uniform" if values.uniform else "truncated_normal",
        }
        return {"class_name": "VarianceScaling", "config": config}
    config = {"mean": values.mean, "stddev": values.stddev}
    return {"class_name": _NORMALS[kind], "config": config}


def _regularizer(message: Any) -> dict[str, Any] | None:
    kind = message.WhichOneof("regularizer_oneof")
    if kind == "l1_regularizer":
        return {"class_name": "L1", "config": {"l1": message.l1_regularizer.weight}}
    # The weight is that of sum(w^2) / 2, Keras' that of sum(w^2).
    if kind == "l2_regularizer":
        return {"class_name": "L2", "config": {"l2": 0.5 * message.l2_regularizer.weight}}
    return None


def _normalizer(message: Any) -> BatchNorm | GroupNorm | None:
    kind = message.WhichOneof("normalizer_oneof")
    if kind is None:
        return None
    if kind == "group_norm":
        return GroupNorm()
    values = getattr(message, kind)
    return BatchNorm(
        decay=values.decay,
        epsilon=values.epsilon,
        center=values.center,
        scale=values.scale,
        is_synchronized=kind == "sync_batch_norm",
    )
