from __future__ import annotations

import pytest
from google.protobuf import text_format

from ssd.config.messages import TrainEvalPipelineConfig
from ssd.models import hyperparams_builder
from ssd.models.hyperparams import BatchNorm, GroupNorm


def hyperparams_message(text: str):
    config = TrainEvalPipelineConfig()
    message = config.model.ssd.feature_extractor.conv_hyperparams
    text_format.Parse(text, message)
    return message


@pytest.mark.parametrize(
    ("text", "initializer", "l2_weight"),
    [
        (
            "initializer { random_normal_initializer { stddev: 0.5 mean: 0.25 } } "
            "regularizer { l2_regularizer { weight: 0.125 } }",
            {"class_name": "RandomNormal", "config": {"mean": 0.25, "stddev": 0.5}},
            0.125,
        ),
        # Defaults of the schema: stddev 1, l2 weight 1.
        (
            "initializer { truncated_normal_initializer {} } regularizer { l2_regularizer {} }",
            {"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 1.0}},
            1.0,
        ),
        (
            "initializer { variance_scaling_initializer { factor: 1.5 uniform: true "
            "mode: FAN_AVG } }",
            {
                "class_name": "VarianceScaling",
                "config": {"scale": 1.5, "mode": "fan_avg", "distribution": "uniform"},
            },
            0.0,
        ),
        (
            "initializer { variance_scaling_initializer {} }",
            {
                "class_name": "VarianceScaling",
                "config": {"scale": 2.0, "mode": "fan_in", "distribution": "truncated_normal"},
            },
            0.0,
        ),
    ],
)
def test_conv_hyperparams(text, initializer, l2_weight):
    found = hyperparams_builder.build(
        hyperparams_message(text + " batch_norm { decay: 0.75 epsilon: 0.5 }"),
        freeze_batchnorm=True,
        is_tf1=False,
    )
    assert found.initializer == initializer
    # Keras has no half in its formula.
    l2 = {"class_name": "L2", "config": {"l2": l2_weight / 2}}
    assert found.regularizer == (l2 if l2_weight else None)
    assert found.normalizer == BatchNorm(decay=0.75, epsilon=0.5, scale=False)
    assert found.activation == "RELU"
    assert found.freeze_batchnorm


@pytest.mark.parametrize(
    ("text", "normalizer", "use_bias"),
    [
        ("", None, True),
        (
            "batch_norm { scale: true epsilon: 0.5 decay: 0.75 }",
            BatchNorm(decay=0.75, epsilon=0.5),
            False,
        ),
        # Without an offset in the normalizer the convolution has one.
        (
            "batch_norm { scale: true epsilon: 0.5 decay: 0.75 center: false }",
            BatchNorm(decay=0.75, epsilon=0.5, center=False),
            True,
        ),
        (
            "batch_norm { scale: true epsilon: 0.5 decay: 0.75 } force_use_bias: true",
            BatchNorm(decay=0.75, epsilon=0.5),
            True,
        ),
        (
            "sync_batch_norm { scale: true decay: 0.5 epsilon: 0.25 }",
            BatchNorm(decay=0.5, epsilon=0.25, is_synchronized=True),
            False,
        ),
        ("group_norm {}", GroupNorm(), False),
    ],
)
def test_normalizers(text, normalizer, use_bias):
    found = hyperparams_builder.build(
        hyperparams_message(text), freeze_batchnorm=False, is_tf1=False
    )
    assert found.normalizer == normalizer
    assert found.use_bias is use_bias


def test_other_fields():
    found = hyperparams_builder.build(
        hyperparams_message(
            "activation: SWISH regularize_depthwise: true "
            "regularizer { l1_regularizer { weight: 0.25 } } "
            "initializer { keras_initializer_by_name: 'he_uniform' }"
        ),
        freeze_batchnorm=False,
        is_tf1=True,
    )
    assert found.activation == "SWISH"
    assert found.regularize_depthwise
    assert found.reaches_every_kernel
    assert found.regularizer == {"class_name": "L1", "config": {"l1": 0.25}}
    assert found.initializer == "he_uniform"
