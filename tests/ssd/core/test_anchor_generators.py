from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd.config.messages import message_class
from ssd.core.anchor_generators import (
    AnchorGrid,
    FlexibleGridAnchorGenerator,
    MultiscaleGridAnchorGenerator,
    SsdAnchorGenerator,
    grid_sizes,
)
from ssd.errors import InputError
from ssd.models import anchor_builder

SHAPES, IMAGE = [(5, 7), (3, 4), (2, 2)], (80, 112)
SIZE = tf.TensorSpec([2], tf.int32)
MULTISCALE = MultiscaleGridAnchorGenerator(4, 3.0, (1.0, 2.0, 0.5), 2)
SSD = SsdAnchorGenerator((1.0, 2.0, 0.5), base_anchor_size=(1.0, 1.5))
STRIDED = SsdAnchorGenerator(
    (1.0, 2.0),
    height_stride=(16, 32, 40),
    width_stride=(16, 28, 56),
    height_offset=(8, 16, 20),
    width_offset=(7, 14, 28),
)
# Cells 20 x 30 pixels, the first centre at (8, 12); the second map has one anchor per cell.
FLEXIBLE = FlexibleGridAnchorGenerator(
    (
        AnchorGrid(sizes=((10.0, 16.0), (24.0, 6.0)), stride=(20, 30), offset=(8, 12)),
        AnchorGrid(sizes=((40.0, 30.0),), stride=(40, 60), offset=(20, 30)),
    )
)


def at_run_time(generator, shapes, image_size):
    """Anchors where no size is known while tracing."""

    @tf.function(input_signature=[tf.TensorSpec([len(shapes), 2], tf.int32), SIZE])
    def generate(shapes, size):
        pairs = [tuple(tf.unstack(shape)) for shape in tf.unstack(shapes)]
        return generator.generate(pairs, tf.unstack(size))

    return generate(tf.constant(shapes, tf.int32), tf.constant(image_size, tf.int32))


@pytest.mark.parametrize("case", range(9))
def test_equals_the_original(golden_data, case):
    data = np.load(golden_data / "core_anchor_generators.npz")
    message = message_class("AnchorGenerator")()
    text_format.Parse(str(data[f"case{case}_config"]), message)
    shapes = [tuple(shape) for shape in data[f"case{case}_shapes"].tolist()]
    height, width = data[f"case{case}_size"].tolist()
    generator = anchor_builder.build(message)
    expected = data[f"case{case}_anchors"]
    if message.HasField("grid_anchor_generator"):
        # The original's are in pixels, and its SSD cannot use them at all.
        expected = expected * (np.float32(1) / np.array([height, width, height, width], np.float32))
    found = generator.generate(shapes, (height, width))
    assert isinstance(found, np.ndarray)
    # Bit by bit: NumPy rounds every one of these operations correctly on every machine.
    np.testing.assert_array_equal(found, expected)
    per_location = generator.num_anchors_per_location(len(shapes))
    assert per_location == data[f"case{case}_per_location"].tolist()
    # In case 0 a level's stride does not divide the image, which makes the two differ.
    expected = data.get(f"case{case}_at_run_time", expected)
    found = at_run_time(generator, shapes, (height, width))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_flexible_grid_by_hand():
    anchors = FLEXIBLE.generate([(2, 3), (1, 1)], (40, 120))
    assert len(anchors) == 2 * 3 * 2 + 1
    pixels = anchors * [40, 120, 40, 120]
    # The centre (8, 12) with half sizes (5, 8) and (12, 3).
    np.testing.assert_allclose(pixels[:2], [[3, 4, 13, 20], [-4, 9, 20, 15]], atol=1e-4)
    # The next column, then the next row.
    np.testing.assert_allclose(pixels[2], [3, 34, 13, 50], atol=1e-4)
    np.testing.assert_allclose(pixels[6], [23, 4, 33, 20], atol=1e-4)
    np.testing.assert_allclose(pixels[12], [0, 15, 40, 45], atol=1e-4)


def test_grid_sizes_by_hand():
    # Ratio 4 halves the height and doubles the width of 2 * (30, 20).
    assert grid_sizes((30.0, 20.0), [2.0, 0.5], [4.0, 1.0]) == ((30.0, 80.0), (15.0, 10.0))


def test_known_sizes_are_numpy_inside_a_function_too():
    @tf.function
    def generate():
        return tf.constant(FLEXIBLE.generate([(2, 3), (1, 1)], (40, 120)))

    np.testing.assert_array_equal(generate(), FLEXIBLE.generate([(2, 3), (1, 1)], (40, 120)))


@pytest.mark.parametrize("generator", [MULTISCALE, SSD, STRIDED], ids=["multiscale", "ssd", "own"])
def test_sizes_known_at_run_time_only_give_the_same_anchors(generator):
    expected = generator.generate(SHAPES, IMAGE)
    if generator is MULTISCALE:
        # 112 is no multiple of 32 nor 80 of 64: the offset that static sizes then lose is kept.
        expected = MULTISCALE.generate(SHAPES, (128, 128)) * (128 / np.array([80, 112, 80, 112]))
    np.testing.assert_allclose(at_run_time(generator, SHAPES, IMAGE), expected, atol=1e-6)


def test_numbers_per_location():
    assert MULTISCALE.num_anchors_per_location(3) == [6, 6, 6]
    assert SSD.num_anchors_per_location(3) == [3, 4, 4]
    assert FLEXIBLE.num_anchors_per_location(2) == [2, 1]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        pytest.param(
            {"height_stride": (8, 16)},
            r"\.height_stride: 2 values, but width_stride has none; give both, or neither",
            id="no width_stride",
        ),
        pytest.param(
            {"width_offset": (8, 16)},
            r"\.width_offset: 2 values, but height_offset has none; give both, or neither",
            id="no height_offset",
        ),
        pytest.param(
            {"height_offset": (8, 16), "width_offset": (4,)},
            r"\.width_offset: 1 values for 2 feature maps; give one",
            id="too few",
        ),
    ],
)
@pytest.mark.parametrize("size", [(64, 80), (tf.constant(64), tf.constant(80))], ids=["int", "tf"])
def test_lists_that_do_not_fit(size, lists, message):
    generator = SsdAnchorGenerator((1.0,), **lists)
    with pytest.raises(InputError, match=rf"^ssd_anchor_generator{message}"):
        generator.generate([(4, 5), (2, 3)], size)


@pytest.mark.parametrize(("scales", "ratios"), [((8.0, 9.0), (1.0,)), ((), ())])
def test_grids_whose_lists_do_not_fit(scales, ratios):
    message = rf"^anchor_grid: {len(scales)} base_sizes and {len(ratios)} aspect_ratios; give one"
    with pytest.raises(InputError, match=message):
        grid_sizes((1.0, 1.0), scales, ratios)
