"""Encodings by hand, round trip, recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.core.box_coder import (
    BoxCoder,
    FasterRcnnBoxCoder,
    MeanStddevBoxCoder,
    SquareBoxCoder,
    decode_boxes,
    encode_boxes,
)

DATA = Path(__file__).parents[2] / "data"
RECORDING = np.load(DATA / "core_faster_rcnn_box_coder.npz")
OTHERS = np.load(DATA / "core_other_targets.npz")
FACTORS = {"none": (1.0, 1.0, 1.0, 1.0), "10_10_5_5": (10.0, 10.0, 5.0, 5.0)}


def test_encode_by_hand() -> None:
    # Anchor centre (0.4, 0.4), 0.4 high, 0.2 wide; box centre (0.5, 0.3), 0.2 high, 0.4 wide.
    anchors = tf.constant([[0.2, 0.3, 0.6, 0.5]])
    encodings = encode_boxes(tf.constant([[0.4, 0.1, 0.6, 0.5]]), anchors)
    expected = [10 * 0.1 / 0.4, 10 * -0.1 / 0.2, 5 * np.log(0.5), 5 * np.log(2.0)]
    np.testing.assert_allclose(encodings[0], expected, rtol=1e-5)


def test_decode_by_hand() -> None:
    # The same anchor; factors 2, 4, 8, 16 leave (0.5, -0.25, log 2, log 0.5): centre
    # 0.4 + 0.5 * 0.4 and 0.4 - 0.25 * 0.2, 0.8 high and 0.1 wide.
    anchors = tf.constant([[0.2, 0.3, 0.6, 0.5]])
    encodings = tf.constant([[1.0, -1.0, 8 * np.log(2.0), 16 * np.log(0.5)]], tf.float32)
    decoded = decode_boxes(encodings, anchors, (2.0, 4.0, 8.0, 16.0))
    np.testing.assert_allclose(decoded, [[0.2, 0.3, 1.0, 0.4]], atol=1e-6)


def test_decode_undoes_encode() -> None:
    rng = np.random.default_rng(3)
    corners = np.sort(rng.uniform(size=(2, 7, 2, 2)).astype(np.float32), axis=2)
    boxes = corners.reshape(2, 7, 4)
    anchors = np.sort(rng.uniform(size=(7, 2, 2)).astype(np.float32), axis=1).reshape(7, 4)
    back = decode_boxes(encode_boxes(boxes, anchors), anchors)
    np.testing.assert_allclose(back, boxes, atol=2e-6)


def test_a_batch_is_its_images_one_by_one() -> None:
    anchors = RECORDING["anchors"]
    batch = np.stack([RECORDING["boxes"], anchors])
    for n in range(2):
        for function in (encode_boxes, decode_boxes):
            together = function(batch, anchors)[n]
            np.testing.assert_allclose(together, function(batch[n], anchors), rtol=1e-6)


@pytest.mark.parametrize("name", FACTORS)
def test_equals_the_recording(name: str) -> None:
    anchors, factors = RECORDING["anchors"], FACTORS[name]
    encoded = encode_boxes(RECORDING["boxes"], anchors, factors)
    # Boxes and anchors without a side encode to numbers up to 1e9: relative.
    np.testing.assert_allclose(encoded, RECORDING[f"encoded_{name}"], rtol=1e-5, atol=1e-5)
    for codes, boxes in (("code_in", "code_decoded"), ("encoded", "decoded")):
        decoded = decode_boxes(RECORDING[f"{codes}_{name}"], anchors, factors)
        np.testing.assert_allclose(decoded, RECORDING[f"{boxes}_{name}"], rtol=1e-5, atol=1e-6)


def test_a_box_without_area_is_finite() -> None:
    encodings = encode_boxes(tf.zeros([1, 4]), tf.constant([[0.0, 0.0, 0.2, 0.1]]))
    # log(1e-8 / 0.2) and log(1e-8 / 0.1), times 5.
    np.testing.assert_allclose(encodings[0, 2:], [-84.05, -80.59], atol=0.01)
    assert np.all(np.isfinite(encodings))


def test_mean_stddev_by_hand() -> None:
    # (box - anchor) / 0.5, corner by corner.
    coder, anchors = MeanStddevBoxCoder(0.5), tf.constant([[0.2, 0.3, 0.6, 0.5]])
    encoded = coder.encode(tf.constant([[0.1, 0.3, 0.7, 0.9]]), anchors)
    np.testing.assert_allclose(encoded, [[-0.2, 0.0, 0.2, 0.8]], atol=1e-6)


def test_square_by_hand() -> None:
    # Anchor centre (0.4, 0.6), sides 0.4 and 0.1, length sqrt(0.04) = 0.2; box centre (0.5, 0.5),
    # sides 0.2 and 0.8, length 0.4: ty = 0.1 / 0.2 * 10, tx = -0.1 / 0.2 * 8, tl = log(2) * 5.
    coder, anchors = SquareBoxCoder((10.0, 8.0, 5.0)), tf.constant([[0.2, 0.55, 0.6, 0.65]])
    encoded = coder.encode(tf.constant([[0.4, 0.1, 0.6, 0.9]]), anchors)
    np.testing.assert_allclose(encoded, [[5.0, -4.0, 5 * np.log(2.0)]], rtol=1e-5)
    # Back comes the square of the same area.
    decoded = coder.decode(encoded, anchors)
    np.testing.assert_allclose(decoded, [[0.3, 0.3, 0.7, 0.7]], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "coder"),
    [("mean_stddev", MeanStddevBoxCoder(0.05)), ("square", SquareBoxCoder((10.0, 8.0, 5.0)))],
)
def test_the_others_equal_the_recording(name: str, coder: BoxCoder) -> None:
    boxes, anchors = tf.constant(OTHERS["boxes"]), tf.constant(OTHERS["anchors"])
    encoded = coder.encode(boxes, anchors)
    assert encoded.shape == (12, coder.code_size)
    np.testing.assert_allclose(encoded, OTHERS[f"{name}_encoded"], rtol=1e-6, atol=1e-6)
    decoded = coder.decode(OTHERS[f"{name}_encoded"], anchors)
    np.testing.assert_allclose(decoded, OTHERS[f"{name}_decoded"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "coder",
    [FasterRcnnBoxCoder(), MeanStddevBoxCoder(), SquareBoxCoder()],
    ids=["faster_rcnn", "mean_stddev", "square"],
)
def test_a_coder_takes_batches_and_no_anchors(coder: BoxCoder) -> None:
    boxes, anchors = tf.constant(OTHERS["boxes"]), tf.constant(OTHERS["anchors"])
    together = coder.encode(tf.stack([boxes, anchors]), anchors)
    np.testing.assert_allclose(together[0], coder.encode(boxes, anchors), rtol=1e-6)
    # The anchors themselves are where nothing is off.
    np.testing.assert_allclose(together[1], tf.zeros([12, coder.code_size]), atol=1e-5)
    assert coder.decode(together, anchors).shape == (2, 12, 4)
    nothing = coder.encode(tf.zeros([3, 0, 4]), tf.zeros([0, 4]))
    assert nothing.shape == (3, 0, coder.code_size)
