from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from export import flatbuffer
from export.converter import convert_graph
from export.network_graph import NetworkGraph
from export.quantization import int8
from export.quantization.activation_ranges import observe
from export.quantization.grids import Grid, dequantized, image_grid, pair_operators
from export.quantization.int8 import Int8Settings


@pytest.fixture
def network(small_detector) -> bytes:
    return convert_graph(NetworkGraph(small_detector, gives_logits=True))


@pytest.fixture
def images(photos):
    return lambda: ((photo[np.newaxis] / 127.5 - 1).astype(np.float32) for photo in photos[:4])


def test_ends_of_a_grid():
    # (-128 - 10) * 0.5 and (127 - 10) * 0.5
    assert (Grid(0.5, 10).low, Grid(0.5, 10).high) == (-69.0, 58.5)


def test_every_operator_is_paired_with_its_own(network, images):
    model = flatbuffer.unpack(network)
    made = flatbuffer.unpack(int8.quantize(network, observe(network, images), Int8Settings()).data)
    pairs = pair_operators(model, made)
    assert len(pairs) == len(model.subgraphs[0].operators)
    for pair in pairs:
        shapes = [
            list(one.subgraphs[0].tensors[int(operator.outputs[0])].shape)
            for one, operator in ((model, pair.float_operator), (made, pair.int8_operator))
        ]
        assert shapes[0] == shapes[1]
        assert pair.output_grid is not None
    # [-1, 1] in 255 steps of 1/127.5: 0.0 is step -1, between -128 and 127
    assert pairs[0].input_grids[0] == (pytest.approx(1 / 127.5), -1)
    assert image_grid(made) == pairs[0].input_grids[0]
    assert image_grid(model) is None  # takes float images
    assert pairs[0].has_int8_kernel
    assert pairs[0].input_grids[1:] == (None, None)  # kernel and bias have steps by channel


def test_a_layer_left_in_float_has_no_grid(network, images):
    model = flatbuffer.unpack(network)
    stem = model.subgraphs[0].tensors[int(model.subgraphs[0].operators[0].outputs[0])]
    settings = Int8Settings(float_tensors=(stem.name.decode(),))
    made = int8.quantize(network, observe(network, images), settings)
    first, second, *_ = pair_operators(model, flatbuffer.unpack(made.data))
    assert (first.output_grid, first.has_int8_kernel) == (None, False)
    assert second.input_grids[0] is not None  # what the float layer gives is rounded for the next
    assert second.has_int8_kernel


def test_another_networks_file_is_refused(network, images):
    model = flatbuffer.unpack(network)
    made = int8.quantize(network, observe(network, images), Int8Settings())
    other = flatbuffer.unpack(made.data)
    other.subgraphs[0].operators.pop(1)  # the first only makes int8 of uint8
    with pytest.raises(ValueError, match="operators are not the float network's"):
        pair_operators(model, other)


def test_constants_are_within_half_a_step_of_the_float_ones(network, images):
    model = flatbuffer.unpack(network)
    made = flatbuffer.unpack(int8.quantize(network, observe(network, images), Int8Settings()).data)
    constants = flatbuffer.Constants(model)
    stem = pair_operators(model, made)[0]
    kernel = constants[int(stem.float_operator.inputs[1])]  # [12, 3, 3, 3]
    found = dequantized(made, int(stem.int8_operator.inputs[1]))
    step = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127
    assert (np.abs(found - kernel) <= 0.501 * step).all()
    assert dequantized(made, int(stem.int8_operator.outputs[0])) is None


def test_a_constant_by_channel():
    # (q - 0) * scale of its row
    tensor = SimpleNamespace(
        buffer=0,
        shape=[2, 3],
        type=9,  # int8
        quantization=SimpleNamespace(scale=[0.5, 2.0], zeroPoint=[0, 0], quantizedDimension=0),
    )
    values = np.array([[1, -2, 3], [4, 5, -127]], np.int8)
    model = SimpleNamespace(
        subgraphs=[SimpleNamespace(tensors=[tensor])],
        buffers=[SimpleNamespace(data=values.view(np.uint8).ravel())],
    )
    np.testing.assert_array_equal(dequantized(model, 0), [[0.5, -1, 1.5], [8, 10, -254]])
