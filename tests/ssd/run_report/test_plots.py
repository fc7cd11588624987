"""What figures say: read from the figures themselves, not from their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from ssd import label_map as label_maps
from ssd.run_report import confusion_plot, detection_plots, training_plots
from ssd.run_report.analysis import Analysis
from ssd.run_report.plot_style import color_of, png, short, styled
from ssd.visualize import class_color

BOX = (0.1, 0.2, 0.5, 0.4)
PARTS = ("total_loss", "localization_loss", "classification_loss", "regularization_loss")


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend_of(figure) -> list[str]:
    box = figure.legends[0] if figure.legends else figure.axes[0].get_legend()
    return [text.get_text() for text in box.get_texts()]


def losses(count: int, value: float = 2.0) -> list[dict]:
    return [
        {"step": 20 * n, "learning_rate": 0.1 / n, **dict.fromkeys(PARTS, value / n)}
        for n in range(1, count + 1)
    ]


def test_smoothing_by_hand():
    # Of 60 values the window reaches 2 to each side, less at the ends.
    values = np.zeros(60)
    values[[0, 1, 30]] = 10.0
    found = training_plots.smoothed(values)
    np.testing.assert_allclose(found[[0, 1, 2, 3, 28, 30, 32, 33]], [10, 20 / 3, 4, 2, 2, 2, 2, 0])
    np.testing.assert_array_equal(training_plots.smoothed(np.array([3.0, 5.0])), [3, 5])
    assert len(training_plots.smoothed(np.zeros(0))) == 0


@pytest.mark.parametrize("count", [1, 2, 40])
def test_losses(count):
    figure = training_plots.losses(losses(count))
    assert legend_of(figure)[0] == f"total {2 / count:.3f}"
    assert figure.axes[0].get_yscale() == ("log" if count == 40 else "linear")
    assert png(figure).startswith(b"\x89PNG")


def test_the_best_evaluation_is_marked():
    lines = [{"step": n, "AP": 0.1 * n, "AP50": 0.2 * n, "ARl": None} for n in (1, 3, 2)]
    figure = training_plots.metrics(lines, 3, "AP")
    assert texts(figure) == ["best AP 0.300, step 3"]
    assert legend_of(figure) == ["AP50", "AP"]
    assert texts(training_plots.metrics(lines, None, "AP")) == []
    lines = [{"step": 5, "AP": 0.1, "AP50": 0.2, "ARl": 0.4}]
    figure = training_plots.metrics(lines, 5, "ARl")
    assert (texts(figure), legend_of(figure)) == (["best ARl 0.400, step 5"], ["AP50", "AP", "ARl"])


@pytest.mark.parametrize(
    "figure",
    [
        lambda: training_plots.losses([]),
        lambda: training_plots.learning_rate([]),
        lambda: training_plots.metrics([{"step": 1, "AP": None}], None, "AP"),
        lambda: detection_plots.average_precision({"a": {"AP": None, "AP50": None, "boxes": 0}}),
    ],
    ids=["losses", "learning rate", "metrics", "average precision"],
)
def test_nothing_to_see_is_said(figure):
    assert len(texts(figure())) == 1


def per_class(count: int) -> dict:
    return {
        f"class {k}": {"AP": k / count / 2, "AP50": k / count, "boxes": k + 1} for k in range(count)
    }


def test_bars_of_many_classes_are_the_best_and_the_worst():
    axes = detection_plots.average_precision(per_class(200)).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert (names[0], names[19], names[20], names[-1]) == (
        "class 199  (200)",
        "class 180  (181)",
        "class 19  (20)",
        "class 0  (1)",
    )
    assert (len(names), axes.get_title()) == (
        40,
        "AP: 20 best, 20 worst classes",
    )
    axes = detection_plots.average_precision(per_class(40)).axes[0]
    assert axes.get_title() == "Average precision per class"


def test_a_large_matrix_keeps_the_classes_with_most_mistakes():
    matrix = np.diag(np.full(31, 5))
    matrix[30, 30] = 0
    matrix[12, 25] = 7  # these two, then those that were missed once
    matrix[:17, 30] = 1
    figure = confusion_plot.confusion(matrix, [f"c{k}" for k in range(30)], "title")
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert names == [*(f"c{k}" for k in range(18)), "c25", "11 other classes", "missed"]
    # 11 x 5 right in "other", and no count is lost.
    assert texts(figure).count("55") == 1
    assert sum(map(int, texts(figure))) == matrix.sum()


def test_a_small_matrix_shows_every_cell():
    figure = confusion_plot.confusion(np.array([[1234, 0], [3, 0]]), ["a"], "title")
    assert texts(figure) == ["1,234", "0", "3"]


def test_a_single_class_has_no_curve_of_all_classes(make_image):
    labels = label_maps.from_names(["bolt"])
    analysis = Analysis.of([make_image(0, [(1, BOX)], [(1, 0.9, BOX)])], labels)
    assert legend_of(detection_plots.precision_recall(analysis)) == ["1.000  bolt"]
    # The middle of 0.01 to 0.89: 0.9 is a little less in float32.
    assert legend_of(detection_plots.f1_over_threshold(analysis)) == ["0.45  bolt"]


def test_of_many_classes_those_with_most_boxes_have_a_curve(make_image):
    names = [f"c{k}" for k in range(1, 15)]
    images = [make_image(0, [(k, BOX)] * (3 if k > 4 else 1), []) for k in range(1, 15)]
    figure = detection_plots.precision_recall(Analysis.of(images, label_maps.from_names(names)))
    assert [line[7:] for line in legend_of(figure)] == [*names[4:], "all as one class"]
    assert figure.axes[0].get_title().endswith(": 10 classes with most boxes")


def test_names_that_matplotlib_would_read_as_something_else(make_image):
    names = ["_hidden", "$\\frac{1}{$", "写真 ライオン", "a" * 80, "%s {x} \\n"]
    labels = label_maps.from_names(names)
    images = [make_image(k, [(k + 1, BOX)], [(k + 1, 0.9, BOX)]) for k in range(len(names))]
    analysis = Analysis.of(images, labels)
    with styled():
        for draw in (detection_plots.precision_recall, detection_plots.f1_over_threshold):
            figure = draw(analysis)
            shown = [line[4:] if line[1] == "." else line for line in legend_of(figure)]
            assert [line.lstrip("0123456789 ") for line in shown[:3]] == names[:3]
            assert png(figure).startswith(b"\x89PNG")
        matrix = analysis.confusion(analysis.best_thresholds)
        assert png(confusion_plot.confusion(matrix, names, "title")).startswith(b"\x89PNG")
    assert short("a" * 80) == "a" * 25 + "…"


def test_colours_are_those_of_the_pictures_where_white_lets_them():
    assert color_of(0) == "#{:02x}{:02x}{:02x}".format(*class_color(0))
    assert color_of(4) < "#{:02x}{:02x}{:02x}".format(*class_color(4))


def test_figures_leave_no_settings_behind():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with styled():
        training_plots.losses(losses(3))
    assert dict(matplotlib.rcParams) == before
