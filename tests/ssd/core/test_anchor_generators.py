from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.core.anchor_generators import MultiscaleGridAnchorGenerator, SsdAnchorGenerator
from ssd.models import anchor_builder

SHAPES, IMAGE = [(5, 7), (3, 4), (2, 2)], (80, 112)
MULTISCALE = MultiscaleGridAnchorGenerator(4, 3.0, (1.0, 2.0, 0.5), 2)
SSD = SsdAnchorGenerator((1.0, 2.0, 0.5), base_anchor_size=(1.0, 1.5))
STRIDED = SsdAnchorGenerator(
    (1.0, 2.0),
    height_stride=(16, 32, 40),
    width_stride=(16, 28, 56),
    height_offset=(8, 16, 20),
    width_offset=(7, 14, 28),
)


def recorded(golden_data):
    return np.load(golden_data / "core_other_targets.npz")


@pytest.mark.parametrize("number", [0, 1])
def test_grids_are_those_of_the_original(golden_data, number):
    data = recorded(golden_data)
    message = message_class("AnchorGenerator")()
    text_format.Parse(str(data[f"anchors{number}_config"]), message)
    shapes = [tuple(shape) for shape in data[f"anchors{number}_shapes"].tolist()]
    size = tuple(data[f"anchors{number}_size"].tolist())
    generator = anchor_builder.build(message)
    expected = data[f"anchors{number}"]
    if message.HasField("grid_anchor_generator"):
        # The original's are in pixels, and its SSD cannot use them at all.
        expected = expected / np.array([*size, *size], np.float32)
    found = generator.generate(shapes, size)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    counts = generator.num_anchors_per_location(len(shapes))
    assert sum(n * h * w for n, (h, w) in zip(counts, shapes, strict=True)) == len(found)


@pytest.mark.parametrize("generator", [MULTISCALE, SSD, STRIDED], ids=["multiscale", "ssd", "own"])
def test_sizes_known_at_run_time_only_give_the_same_anchors(generator):
    @tf.function(input_signature=[tf.TensorSpec([8], tf.int32)])
    def generate(sizes):
        sides = tf.unstack(sizes)
        return generator.generate(list(zip(sides[:6:2], sides[1:6:2], strict=True)), sides[6:])

    sizes = [side for shape in SHAPES for side in shape] + list(IMAGE)
    expected = generator.generate(SHAPES, IMAGE)
    if generator is MULTISCALE:
        # 112 is no multiple of 32 nor 80 of 64: the offset that static sizes then lose is kept.
        expected = MULTISCALE.generate(SHAPES, (128, 128)) * (128 / np.array([80, 112, 80, 112]))
    np.testing.assert_allclose(generate(tf.constant(sizes)), expected, atol=1e-6)


def test_numbers_per_location():
    assert MULTISCALE.num_anchors_per_location(3) == [6, 6, 6]
    assert SSD.num_anchors_per_location(3) == [3, 4, 4]
