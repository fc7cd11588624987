"""The order of the worst images, and the words about them."""

from __future__ import annotations

from ssd import label_map as label_maps
from ssd.run_report.analysis import Analysis
from ssd.run_report.worst import worst_images

A, B, C = (0.0, 0.0, 0.4, 0.3), (0.0, 0.5, 0.4, 0.8), (0.6, 0.1, 0.9, 0.9)


def test_order_and_words(make_image):
    images = [
        make_image(0, [(1, A)], [(1, 0.9, A)]),  # nothing wrong
        make_image(1, [(1, A), (1, B)], [(1, 0.9, A)]),  # 2 / 3
        make_image(2, [(1, A)], []),  # 0, one mistake
        make_image(3, [(1, A), (2, B)], [(2, 0.9, A), (1, 0.9, C)]),  # 0, two pairs and one
        make_image(4, [(2, B)], [(2, 0.9, B), (1, 0.9, C)]),  # 2 / 3, and later
        make_image(5, [], []),
        make_image(6, [], [(1, 0.9, C)]),  # 0, one mistake, later
    ]
    analysis = Analysis.of(images, label_maps.from_names(["bolt", "nut"]))
    found = worst_images(analysis, 12)
    assert [(worst.row, round(worst.f1, 3), worst.what()) for worst in found] == [
        (3, 0.0, "1 of 2 missed, 1 detected as another class, 1 false"),
        (2, 0.0, "1 of 1 missed"),
        (6, 0.0, "1 false"),
        (1, 0.667, "1 of 2 missed"),
        (4, 0.667, "1 false"),
    ]
    assert [worst.row for worst in worst_images(analysis, 2)] == [3, 2]
