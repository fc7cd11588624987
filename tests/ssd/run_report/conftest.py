"""Images of an evaluation, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from ssd.evaluated_image import EvaluatedImage

Box = tuple[float, float, float, float]


@pytest.fixture(scope="session")
def make_image() -> Callable[..., EvaluatedImage]:
    """(number, groundtruth (class, box), detections (class, score, box), crowds) -> an image."""

    def make(
        number: int,
        truth: Sequence[tuple[int, Box]],
        found: Sequence[tuple[int, float, Box]],
        crowds: Sequence[int] = (),
    ) -> EvaluatedImage:
        is_crowd = np.zeros(len(truth), bool)
        is_crowd[list(crowds)] = True
        return EvaluatedImage(
            number=number,
            source_id=f"img_{number}.jpg",
            image_size=(120, 200),
            groundtruth_boxes=np.array([box for _, box in truth], np.float32).reshape(-1, 4),
            groundtruth_classes=np.array([k for k, _ in truth], np.int64),
            groundtruth_is_crowd=is_crowd,
            detection_boxes=np.array([box for *_, box in found], np.float32).reshape(-1, 4),
            detection_scores=np.array([score for _, score, _ in found], np.float32),
            detection_classes=np.array([k for k, *_ in found], np.int64),
        )

    return make


@pytest.fixture
def random_images(make_image) -> list[EvaluatedImage]:
    """Thirty images of three classes, some empty, with displaced, doubled and wrong detections."""
    random = np.random.default_rng(3)
    images = []
    for number in range(30):
        low = random.uniform(0, 0.6, (random.integers(0, 6), 2))
        boxes = np.concatenate([low, low + random.uniform(0.1, 0.4, low.shape)], axis=1)
        classes = random.integers(1, 4, len(boxes))
        truth = [(int(k), tuple(box)) for k, box in zip(classes, boxes, strict=True)]
        found = [
            (
                int(k if random.random() < 0.8 else random.integers(1, 4)),
                float(np.round(random.uniform(0.05, 1), 2)),
                tuple(np.asarray(box) + random.normal(0, 0.03, 4)),
            )
            for k, box in truth * 2
            if random.random() < 0.8
        ]
        found += [(int(random.integers(1, 4)), float(random.uniform(0, 0.5)), (0.1, 0.2, 0.3, 0.6))]
        crowds = [0] if number % 7 == 3 and truth else []
        images.append(make_image(number, truth, found, crowds))
    return images
