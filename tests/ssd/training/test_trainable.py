from __future__ import annotations

import pytest

from ssd.errors import InputError
from ssd.training.trainable import choose_trained, frozen_line


def keys_of(detector, variables) -> set[str]:
    paths = {id(v): key for key, v in detector.checkpoint_variables().items()}
    return {paths[id(variable.value)] for variable in variables}


BACKBONE = "_feature_extractor/classification_backbone/layer_with_weights-"


@pytest.mark.parametrize(
    ("pattern", "frozen"),
    [
        # Block 1: three convolutions, three normalizations of gamma and beta.
        pytest.param("FeatureExtractor/MobilenetV2/expanded_conv_1/", range(6, 12), id="TF1"),
        pytest.param("block_1_", range(6, 12), id="TF2"),
        pytest.param("^block_1_expand/kernel$", [6], id="TF2, one variable"),
        pytest.param("^Conv1/kernel:0$", [0], id="with TensorFlow's number"),
        pytest.param(
            "^model/_feature_extractor/classification_backbone/layer_with_weights-[0-3]/",
            range(4),
            id="checkpoint",
        ),
        pytest.param("MobilenetV2/Conv/(weights|BatchNorm)", [0, 1], id="alternatives"),
    ],
)
def test_patterns_find_any_of_the_names(tiny_detector, pattern, frozen):
    trained = keys_of(tiny_detector, choose_trained(tiny_detector, freeze_variables=[pattern]))
    every = keys_of(tiny_detector, tiny_detector.network.trainable_variables)
    left_out = every - trained
    assert {key.rpartition("/")[0] for key in left_out} == {f"{BACKBONE}{n}" for n in frozen}
    assert not any(key.endswith(("moving_mean", "moving_variance")) for key in left_out)


def test_what_is_updated_and_frozen(tiny_detector):
    """Of what is to be updated, what is frozen is left out, as under TF1."""
    trained = choose_trained(
        tiny_detector,
        update_trainable_variables=["BoxPredictor", "block_16_"],
        freeze_variables=["biases", "block_16_expand"],
    )
    keys = keys_of(tiny_detector, trained)
    assert {key.partition("/")[0] for key in keys} == {"_box_predictor", "_feature_extractor"}
    backbone = {key for key in keys if key.startswith(BACKBONE)}
    # Of block 16, depthwise and projection with gamma and beta.
    assert len(backbone) == 6
    assert not any(key.endswith("/bias") for key in keys)
    # Tower: 4 separable convolutions, 20 normalizations; heads: 2 separable convolutions.
    assert len(keys - backbone) == 4 * 2 + 20 * 2 + 2 * 2
    order = [v.path for v in tiny_detector.network.trainable_variables]
    assert [v.path for v in trained] == [p for p in order if p in {v.path for v in trained}]


def test_everything_is_trained_without_patterns(tiny_detector):
    trained = choose_trained(tiny_detector)
    assert len(trained) == len(tiny_detector.network.trainable_variables) == 232
    assert frozen_line(tiny_detector, trained) == "frozen: 0 of 232 variables (0 values)"


def test_the_line_counts_variables_and_values(tiny_detector):
    trained = choose_trained(tiny_detector, freeze_variables=["^Conv1/", "^bn_Conv1/"])
    # 3 * 3 * 3 * 16, and gamma and beta of 16: depth 0.25 of 32, but not below min_depth.
    assert frozen_line(tiny_detector, trained) == "frozen: 3 of 232 variables (464 values)"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            {"freeze_variables": ["block_1_", "FeatureExtractor/MobilenetV3/Conv/weights"]},
            r"train_config\.freeze_variables\[1\]: 'FeatureExtractor/MobilenetV3/Conv/weights' "
            r"finds none of the 232 trainable variables; near: "
            r"FeatureExtractor/MobilenetV2/Conv/weights, ",
            id="nothing found",
        ),
        pytest.param(
            {"update_trainable_variables": ["moving_mean"]},
            r"train_config\.update_trainable_variables\[0\]: 'moving_mean' finds none",
            id="not trained anyway",
        ),
        pytest.param(
            {"freeze_variables": ["*.weights"]},
            r"train_config\.freeze_variables\[0\]: '\*\.weights' is no regular expression \(.+\)",
            id="no expression",
        ),
        pytest.param(
            {"freeze_variables": [""]},
            r"leave no variable to train out of 232; remove patterns",
            id="everything frozen",
        ),
    ],
)
def test_patterns_that_cannot_be_meant(tiny_detector, settings, message):
    with pytest.raises(InputError, match=message):
        choose_trained(tiny_detector, **settings)
