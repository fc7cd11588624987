"""Looking at the best anchors first finds what looking at all of them finds."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ssd.core import greedy_nms
from ssd.core.detections import Detections, NmsLimits

WHOLE_IMAGE = tf.constant([0.0, 0.0, 1.0, 1.0])


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    low = np.maximum(others[:, :2], box[:2])
    high = np.minimum(others[:, 2:], box[2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return shared / (areas + np.prod(box[2:] - box[:2]) - shared)


def suppressed_by_hand(
    boxes: np.ndarray, scores: np.ndarray, score_threshold: float, limits: NmsLimits
) -> list[tuple[int, int]]:
    """(class, anchor) of the detections of one image, by the definition."""
    found: list[tuple[float, int, int]] = []
    for index in range(scores.shape[1]):
        left = scores[:, index].astype(np.float64)
        kept: list[int] = []
        while len(kept) < limits.per_class and left.max() > score_threshold:
            anchor = int(left.argmax())
            kept.append(anchor)
            found.append((-left[anchor], index, anchor))
            left[anchor] = -1.0
            overlap = overlaps(boxes[anchor], boxes)
            if limits.soft_nms_sigma:
                left *= np.exp(-(overlap**2) / (2 * limits.soft_nms_sigma))
            else:
                left[overlap > limits.iou_threshold] = -1.0
    return [(index, anchor) for _, index, anchor in sorted(found, key=lambda f: f[0])][
        : limits.total
    ]


@pytest.mark.parametrize("sigma", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("levels", [5, 10**6])
@pytest.mark.parametrize(
    ("crowding", "threshold"), [(0.05, 1e-8), (0.9, 1e-8), (0.9, 0.5), (0.999, 1e-8)]
)
def test_equals_suppression_of_every_candidate(
    monkeypatch: pytest.MonkeyPatch, crowding: float, threshold: float, levels: int, sigma: float
) -> None:
    # The more the boxes crowd, the deeper suppression must look; few score levels make ties.
    monkeypatch.setattr(greedy_nms, "_FIRST_LOOK", 1)
    monkeypatch.setattr(greedy_nms, "_NEXT_LOOK", 2)
    rng = np.random.default_rng(7)
    size = rng.uniform(0.05, 0.3, (900, 2))
    corner = rng.uniform(0, 1 - crowding, (900, 2)) * (1 - size)
    boxes = np.concatenate([corner, corner + size], axis=-1).astype(np.float32)
    scores = (np.round(rng.uniform(0, 1, (900, 3)) * levels) / levels).astype(np.float32)
    limits = NmsLimits(threshold, 0.5, per_class=40, total=100, soft_nms_sigma=sigma)
    found = detect(boxes, scores, limits)
    count = int(found.num_detections)
    ours = zip(found.detection_classes, found.anchor_indices, strict=True)
    expected = suppressed_by_hand(boxes, scores, threshold, limits)
    assert [(int(c), int(a)) for c, a in ours][:count] == expected


def detect(boxes: object, scores: object, limits: NmsLimits) -> Detections:
    return greedy_nms.detect_image(
        tf.constant(boxes, tf.float32), tf.constant(scores, tf.float32), WHOLE_IMAGE, limits
    )


@pytest.mark.parametrize("iou_threshold", [0.3, 1.0])
def test_soft_suppression_by_hand(iou_threshold: float) -> None:
    # Heights and top are the same, so widths make the overlaps: with the first 0.3 / 0.4 = 0.75 and
    # 0.05 / 0.4 = 0.125, of the last two 0.05 / 0.3 = 1/6. The third comes before the second.
    boxes = [[0.0, 0.0, 0.5, 0.4], [0.0, 0.0, 0.5, 0.3], [0.0, 0.0, 0.5, 0.05]]
    limits = NmsLimits(0.01, iou_threshold, per_class=3, total=4, soft_nms_sigma=0.5)
    found = detect(boxes, [[0.9], [0.8], [0.6]], limits)
    # 0.6 * exp(-0.125^2), 0.8 * exp(-0.75^2) * exp(-(1/6)^2)
    np.testing.assert_allclose(found.detection_scores, [0.9, 0.590698, 0.443339, 0.0], rtol=1e-5)
    assert found.anchor_indices.numpy().tolist() == [0, 2, 1, 0]
