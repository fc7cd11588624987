"""The facts of a raw int8 file as a header for `ssd_decode.c`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ssd.tflite_raw.ssd_decode import AnchorLevel, Decoding, Quantization

_LINE = 100
# Characters of a C string that are written as they are; a ? could begin a trigraph.
_PLAIN = re.compile(r"[ !#-&(->@-\[\]-~]")


def header(decoding: Decoding, stem: str) -> str:
    """Returns the text of <stem>_decoding.h, C99 and C++.

    It defines <stem>_decoding and <stem>_labels, and the macros <STEM>_NUM_ANCHORS, _NUM_CLASSES
    and _MAX_DETECTIONS; what is no letter or digit in the stem becomes an underscore.

    Args:
      decoding: of an int8 file; its anchors go in as grids where they have levels.
      stem: name of the file without its suffix.
    """
    box, score = decoding.box_quantization, decoding.score_quantization
    if box is None or score is None:
        raise ValueError("ssd_decode.c reads int8 outputs; these are float")
    name = identifier(stem)
    macro = name.upper()
    anchors = _levels(name, decoding.levels) if decoding.levels else _table(name, decoding.anchors)
    lines = [
        f"/* What ssd_decode.c needs to know of {stem}.tflite; made by its export. */",
        f"#ifndef {macro}_DECODING_H",
        f"#define {macro}_DECODING_H",
        "",
        '#include "ssd_decode.h"',
        "",
        f"#define {macro}_NUM_ANCHORS {len(decoding.anchors)}",
        f"#define {macro}_NUM_CLASSES {decoding.num_classes}",
        f"#define {macro}_MAX_DETECTIONS {decoding.max_total_detections}",
        "",
        f"static const char *const {name}_labels[{macro}_NUM_CLASSES] = {{",
        *_wrapped(_string(label) for label in decoding.labels),
        "};",
        "",
        *anchors,
        "",
        *_decoding(name, decoding, box, score),
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def identifier(stem: str) -> str:
    """Returns the name in C of what belongs to the file `stem`."""
    name = re.sub(r"[^A-Za-z0-9]", "_", stem)
    return name if name[:1].isalpha() else f"model_{name}"


def _decoding(name: str, decoding: Decoding, box: Quantization, score: Quantization) -> list[str]:
    levels = f"{len(decoding.levels)}, {name}_levels, NULL"
    y_scale, x_scale, h_scale, w_scale = map(_float, decoding.scale_factors)
    rows = [
        (f"{name.upper()}_NUM_ANCHORS, {name.upper()}_NUM_CLASSES", ""),
        (f"{_float(box.scale)}, {_float(score.scale)}", "scales of box_encodings, scores"),
        (f"{box.zero_point}, {score.zero_point}", "their zero points"),
        (f"{y_scale}, {x_scale}, {h_scale}, {w_scale}", "divide ty, tx, th, tw"),
        (f"{_float(decoding.score_threshold)}", "score threshold"),
        (f"{_float(decoding.iou_threshold)}", "IoU threshold"),
        (
            f"{decoding.max_detections_per_class}, {decoding.max_total_detections}",
            "of a class, all",
        ),
        (levels if decoding.levels else f"0, NULL, {name}_anchors", "anchors"),
    ]
    return [
        f"static const ssd_decoding {name}_decoding = {{",
        *(f"    {values},{f'  /* {meaning} */' if meaning else ''}" for values, meaning in rows),
        "};",
    ]


def _levels(name: str, levels: Iterable[AnchorLevel]) -> list[str]:
    lines, rows = [], []
    for number, level in enumerate(levels):
        sizes = f"{name}_sizes_{number}"
        lines += [
            f"static const float {sizes}[{len(level.sizes)}][2] = {{",
            *_wrapped(_row(size) for size in level.sizes),
            "};",
        ]
        numbers = ", ".join(map(_float, (*level.first, *level.step)))
        rows.append(
            f"    {{{level.rows}, {level.columns}, {len(level.sizes)}, {numbers}, {sizes}}},"
        )
    return [*lines, f"static const ssd_anchor_level {name}_levels[{len(rows)}] = {{", *rows, "};"]


def _table(name: str, anchors: np.ndarray) -> list[str]:
    return [
        f"static const float {name}_anchors[{len(anchors)}][4] = {{",
        *_wrapped(_row(anchor) for anchor in anchors),
        "};",
    ]


def _row(values: Iterable[float]) -> str:
    return "{" + ", ".join(_float(value) for value in values) + "}"


def _float(value: float) -> str:
    """A C literal of the float32 nearest to `value`."""
    text = f"{float(np.float32(value)):.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def _string(text: str) -> str:
    """A C literal of the UTF-8 of `text`."""
    parts = [
        chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"\\{byte:03o}"
        for byte in text.encode("utf-8")
    ]
    return f'"{"".join(parts)}"'


def _wrapped(items: Iterable[str]) -> list[str]:
    """Lines of items with commas between them, as many on each as fit."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) + 2 <= _LINE:
            lines[-1] += f" {item},"
        else:
            lines.append(f"    {item},")
    return lines
