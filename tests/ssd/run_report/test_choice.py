"""Which images TensorBoard shows."""

from __future__ import annotations

import numpy as np

from ssd.run_report.choice import chosen_rows

BOX = (0.1, 0.2, 0.5, 0.4)


def test_rare_classes_are_among_them(make_image):
    """Class 2 is in one image of forty, class 3 in another."""
    images = [make_image(n, [(1, BOX)], []) for n in range(40)]
    images[17] = make_image(17, [(2, BOX), (1, BOX)], [])
    images[30] = make_image(30, [(3, BOX)], [])
    rows = chosen_rows(images, 8)
    assert len(rows) == len(set(rows)) == 8
    assert rows == sorted(rows)
    assert {17, 30} <= set(rows)


def test_always_the_same_ones_whatever_was_detected(make_image, random_images):
    rows = chosen_rows(random_images, 5)
    again = [
        make_image(
            image.number,
            [
                (int(k), tuple(b))
                for k, b in zip(image.groundtruth_classes, image.groundtruth_boxes, strict=True)
            ],
            [],
        )
        for image in random_images
    ]
    assert chosen_rows(again, 5) == rows
    covered = np.concatenate([random_images[row].groundtruth_classes for row in rows])
    assert set(covered.tolist()) == {1, 2, 3}


def test_few_images_and_empty_ones(make_image):
    images = [make_image(0, [], []), make_image(1, [(1, BOX)], []), make_image(2, [], [])]
    assert chosen_rows(images, 8) == [0, 1, 2]
    assert chosen_rows(images, 1) == [1]
    assert chosen_rows([], 8) == []
