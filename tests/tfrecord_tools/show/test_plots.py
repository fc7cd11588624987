"""Plots of a data set: what they state, and that no data set is too odd for them."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.show import plots
from tfrecord_tools.show.box_drawing import looks
from tfrecord_tools.show.picture_sources import Picture
from tfrecord_tools.show.summary import DataSummary


def summary_of(*pictures, known=()) -> DataSummary:
    """Of (group, (height, width), [(class name, box)])."""
    found = DataSummary(known)
    for number, (group, size, objects) in enumerate(pictures):
        n = len(objects)
        made = ImageAnnotation(
            source_id="a",
            filename="a",
            image_size=size,
            boxes=np.array([box for _, box in objects], np.float32).reshape(n, 4),
            class_names=tuple(name for name, _ in objects),
            difficult=np.zeros(n, bool),
            truncated=np.zeros(n, bool),
            is_crowd=np.zeros(n, bool),
            area=np.ones(n, np.float32),
        )
        found.add(number, Picture(group, "a", made, b""))
    return found


def figures_of(summary: DataSummary) -> dict:
    """The figures, drawn; a warning is a failure."""
    classes, _ = looks(summary.class_names)
    figures = dict(plots.draw(summary, classes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in figures.values():
            file = io.BytesIO()
            plots.save(figure, file)
            with Image.open(file) as picture:
                assert picture.format == "PNG"
                assert min(picture.size) > 100
    return figures


TWO_GROUPS = summary_of(
    # 0.5 x 0.24 of 120 x 200: 60 x 48 pixels; 12 % of the picture, 110.9 pixels at 320 x 320.
    ("train", (120, 200), [("cat", [0.0, 0.0, 0.5, 0.24]), ("cow", [0.5, 0.5, 1.0, 0.74])]),
    ("train", (120, 200), [("cat", [0.2, 0.76, 0.7, 1.0])]),
    ("val", (120, 200), [("cat", [0.5, 0.0, 0.6, 0.4])]),
    known=["dog", "cow", "cat"],
)


def test_bars_of_classes():
    figure = figures_of(TWO_GROUPS)["classes.png"]
    (axes,) = figure.axes
    assert figure.get_suptitle() == "boxes of 3 classes"
    # The most common one is at the top.
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "cow", "dog"]
    assert axes.yaxis_inverted()
    bars = {c.get_label(): [bar.get_width() for bar in c] for c in axes.containers}
    assert bars == {"train": [2, 1, 0], "val": [1, 0, 0]}
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["train", "val"]


def test_histograms_of_boxes():
    figure = figures_of(TWO_GROUPS)["boxes.png"]
    assert figure.get_suptitle() == "4 boxes"
    sizes, shares, ratios, heat, _ = figure.axes

    def filled(axes):
        """Ranges of the bars of the first group, and their heights in percent."""
        bars = [bar for bar in axes.patches if hasattr(bar, "get_width") and bar.get_height()]
        return [(b.get_x(), b.get_x() + b.get_width(), round(b.get_height(), 1)) for b in bars]

    ((low, high, percent),) = filled(sizes)
    assert low < 320 * np.sqrt(0.12) < high
    assert percent == 100
    ((low, high, percent),) = filled(shares)
    assert low < 12 < high
    # 48 pixels wide, 60 high.
    ((low, high, percent),) = filled(ratios)
    assert low < 48 / 60 < high
    counts = heat.images[0].get_array()
    # Centres (y, x): (0.25, 0.12), (0.75, 0.62), (0.45, 0.88), (0.55, 0.2) in 6 x 6 cells.
    rows, columns = np.nonzero(counts)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (1, 0), (2, 5), (3, 1), (4, 3),
    ]  # fmt: skip


def test_the_split_table():
    (axes,) = figures_of(TWO_GROUPS)["splits.png"].axes
    cells = axes.tables[0].get_celld()
    texts = [[cells[row, column].get_text().get_text() for column in range(3)] for row in range(3)]
    assert texts == [["", "train", "val"], ["images", "2", "1"], ["boxes", "3", "1"]]


@pytest.mark.parametrize(
    "summary",
    [
        pytest.param(summary_of(("t", (120, 200), [])), id="no boxes, no class"),
        pytest.param(summary_of(("t", (120, 200), []), known=["cat"]), id="no boxes"),
        pytest.param(summary_of(("t", (0, 0), [("cat", [0, 0, 1, 1])])), id="no size"),
        pytest.param(summary_of(("t", (9, 9), [("cat", [0.5, 0.1, 0.5, 0.9])])), id="no area"),
        pytest.param(summary_of(("t", (9, 9), [("cat", [np.nan] * 4)])), id="no number"),
        pytest.param(summary_of(("t", (9, 9), [("cat", [-5, 3, 7, 4])])), id="outside"),
        pytest.param(
            summary_of(
                ("$t$ 猫", (9, 9), [("$x^2$", [0, 0, 1, 1]), ("猫", [0, 0, 1, 1])]), known=["_{"]
            ),
            id="odd names",
        ),
        pytest.param(
            summary_of(*((f"g{n}", (9, 9), [("x" * 99, [0, 0, 1, 1])]) for n in range(9))),
            id="many groups",
        ),
    ],
)
def test_odd_data_sets(summary):
    assert list(figures_of(summary)) == ["splits.png", "classes.png", "boxes.png"]


def test_only_the_largest_of_very_many_classes():
    objects = [(f"class {n}", [0.0, 0.0, 0.5, 0.5]) for n in range(120)]
    figure = figures_of(summary_of(("train", (9, 9), [*objects, objects[119]])))["classes.png"]
    assert figure.get_suptitle() == "boxes of 120 classes, the 100 largest"
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 100
    assert labels[0] == "class 119"
