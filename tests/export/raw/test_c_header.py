from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from export.raw.c_header import header, identifier
from ssd.tflite_raw.ssd_decode import AnchorLevel, Decoding, Quantization, grid_anchors

LEVELS = (AnchorLevel(1, 2, (0.5, 0.25), (0.0, 0.5), ((0.5, 0.25), (0.1, 1.0))),)
DECODING = Decoding(
    anchors=grid_anchors(LEVELS),
    scale_factors=(10.0, 8.0, 5.0, 4.0),
    num_classes=2,
    score_threshold=1e-8,
    iou_threshold=0.6,
    max_detections_per_class=7,
    max_total_detections=9,
    labels=("M6 bolt", "nut"),
    box_quantization=Quantization(0.0961801931, 66),
    score_quantization=Quantization(0.00390625, -128),
    levels=LEVELS,
)
EXPECTED = """\
/* What ssd_decode.c needs to know of m-1.tflite; made by its export. */
#ifndef M_1_DECODING_H
#define M_1_DECODING_H

#include "ssd_decode.h"

#define M_1_NUM_ANCHORS 4
#define M_1_NUM_CLASSES 2
#define M_1_MAX_DETECTIONS 9

static const char *const m_1_labels[M_1_NUM_CLASSES] = {
    "M6 bolt", "nut",
};

static const float m_1_sizes_0[2][2] = {
    {0.5f, 0.25f}, {0.100000001f, 1.0f},
};
static const ssd_anchor_level m_1_levels[1] = {
    {1, 2, 2, 0.5f, 0.25f, 0.0f, 0.5f, m_1_sizes_0},
};

static const ssd_decoding m_1_decoding = {
    M_1_NUM_ANCHORS, M_1_NUM_CLASSES,
    0.0961801931f, 0.00390625f,  /* scales of box_encodings, scores */
    66, -128,  /* their zero points */
    10.0f, 8.0f, 5.0f, 4.0f,  /* divide ty, tx, th, tw */
    9.99999994e-09f,  /* score threshold */
    0.600000024f,  /* IoU threshold */
    7, 9,  /* of a class, all */
    1, m_1_levels, NULL,  /* anchors */
};

#endif
"""


def test_the_text():
    assert header(DECODING, "m-1") == EXPECTED


def test_anchors_without_levels_are_a_table():
    text = header(dataclasses.replace(DECODING, levels=()), "m-1")
    assert (
        "static const float m_1_anchors[4][4] = {\n"
        "    {0.5f, 0.25f, 0.5f, 0.25f}, {0.5f, 0.25f, 0.100000001f, 1.0f}, "
        "{0.5f, 0.75f, 0.5f, 0.25f},\n"
        "    {0.5f, 0.75f, 0.100000001f, 1.0f},\n"
        "};\n"
    ) in text
    assert "    0, NULL, m_1_anchors,  /* anchors */\n" in text
    assert "levels" not in text


@pytest.mark.parametrize(
    ("label", "literal"),
    [
        pytest.param('a "b"', r'"a \042b\042"', id="quotes"),
        pytest.param("a\\n", r'"a\134n"', id="backslash"),
        pytest.param("Müller 1", r'"M\303\274ller 1"', id="UTF-8"),
        pytest.param("??/", r'"\077\077/"', id="trigraph"),
        pytest.param("a\tb", r'"a\011b"', id="tab"),
        pytest.param("it's [1] {x}~!", '"it\\047s [1] {x}~!"', id="plain"),
    ],
)
def test_labels_are_strings_of_c(label, literal):
    text = header(dataclasses.replace(DECODING, labels=(label, "nut")), "m")
    assert f'    {literal}, "nut",\n' in text


@pytest.mark.parametrize(
    ("stem", "name"),
    [("model_int8_raw", "model_int8_raw"), ("2-stage", "model_2_stage"), ("ä.b", "model___b")],
)
def test_names(stem, name):
    assert identifier(stem) == name


def test_lines_are_short():
    decoding = dataclasses.replace(DECODING, labels=tuple(f"class {n}" for n in range(50)))
    assert max(map(len, header(decoding, "m").splitlines())) <= 100


def test_float_outputs_are_not_for_c():
    with pytest.raises(ValueError, match=r"ssd_decode\.c reads int8 outputs"):
        header(dataclasses.replace(DECODING, box_quantization=None), "m")


def test_a_float_of_every_kind():
    reals = np.array([0.1, 1 / 3, 1e-30, 123456.789, -0.0, 2.0], np.float32)
    level = AnchorLevel(
        1, 1, (0.0, 0.0), (0.0, 0.0), tuple(zip(reals[::2], reals[1::2], strict=True))
    )
    text = header(dataclasses.replace(DECODING, levels=(level,)), "m")
    row = text.split("m_sizes_0[3][2] = {\n")[1].split("\n};")[0]
    found = [
        float(part.strip(" {},f\n")) for part in row.replace("}", "").split(",") if part.strip()
    ]
    np.testing.assert_array_equal(np.array(found, np.float32), reals)
