from __future__ import annotations

import numpy as np
import pytest

from export.benchmark import input_data
from export.benchmark.graph import InputTensor
from ssd.errors import InputError
from ssd.tflite_file import TfliteFile
from ssd.tflite_metadata import TensorDescription

PIXELS_IN_0_1 = TfliteFile(inputs=(TensorDescription("image", 0.0, 255.0),))
# 2 x 1 pixels, stretched to 2 x 3: every column is the same
IMAGE = np.array([[[10, 20, 60]], [[250, 130, 40]]], np.uint8)


def fed(*tensors: InputTensor, image=None, file=None) -> list[np.ndarray]:
    return input_data.of("m.tflite", tensors, file or TfliteFile(), image)


def test_the_picture_is_smooth_seeded_and_uses_the_whole_range():
    picture = input_data.smooth_picture((60, 100, 3))
    assert picture.shape == (60, 100, 3)
    assert picture.dtype == np.float32
    assert (picture.min(), picture.max()) == (0.0, 255.0)
    assert np.array_equal(picture, input_data.smooth_picture((60, 100, 3)))
    # Neighbours are alike; noise of this range differs by 85 on average.
    assert np.abs(np.diff(picture, axis=1)).mean() < 10
    # Channels and directions are not alike.
    assert np.abs(picture[..., 0] - picture[..., 1]).mean() > 20
    assert picture.std(axis=0).mean() > 20
    assert picture.std(axis=1).mean() > 20


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 3), (3, 2, 5)])
def test_a_picture_of_any_size(shape):
    picture = input_data.smooth_picture(shape)
    assert picture.shape == shape
    assert np.isfinite(picture).all()


def test_float_inputs_get_what_the_metadata_says():
    tensor = InputTensor("image", (1, 6, 10, 3), "float32")
    ((plain,), (scaled,)) = fed(tensor), fed(tensor, file=PIXELS_IN_0_1)
    assert (plain.dtype, plain.shape) == (np.float32, (1, 6, 10, 3))
    assert (plain.min(), plain.max()) == (-1.0, 1.0)
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("dtype", "zero_point", "expected"),
    [
        ("uint8", 127, [[10, 20, 60], [250, 130, 40]]),
        ("int8", -1, [[-118, -108, -68], [122, 2, -88]]),
    ],
)
def test_an_image_is_stretched_to_the_input(dtype, zero_point, expected):
    tensor = InputTensor("image", (2, 2, 3, 3), dtype, 1 / 127.5, zero_point)
    (values,) = fed(tensor, image=IMAGE)
    assert values.dtype == dtype
    assert values.shape == (2, 2, 3, 3)  # both of the batch
    assert (values == np.array(expected, dtype)[:, np.newaxis]).all()


def test_an_image_is_gray_for_an_input_of_one_channel():
    (values,) = fed(InputTensor("image", (1, 2, 3, 1), "uint8"), image=IMAGE)
    assert values[0, :, :, 0].tolist() == [[30, 30, 30], [140, 140, 140]]


def test_other_inputs():
    tensors = [
        InputTensor("vector", (1, 50), "float32"),
        InputTensor("half", (50,), "float16"),
        InputTensor("bytes", (50, 2), "int8", 0.1, 3),
        InputTensor("words", (50, 2), "int16"),
        InputTensor("indices", (5, 2), "int64"),
        InputTensor("flag", (), "bool"),
        InputTensor("image", (1, 6, 10, 3), "uint8"),
    ]
    values = fed(*tensors, image=IMAGE)
    assert [(v.shape, v.dtype.name) for v in values] == [(t.shape, t.dtype) for t in tensors]
    for noise in values[:4]:
        assert len(np.unique(noise)) > 30
    assert np.abs(values[0]).max() <= 1
    assert not values[4].any()
    assert not values[5].any()
    assert all(
        np.array_equal(one, other)
        for one, other in zip(values, fed(*tensors, image=IMAGE), strict=True)
    )


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        pytest.param(
            [InputTensor("x", (1, 6, 10, 4), "float32"), InputTensor("y", (5,), "int32")],
            r"m\.tflite: takes x float32 \[1, 6, 10, 4\], y int32 \[5\]; --image needs",
            id="four channels",
        ),
        pytest.param(
            [], r"m\.tflite: takes nothing; --image needs .*; leave it out", id="no input"
        ),
    ],
)
def test_an_image_that_nothing_takes(tensors, message):
    with pytest.raises(InputError, match=message):
        fed(*tensors, image=IMAGE)
