from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from export import flatbuffer
from export.converter import convert_graph
from export.network_graph import NetworkGraph
from export.quantization import diagnosis, int8
from export.quantization.activation_ranges import observe
from export.quantization.diagnosis import LayerError, layer_errors, short_name, table, worst_tensors
from export.quantization.int8 import Int8Settings
from ssd.tflite_file import SCORES


@pytest.fixture
def network(small_detector) -> bytes:
    return convert_graph(NetworkGraph(small_detector, gives_logits=True))


@pytest.fixture
def images(photos):
    pixels = np.rint(photos[:5])
    return lambda: ((p[np.newaxis] / 127.5 - 1).astype(np.float32) for p in pixels)


def errors_of(network, ranges, images, **settings) -> list[LayerError]:
    made = int8.quantize(network, ranges, Int8Settings(**settings))
    return layer_errors(network, made, images, gives_logits=True)


def tensor_of(network: bytes, kind: str) -> tuple[int, str]:
    model = flatbuffer.unpack(network)
    number = int(flatbuffer.operators_of(model, kind)[0].outputs[0])
    return number, model.subgraphs[0].tensors[number].name.decode()


def test_layers_that_compute_are_listed_costliest_first(network, images):
    errors = errors_of(network, observe(network, images), images)
    # stem, depthwise, two heads; reshaping and leaving out the background lose nothing
    assert sorted(one.kind for one in errors) == ["conv", "conv", "conv", "depthwise"]
    shares = [one.share for one in errors]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)
    stem = next(one for one in errors if one.tensor == tensor_of(network, "CONV_2D")[1])
    # Nothing comes before it, so both are the same but for the rounding of its bias.
    assert stem.sqnr == pytest.approx(stem.own_sqnr, abs=0.3)
    for one in errors:
        assert 15 < one.sqnr < one.own_sqnr + 0.3
        assert one.own_sqnr < 60


def with_reach(ranges, number: int, factor: float):
    column = ranges.tensors.tolist().index(number)
    high = ranges.high.copy()
    high[:, column] *= factor
    return replace(ranges, high=high)


def test_a_spoilt_layer_is_named_and_mended_in_float(network, images):
    number, tensor = tensor_of(network, "DEPTHWISE_CONV_2D")
    ranges = with_reach(observe(network, images), number, 30.0)  # steps 30 times as wide
    errors = errors_of(network, ranges, images)
    assert worst_tensors(errors, 1) == (tensor,)
    assert errors[0].share > 0.9
    mended = errors_of(network, ranges, images, float_tensors=worst_tensors(errors, 1))
    spoilt, whole = (next(e for e in es if e.tensor == tensor) for es in (errors, mended))
    assert whole.own_sqnr == np.inf
    assert whole.share == 0
    assert whole.sqnr > spoilt.sqnr + 10


def test_the_noise_that_arrives_is_foretold(network, images):
    from export.quantization.operator_noise import operator_noise

    number, _ = tensor_of(network, "DEPTHWISE_CONV_2D")
    ranges = with_reach(observe(network, images), number, 8.0)
    made = int8.quantize(network, ranges, Int8Settings())
    model, int8_model = flatbuffer.unpack(network), flatbuffer.unpack(made.data)
    diagnosis.scale_box_columns(model, np.array(made.box_factors))
    noise = operator_noise(model, int8_model, images, gives_logits=False)
    scores, boxes = (flatbuffer.signature_outputs(model)[n] for n in (SCORES, "box_encodings"))
    exact = diagnosis._tensors(flatbuffer.pack(model), [scores, boxes])
    given = diagnosis._tensors(made.data, list(flatbuffer.signature_outputs(int8_model).values()))
    names = list(flatbuffer.signature_outputs(int8_model))
    squares = 0.0
    for image in images():
        wanted = dict(zip((SCORES, "box_encodings"), exact(image), strict=True))
        found = dict(zip(names, given(image), strict=True))
        # all 48 anchors are among the best 100; boxes cut off are no noise of a layer before
        best = wanted[SCORES][0].argmax(axis=1)
        rows = np.arange(len(best))
        squares += np.sum((found[SCORES][0][rows, best] - wanted[SCORES][0][rows, best]) ** 2)
        squares += np.sum((found["box_encodings"] - wanted["box_encodings"]) ** 2)
    # four signed sums of five images: the estimate is good to about a third
    assert noise.arriving.sum() == pytest.approx(squares, rel=0.6)


def test_box_encodings_beyond_reach_are_not_counted(network, images):
    ranges = observe(network, images)
    reach = replace(ranges, box_reach=ranges.box_reach / 3)
    made = int8.quantize(network, reach, Int8Settings())
    errors = layer_errors(network, made, images, gives_logits=True)
    boxes = flatbuffer.signature_outputs(flatbuffer.unpack(network))["box_encodings"]
    operators = flatbuffer.unpack(network).subgraphs[0].operators
    (reshape,) = [o for o in operators if int(o.outputs[0]) == boxes]
    tensors = flatbuffer.unpack(network).subgraphs[0].tensors
    head = tensors[int(reshape.inputs[0])].name.decode()
    found = next(one for one in errors if one.tensor == head)
    assert min(found.sqnr, found.own_sqnr) > 15  # 3 dB or so if they were


ERRORS = [
    LayerError("a/b_1/depthwise", "b/depthwise", "depthwise", 31.84, 37.7, 0.2204),
    LayerError("c", "c", "add", 4.0, np.inf, 0.0),
]


def test_table():
    assert table(ERRORS, 5).splitlines() == [
        "layer        kind          SQNR  own SQNR  share of the noise",
        "b/depthwise  depthwise  31.8 dB   37.7 dB               22.0%",
        "c            add         4.0 dB     exact                0.0%",
    ]
    assert len(table(ERRORS, 1).splitlines()) == 2
    assert table([], 3) == "layer  kind  SQNR  own SQNR  share of the noise"


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("ssd_1/a_1/block_3_1/add", "a/block_3/add"),
        (
            "ssd_1/classification_backbone_1/expanded_conv_1/Relu6;ssd_1/classification_backbone_1"
            "/expanded_conv_1/expanded_conv_depthwise_BN_1/FusedBatchNormV3",
            "expanded_conv/expanded_conv_depthwise_BN/Relu6",
        ),
        ("StatefulPartitionedCall:0", "StatefulPartitionedCall:0"),
        ("x", "x"),
    ],
)
def test_short_names(tensor, name):
    assert short_name(tensor) == name


def test_decibels_by_hand():
    # 100 to 1 are 20 dB, equal parts 0 dB, no error is exact
    found = diagnosis._decibels(np.array([100.0, 5.0, 3.0, 0.0]), np.array([1.0, 5.0, 0.0, 0.0]))
    np.testing.assert_allclose(found, [20.0, 0.0, np.inf, np.inf])
