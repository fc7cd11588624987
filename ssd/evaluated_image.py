"""What an evaluation knows of one image: groundtruth beside detections, without the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EvaluatedImage:
    """Groundtruth and detections of one image.

    Attributes:
      number: which of the evaluated records it is, from 0.
      source_id: never empty.
      image_size: (height, width) of the original in pixels.
      groundtruth_boxes: float32 [N, 4], yxyx normalized.
      groundtruth_classes: int64 [N], class ids.
      groundtruth_is_crowd: bool [N].
      detection_boxes: float32 [D, 4], yxyx normalized; may reach out of the image.
      detection_scores: float32 [D], in any order.
      detection_classes: int [D], class ids; the label map need not have them.
    """

    number: int
    source_id: str
    image_size: tuple[int, int]
    groundtruth_boxes: NDArray[Any]
    groundtruth_classes: NDArray[np.integer]
    groundtruth_is_crowd: NDArray[np.bool_]
    detection_boxes: NDArray[Any]
    detection_scores: NDArray[Any]
    detection_classes: NDArray[np.integer]
