"""Every resizer of the schema against the recording of the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from ssd import image_resizer_builder
from ssd.config.messages import message_class
from ssd.core.image_resizer import ImageResizer

_KEEP = "keep_aspect_ratio_resizer { min_dimension: 40 max_dimension: 64"


def _resizer(text: str) -> ImageResizer:
    return image_resizer_builder.build(text_format.Parse(text, message_class("ImageResizer")()))


@pytest.mark.parametrize("case", range(11))
def test_equals_the_recording(oracle: Path, case: int) -> None:
    golden = np.load(oracle / "ops" / "image_resizers.npz")
    resizer = _resizer(str(golden[f"case{case}_config"]))
    for n in range(2):
        # The original resizes what is scaled already, so the recorded images are such values.
        resized, true_shape = resizer((golden[f"image{n}"] + 1.0) * 127.5)
        expected = golden[f"case{case}_image{n}"]
        assert resized.dtype == np.float32
        assert true_shape.dtype == np.int32
        assert true_shape.numpy().tolist() == golden[f"case{case}_shape{n}"].tolist()
        # float32 at 127 times the size: 3e-5 of values up to 255, 1e-6 of each.
        np.testing.assert_allclose(resized / 127.5 - 1.0, expected, rtol=1e-6, atol=4e-5)
        assert resizer.output_size in (None, expected.shape[:2])


@pytest.mark.parametrize(
    ("text", "output_size", "has_padding", "is_plain"),
    [
        ("fixed_shape_resizer { height: 60 width: 90 }", (60, 90), False, True),
        ("fixed_shape_resizer { height: 6 width: 9 resize_method: AREA }", (6, 9), False, False),
        (f"{_KEEP} }}", None, False, False),
        (f"{_KEEP} pad_to_max_dimension: true }}", (64, 64), True, False),
        ("identity_resizer {}", None, False, False),
        ("conditional_shape_resizer { size_threshold: 40 }", None, False, False),
        ("pad_to_multiple_resizer { multiple: 32 }", None, True, False),
        ("pad_to_multiple_resizer { multiple: 8 convert_to_grayscale: true }", None, True, False),
    ],
)
def test_what_others_ask_of_a_resizer(
    text: str, output_size: tuple[int, int] | None, has_padding: bool, is_plain: bool
) -> None:
    resizer = _resizer(text)
    assert resizer.output_size == output_size
    assert (resizer.has_padding, resizer.is_plain) == (has_padding, is_plain)
