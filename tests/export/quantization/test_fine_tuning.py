from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer
from export.converter import convert_graph
from export.network_graph import NetworkGraph
from export.quantization import fine_tuning, int8
from export.quantization.activation_ranges import ActivationRanges, observe
from export.quantization.fine_tuning import fine_tune
from export.quantization.int8 import Int8Settings
from ssd.errors import InputError

SETTINGS = Int8Settings()
BOX_SCALES = (10.0, 8.0, 5.0, 4.0)


@pytest.fixture
def network(small_detector) -> bytes:
    return convert_graph(NetworkGraph(small_detector, gives_logits=True))


@pytest.fixture
def images(photos) -> np.ndarray:
    return (np.rint(photos) / np.float32(127.5) - 1).astype(np.float32)


def batches(images):
    return lambda: (image[np.newaxis] for image in images)


def tuned(
    network: bytes, images: np.ndarray, steps: int, **kwargs
) -> tuple[bytes, ActivationRanges]:
    ranges = observe(network, batches(images))
    kwargs = {"gives_logits": True, "box_scales": BOX_SCALES, "steps": steps, **kwargs}
    return fine_tune(network, ranges, batches(images), SETTINGS, **kwargs), ranges


def outputs_of(data: bytes, images: np.ndarray, name: str = "scores") -> np.ndarray:
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    if interpreter.get_input_details()[0]["dtype"] == np.uint8:
        images = np.rint((images + 1) * 127.5).astype(np.uint8)
    runner = interpreter.get_signature_runner()
    return np.concatenate([runner(image=image[np.newaxis])[name].copy() for image in images])


def with_stem_cut_off(network: bytes, ranges: ActivationRanges) -> ActivationRanges:
    """The first layer's range halved: what is above is lost, unless weights learn to stay below."""
    stem = int(flatbuffer.unpack(network).subgraphs[0].operators[0].outputs[0])
    high = ranges.high.copy()
    high[:, ranges.tensors.tolist().index(stem)] *= 0.5
    return replace(ranges, high=high)


def test_int8_comes_nearer_to_float_on_images_never_seen(network, images, monkeypatch):
    # Two layers and sixty steps: larger ones than a deep network could bear.
    monkeypatch.setattr(fine_tuning, "_LEARNING_RATE", 5e-3)
    learned_from, unseen = images[:24], images[24:]
    ranges = with_stem_cut_off(network, observe(network, batches(learned_from)))
    losses: list[float] = []
    after = fine_tune(
        network,
        ranges,
        batches(learned_from),
        SETTINGS,
        gives_logits=True,
        box_scales=BOX_SCALES,
        steps=60,
        on_step=lambda number, loss: losses.append(loss) if number == len(losses) + 1 else None,
    )
    expected = outputs_of(network, unseen)
    errors = []
    for one in (network, after):
        given = outputs_of(int8.quantize(one, ranges, SETTINGS).data, unseen)
        errors.append(np.sqrt(np.mean((given - expected) ** 2)))
    print(errors)
    assert errors[1] < 0.7 * errors[0]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_the_same_seed_gives_the_same_network(network, images):
    first, second, other = (tuned(network, images[:9], 3, seed=s)[0] for s in (4, 4, 5))
    assert first == second
    assert first != other


def test_without_any_movement_the_int8_file_stays(network, images, monkeypatch):
    # Kernels on their steps, columns of boxes and the half level of pixels: all there and back.
    monkeypatch.setattr(fine_tuning, "_LEARNING_RATE", 0.0)
    after, ranges = tuned(network, images[:3], 1)
    before, now = (int8.quantize(one, ranges, SETTINGS) for one in (network, after))
    assert now.box_factors == before.box_factors
    for name in ("scores", "box_encodings"):
        np.testing.assert_allclose(
            outputs_of(now.data, images, name), outputs_of(before.data, images, name), atol=1e-5
        )


def test_layers_that_shared_zeros_learn_biases_of_their_own(network, images):
    def biases(data: bytes) -> list[np.ndarray]:
        model = flatbuffer.unpack(data)
        layers = flatbuffer.operators_of(model, "CONV_2D", "DEPTHWISE_CONV_2D")
        return [flatbuffer.Constants(model)[int(layer.inputs[2])] for layer in layers]

    *_, box_head, class_head = biases(network)
    np.testing.assert_array_equal(box_head, class_head)
    *_, box_head, class_head = biases(tuned(network, images[:3], 2)[0])
    assert np.abs(box_head - class_head).max() > 1e-6


def test_in_float_the_result_is_still_the_network(network, images):
    after, _ = tuned(network, images[:3], 2)
    difference = np.abs(outputs_of(after, images) - outputs_of(network, images))
    assert 0 < difference.max() < 0.5  # kernels lie on the steps of int8 now


def test_every_image_once_per_epoch_and_batches_are_full():
    # 5 images, batches of 8: the first holds epoch 0 and three of epoch 1
    pixels = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    rows = [np.rint((b + 1) * 127.5).ravel() for b in fine_tuning._batches(pixels, 5, seed=0)]
    assert [len(row) for row in rows] == [8] * 5
    epochs = np.concatenate(rows).reshape(8, 5)
    assert (np.sort(epochs, axis=1) == np.arange(5)).all()
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_rate_rises_and_falls():
    rates = [fine_tuning._learning_rate(number, 200) for number in range(200)]
    assert rates[0] == pytest.approx(fine_tuning._LEARNING_RATE / 20)
    assert np.argmax(rates) == 19
    # half a cosine: at 100 of 200 steps one half
    assert rates[100] == pytest.approx(fine_tuning._LEARNING_RATE / 2)
    assert 0 < rates[-1] < 1e-3 * fine_tuning._LEARNING_RATE
    assert fine_tuning._learning_rate(0, 1) == fine_tuning._LEARNING_RATE


def test_without_images(network, images):
    ranges = observe(network, batches(images[:2]))
    with pytest.raises(InputError, match="fine-tuning: 0 images; give --calibration"):
        fine_tune(
            network,
            ranges,
            batches([]),
            SETTINGS,
            gives_logits=True,
            box_scales=BOX_SCALES,
            steps=1,
        )
