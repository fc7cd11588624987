from __future__ import annotations

import numpy as np
import pytest

from export import flatbuffer
from export.converter import convert_graph
from export.flatbuffer import Constants, operators_of
from export.network_graph import NetworkGraph
from export.quantization.weight_rounding import round_depthwise_kernels, round_kernel


def kernel_of(steps: list[float], step: float) -> np.ndarray:
    """A 1-channel kernel [n, 1, 1, 1] of so many steps."""
    return (np.array(steps).reshape(-1, 1, 1, 1) * step).astype(np.float32)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # errors of the nearest: -0.3 - 0.35 - 0.4 = -1.05: one goes up, that of -0.4
        pytest.param([127, 5.3, 6.35, 7.4], [127, 5, 6, 8], id="one goes up"),
        # 0.45 + 0.3 + 0.4 = 1.15: one goes down, that of 0.45
        pytest.param([-127, 5.55, 6.7, 7.6], [-127, 5, 7, 8], id="one goes down"),
        # -0.41 - 0.45 - 0.43 - 0.47 = -1.76: two go up
        pytest.param([127, 1.41, 2.45, 3.43, 4.47], [127, 1, 3, 3, 5], id="two go up"),
        # +0.4 - 0.4 = 0: nearest is right
        pytest.param([127, 5.6, 8.4], [127, 6, 8], id="errors cancel"),
        pytest.param([127, -127, 0], [127, -127, 0], id="on the steps already"),
    ],
)
def test_by_hand(steps, expected):
    rounded = round_kernel(kernel_of(steps, 0.01))
    np.testing.assert_allclose(rounded[:, 0, 0, 0] / 0.01, expected, atol=1e-3)


def test_every_channel_has_its_own_step():
    # channel 0: step 1; channel 1: step 2, nearest would lose 0.3 + 0.25 + 0.4 steps
    kernel = np.stack([[127, 5.0, 6.0, 7.0], np.array([127, 3.3, 3.25, 3.4]) * 2], axis=-1)
    rounded = round_kernel(kernel.reshape(2, 2, 2, 1).astype(np.float32)).reshape(4, 2)
    np.testing.assert_allclose(rounded[:, 0], [127, 5, 6, 7], rtol=1e-6)
    np.testing.assert_allclose(rounded[:, 1], [254, 6, 6, 8], rtol=1e-6)


def test_sums_stay_and_weights_move_by_less_than_a_step():
    kernel = np.random.default_rng(0).normal(size=(3, 5, 17, 2)).astype(np.float32)
    rounded = round_kernel(kernel)
    step = np.abs(kernel).max(axis=(0, 1)) / 127
    assert np.all(np.abs(rounded - kernel) < step * 1.0001)
    difference = np.abs((rounded - kernel).sum(axis=(0, 1))) / step
    assert np.all(difference <= 0.5001)
    nearest = np.abs((np.rint(kernel / step) * step - kernel).sum(axis=(0, 1))) / step
    assert nearest.max() > 1  # what it is for
    np.testing.assert_allclose(rounded / step, np.rint(rounded / step), atol=1e-3)


def test_zeros_stay_zeros():
    assert not round_kernel(np.zeros((3, 3, 4, 1), np.float32)).any()


def test_depthwise_kernels_of_a_file_and_nothing_else(small_detector):
    data = convert_graph(NetworkGraph(small_detector, gives_logits=True))
    model = flatbuffer.unpack(data)
    round_depthwise_kernels(model)
    before, after = flatbuffer.unpack(data), flatbuffer.unpack(flatbuffer.pack(model))
    (operator,) = flatbuffer.operators_of(model, "DEPTHWISE_CONV_2D")
    number = int(operator.inputs[1])
    exact = flatbuffer.Constants(before)[number]  # [1, 3, 3, 12]
    rounded = flatbuffer.Constants(after)[number]
    expected = round_kernel(exact[0][..., np.newaxis])[..., 0]
    np.testing.assert_array_equal(rounded[0], expected)
    assert not np.array_equal(exact, rounded)
    changed = [
        n
        for n, pair in enumerate(zip(before.buffers, after.buffers, strict=True))
        if len({bytes(b"" if buffer.data is None else buffer.data) for buffer in pair}) == 2
    ]
    assert changed == [before.subgraphs[0].tensors[number].buffer]


def test_a_layer_that_stays_in_float_is_not_rounded(small_detector):
    network = convert_graph(NetworkGraph(small_detector, gives_logits=True))
    kernels = []
    for in_float in (True, False):
        model = flatbuffer.unpack(network)
        (operator,) = operators_of(model, "DEPTHWISE_CONV_2D")
        name = model.subgraphs[0].tensors[int(operator.outputs[0])].name.decode()
        round_depthwise_kernels(model, [name] if in_float else [])
        kernels.append(Constants(model)[int(operator.inputs[1])])
    exact = Constants(flatbuffer.unpack(network))[int(operator.inputs[1])]
    np.testing.assert_array_equal(kernels[0], exact)
    assert np.abs(kernels[1] - exact).max() > 0
