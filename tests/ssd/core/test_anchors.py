"""Anchors by hand and against the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd.core.anchors import (
    multiscale_grid_anchors,
    num_multiscale_anchors_per_location,
    ssd_anchor_shapes,
    ssd_anchors,
)
from ssd.errors import InputError

RECORDING = np.load(Path(__file__).parents[2] / "data" / "core_anchors.npz")
ZOO = {"anchor_scale": 4.0, "aspect_ratios": [1.0, 2.0, 0.5], "scales_per_octave": 2}


def float32s(*values: float) -> list[float]:
    """Values as a message's float fields hold them."""
    return [float(np.float32(value)) for value in values]


SSD_ZOO = {
    "min_scale": float32s(0.2)[0],
    "max_scale": float32s(0.95)[0],
    "aspect_ratios": float32s(1.0, 2.0, 0.5, 3.0, 0.3333),
}


def test_one_cell_by_hand() -> None:
    # Level 3 in an image of 64 x 96: base 2 * 8 = 16 pixels; ratio 4 halves the height (8) and
    # doubles the width (32); the first cell's centre is (4, 4).
    anchors = multiscale_grid_anchors(
        [(8, 12)], (64, 96), min_level=3, anchor_scale=2.0, aspect_ratios=[4.0], scales_per_octave=1
    )
    expected = [(4 - 4) / 64, (4 - 16) / 96, (4 + 4) / 64, (4 + 16) / 96]
    np.testing.assert_allclose(anchors[0], expected, atol=1e-7)
    # One column further: 8 pixels to the right.
    np.testing.assert_allclose(anchors[1] - anchors[0], [0, 8 / 96, 0, 8 / 96], atol=1e-7)
    # One row further, after 12 columns: 8 pixels down.
    np.testing.assert_allclose(anchors[12] - anchors[0], [8 / 64, 0, 8 / 64, 0], atol=1e-7)


def test_scales_vary_faster_than_aspect_ratios() -> None:
    anchors = multiscale_grid_anchors([(1, 1)], (32, 64), min_level=5, **ZOO)
    heights = (anchors[:, 2] - anchors[:, 0]) * 32
    # Base 128; ratios 1, 2, 0.5; scales 1, sqrt 2.
    root = 2**0.5
    np.testing.assert_allclose(
        heights, [128, 128 * root, 128 / root, 128, 128 * root, 256], rtol=1e-6
    )


def test_levels_follow_each_other_with_doubled_sizes() -> None:
    anchors = multiscale_grid_anchors([(2, 3), (1, 2)], (64, 96), min_level=5, **ZOO)
    assert anchors.shape == (
        (2 * 3 + 1 * 2)
        * num_multiscale_anchors_per_location(
            aspect_ratios=ZOO["aspect_ratios"], scales_per_octave=2
        ),
        4,
    )
    sizes = anchors[:, 2:] - anchors[:, :2]
    np.testing.assert_allclose(sizes[36:42], 2 * sizes[:6], rtol=1e-6)


def test_centres_lose_the_half_where_the_stride_does_not_divide() -> None:
    # 128 divides 256 (height) but not 320 (width).
    anchors = multiscale_grid_anchors([(2, 3)], (256, 320), min_level=7, **ZOO)
    y, x = (anchors[0, 0] + anchors[0, 2]) / 2, (anchors[0, 1] + anchors[0, 3]) / 2
    assert y == pytest.approx(64 / 256)
    assert x == pytest.approx(0.0, abs=1e-7)


def test_anchors_in_pixels() -> None:
    pixels = multiscale_grid_anchors(
        [(2, 3)], (64, 96), min_level=5, **ZOO, normalize_coordinates=False
    )
    shares = multiscale_grid_anchors([(2, 3)], (64, 96), min_level=5, **ZOO)
    np.testing.assert_allclose(pixels, shares * [64, 96, 64, 96], rtol=1e-6)


def test_ssd_shapes_by_hand() -> None:
    # Scales 0.2, 0.5, 0.8 from evenly spaced; the last one is followed by 1.
    shapes = ssd_anchor_shapes(3, min_scale=0.2, max_scale=0.8, aspect_ratios=[1.0, 3.0])
    expected = [
        [(0.1, 1.0), (0.2, 2.0), (0.2, 0.5)],
        [(0.5, 1.0), (0.5, 3.0), (0.4**0.5, 1.0)],
        [(0.8, 1.0), (0.8, 3.0), (0.8**0.5, 1.0)],
    ]
    for ours, theirs in zip(shapes, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_one_ssd_feature_map_has_the_smallest_scale() -> None:
    shapes = ssd_anchor_shapes(1, aspect_ratios=[1.0], reduce_boxes_in_lowest_layer=False)
    np.testing.assert_allclose(shapes, [[(0.2, 1.0), (0.2**0.5, 1.0)]])


def test_ssd_cell_by_hand() -> None:
    # 60 x 120 pixels, maps of 2 x 3: cells 30 high and 40 wide. Scale 0.4 of the shorter side is
    # 24 pixels; ratio 4: 12 high, 48 wide; twice and three times that by the base anchor's size.
    anchors = ssd_anchors(
        [(2, 3)],
        (60, 120),
        scales=[0.4],
        aspect_ratios=[4.0],
        interpolated_scale_aspect_ratio=0.0,
        reduce_boxes_in_lowest_layer=False,
        base_anchor_size=(2.0, 3.0),
    )
    pixels = anchors * [60, 120, 60, 120]
    np.testing.assert_allclose(pixels[0], [15 - 12, 20 - 72, 15 + 12, 20 + 72], atol=1e-4)
    np.testing.assert_allclose(pixels[5] - pixels[0], [30, 80, 30, 80], atol=1e-4)


def test_ssd_strides_and_offsets_by_hand() -> None:
    # Centres 5, 25 down and 7, 37, 67 to the right, in pixels.
    anchors = ssd_anchors(
        [(2, 3)],
        (50, 100),
        scales=[0.5],
        aspect_ratios=[1.0],
        interpolated_scale_aspect_ratio=0.0,
        reduce_boxes_in_lowest_layer=False,
        height_stride=[20],
        width_stride=[30],
        height_offset=[5],
        width_offset=[7],
    )
    pixels = anchors * [50, 100, 50, 100]
    np.testing.assert_allclose((pixels[[0, 3], 0] + pixels[[0, 3], 2]) / 2, [5, 25], atol=1e-4)
    np.testing.assert_allclose((pixels[:3, 1] + pixels[:3, 3]) / 2, [7, 37, 67], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("scales", [0.1, 0.2, 0.3]),
        ("height_stride", [8]),
        ("width_stride", [8, 16, 32]),
        ("height_offset", [4]),
        ("width_offset", [4, 8, 16]),
    ],
)
def test_lists_that_do_not_fit_the_feature_maps(name: str, values: list[float]) -> None:
    message = rf"^ssd_anchor_generator\.{name}: {len(values)} values for 2 feature maps; give one"
    with pytest.raises(InputError, match=message):
        ssd_anchors([(4, 5), (2, 3)], (64, 80), aspect_ratios=[1.0], **{name: values})


MULTISCALE_CASES = {
    0: {"min_level": 3, **ZOO},
    1: {"min_level": 3, **ZOO},
    2: {
        "min_level": 3,
        "anchor_scale": 3.0,
        "aspect_ratios": [1.0, 3.0],
        "scales_per_octave": 3,
        "normalize_coordinates": False,
    },
}
SSD_CASES = {
    3: SSD_ZOO,
    4: {**SSD_ZOO, "aspect_ratios": [1.0, 2.0, 0.5], "reduce_boxes_in_lowest_layer": False},
    5: {
        "scales": float32s(0.1, 0.4),
        "aspect_ratios": [1.0, 2.0],
        "interpolated_scale_aspect_ratio": 0.0,
        "height_stride": [16, 32],
        "width_stride": [16, 32],
        "height_offset": [8, 16],
        "width_offset": [8, 16],
    },
}


@pytest.mark.parametrize("case", range(6))
def test_equals_the_recording(case: int) -> None:
    shapes = [tuple(shape) for shape in RECORDING[f"case{case}_feature_maps"].tolist()]
    image_size = tuple(RECORDING[f"case{case}_image"].tolist())
    per_location = RECORDING[f"case{case}_per_location"].tolist()
    if case in MULTISCALE_CASES:
        settings = MULTISCALE_CASES[case]
        anchors = multiscale_grid_anchors(shapes, image_size, **settings)
        number = num_multiscale_anchors_per_location(
            aspect_ratios=settings["aspect_ratios"], scales_per_octave=settings["scales_per_octave"]
        )
        assert per_location == [number] * len(shapes)
    else:
        anchors = ssd_anchors(shapes, image_size, **SSD_CASES[case])
        names = (
            "min_scale",
            "max_scale",
            "scales",
            "aspect_ratios",
            "interpolated_scale_aspect_ratio",
            "reduce_boxes_in_lowest_layer",
        )
        settings = {key: value for key, value in SSD_CASES[case].items() if key in names}
        layers = ssd_anchor_shapes(len(shapes), **settings)
        assert per_location == [len(layer) for layer in layers]
    assert anchors.dtype == np.float32
    # Bit by bit: NumPy rounds every one of these operations correctly on every machine.
    thinned = anchors[:: int(RECORDING[f"case{case}_step"])]
    np.testing.assert_array_equal(thinned, RECORDING[f"case{case}_anchors"])


@pytest.mark.parametrize(
    "model", ["ssd_mobilenet_v2_fpnlite_320x320", "fpnlite_320_narrow", "ssd_mobilenet_v2_320x320"]
)
def test_equals_the_anchors_of_the_recorded_models(oracle: Path, model: str) -> None:
    if "fpnlite" in model:
        shapes = [(40, 40), (20, 20), (10, 10), (5, 5), (3, 3)]
        anchors = multiscale_grid_anchors(shapes, (320, 320), min_level=3, **ZOO)
    else:
        shapes = [(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
        anchors = ssd_anchors(shapes, (300, 300), **SSD_ZOO)
    np.testing.assert_array_equal(anchors, np.load(oracle / model / "golden.npz")["infer/anchors"])
