from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import TrainEvalPipelineConfig
from ssd.optimizer import build_optimizer
from ssd.optimizers import stored_state
from ssd.optimizers.moving_average import MovingAverages

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
PATHS = ("model/layer/kernel", "model/layer/bias")


@pytest.mark.parametrize(
    "case",
    [
        "momentum",
        "momentum_0",
        "rms_prop",
        "rms_prop_momentum_0",
        "adam",
        "momentum_averaged",
        "rms_prop_averaged",
        "adam_averaged",
    ],
)
def test_keys_and_values_are_those_of_the_original(golden_data, tmp_path, case):
    golden = np.load(golden_data / "optimizers.npz")
    message = TrainEvalPipelineConfig().train_config.optimizer
    text_format.Parse(str(golden[f"{case}/config"]), message)
    optimizer = build_optimizer(message)
    variables = [keras.Variable(golden["kernel"]), keras.Variable(golden["bias"])]
    optimizer.build(variables)
    own = [variable.value for variable in variables]
    averages = None
    if message.use_moving_average:
        averages = MovingAverages(own, message.moving_average_decay)
    for gradients in zip(golden["kernel_gradients"], golden["bias_gradients"], strict=True):
        optimizer.apply([tf.constant(g) for g in gradients], variables)
        if averages:
            averages.update(optimizer.iterations.value)

    model = tf.Module()
    model.layer = tf.Module()
    model.layer.kernel, model.layer.bias = own
    model.layer.moving_mean = tf.Variable(tf.zeros(3))
    root = tf.train.Checkpoint(step=tf.Variable(6, dtype=tf.int64), model=model)
    root.optimizer = stored_state.tree(optimizer, averages, own, 6)
    reader = tf.train.load_checkpoint(root.save(str(tmp_path / "ckpt")))
    stored = {key.removesuffix(SUFFIX) for key in reader.get_variable_to_shape_map()}
    assert stored - {"_CHECKPOINTABLE_OBJECT_GRAPH"} == set(golden[f"{case}/checkpoint_keys"])
    recorded = [key for key in golden if key.startswith(f"{case}/stored/")]
    for key in recorded:
        name = key.removeprefix(f"{case}/stored/")
        value = reader.get_tensor(name + SUFFIX)
        assert value.dtype == golden[key].dtype, name
        np.testing.assert_allclose(value, golden[key], rtol=1e-5, atol=1e-6, err_msg=name)
    slots = stored_state.slot_variables(optimizer, averages, PATHS)
    assert set(slots) == {name for name in stored if "OPTIMIZER_SLOT" in name}
    for name, slot in slots.items():
        np.testing.assert_array_equal(slot.numpy(), reader.get_tensor(name + SUFFIX), name)
