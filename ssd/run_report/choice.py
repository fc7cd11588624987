"""A few images of an evaluation, spread over the classes: the same ones every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ssd.evaluated_image import EvaluatedImage


def chosen_rows(images: Sequence[EvaluatedImage], count: int) -> list[int]:
    """Returns rows of `images`, rising, at most `count`.

    One after the other, the image with most of the classes that are not shown yet is taken; once
    all are shown, it begins anew. The hash of the source_id decides between equal ones, so that a
    choice depends on the data alone. Images without boxes are taken last.
    """
    classes = [frozenset(image.groundtruth_classes.tolist()) for image in images]
    ranks = {
        row: hashlib.sha256(f"{image.source_id} {image.number}".encode()).digest()
        for row, image in enumerate(images)
    }
    left = set(ranks)
    chosen: list[int] = []
    shown: set[int] = set()
    while left and len(chosen) < count:
        new = max(len(classes[row] - shown) for row in left)
        if not new and shown:
            shown = set()
            continue
        best = min((row for row in left if len(classes[row] - shown) == new), key=ranks.__getitem__)
        left.remove(best)
        chosen.append(best)
        shown |= classes[best]
    return sorted(chosen)
