"""What the anchors of a config are to given boxes: the best IoU of each, and its size at the input.

Also the verb `anchor-recall`, by which the data tools ask, arrays in and arrays out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ssd import image_resizer_builder
from ssd.config import pipeline
from ssd.core import anchor_overlap
from ssd.core.anchor_generators import AnchorGenerator
from ssd.core.anchor_overlap import ShapeGrid
from ssd.errors import InputError
from ssd.models import anchor_builder
from ssd.models.feature_map_shapes import feature_map_shapes
from ssd.shipped_configs import find_config


@dataclass(frozen=True)
class Frame:
    """What the network gets of pictures of one size.

    Attributes:
      size: (H, W) of its input, padding included.
      true_size: (height, width) of the picture in it.
    """

    size: tuple[int, int]
    true_size: tuple[int, int]


@dataclass(frozen=True)
class PlacedBoxes:
    """Boxes at a model's input.

    Attributes:
      boxes: float64 [M, 4], yxyx in shares of the input, padding included.
      sides_pixels: float32 [M, 2], height and width at the input.
      frames: the different inputs; one where every picture gets the same size.
      frame_numbers: int64 [M], which of `frames` each box is in.
    """

    boxes: np.ndarray
    sides_pixels: np.ndarray
    frames: tuple[Frame, ...]
    frame_numbers: np.ndarray

    def rows(self, chosen: np.ndarray) -> PlacedBoxes:
        """Returns the boxes of these row numbers alone."""
        return PlacedBoxes(
            self.boxes[chosen], self.sides_pixels[chosen], self.frames, self.frame_numbers[chosen]
        )


class AnchorModel:
    """The part of a config that decides which anchors a box meets.

    Args:
      ssd: an Ssd message that `ssd.config` does not refuse.
    """

    def __init__(self, ssd: Any) -> None:
        self.ssd = ssd
        self.image_resizer = image_resizer_builder.build(ssd.image_resizer)

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(H, W) of the network's input; None where it differs from image to image."""
        return self.image_resizer.output_size

    @property
    def needs_image_sizes(self) -> bool:
        """Whether the place of a box at the input depends on the size of its picture."""
        return self.input_size is None or self.image_resizer.has_padding

    @property
    def matched_threshold(self) -> float | None:
        """The IoU from which an anchor learns a box by itself; None where IoU does not decide."""
        if not self.ssd.matcher.HasField("argmax_matcher"):
            return None
        matcher, similarity = self.ssd.matcher.argmax_matcher, self.ssd.similarity_calculator
        if matcher.ignore_thresholds:
            return None
        match similarity.WhichOneof("region_similarity"):
            case "thresholded_iou_similarity":
                return float(similarity.thresholded_iou_similarity.iou_threshold)
            case "ioa_similarity" | "neg_sq_dist_similarity":
                return None
        return float(matcher.matched_threshold)

    def num_anchors_per_location(self, generator: AnchorGenerator) -> list[int]:
        """Returns the anchors of a cell of each feature map."""
        return generator.num_anchors_per_location(len(self._shapes((64, 64))))

    def num_anchors(self) -> int | None:
        """Returns A; None where it differs from image to image."""
        if self.input_size is None:
            return None
        per_location = self.num_anchors_per_location(
            anchor_builder.build(self.ssd.anchor_generator)
        )
        cells = [rows * columns for rows, columns in self._shapes(self.input_size)]
        return sum(a * b for a, b in zip(cells, per_location, strict=True))

    def place(self, boxes: np.ndarray, image_sizes: np.ndarray) -> PlacedBoxes:
        """Returns the boxes at this model's input.

        Args:
          boxes: float32 [M, 4], yxyx normalized.
          image_sizes: int32 [M, 2], (height, width) of the picture of each box; not looked at
            where every picture is squeezed to one size.
        """
        frames = [Frame(self.input_size or (0, 0), self.input_size or (0, 0))]
        numbers = np.zeros(len(boxes), np.int64)
        if self.needs_image_sizes:
            different, numbers = np.unique(image_sizes, axis=0, return_inverse=True)
            frames = [self._frame(height, width) for height, width in different.tolist()]
            numbers = numbers.reshape(-1)
        true = np.array([frame.true_size for frame in frames], np.float64).reshape(-1, 2)
        size = np.array([frame.size for frame in frames], np.float64).reshape(-1, 2)
        shares = np.tile((true / size)[numbers], 2)
        placed = boxes.astype(np.float64) * shares
        sides = (placed[:, 2:] - placed[:, :2]) * size[numbers]
        return PlacedBoxes(placed, sides.astype(np.float32), tuple(frames), numbers)

    def grids(self, generator: AnchorGenerator, frame: Frame) -> list[ShapeGrid]:
        """Returns the grids of the generator's anchors, in shares of the frame's input."""
        shapes = self._shapes(frame.size)
        if self.input_size is not None:
            anchors = np.asarray(generator.generate(shapes, frame.size))
        else:
            # As tensors: the generators then do what they do for sizes of run time.
            dynamic = [(tf.constant(rows), tf.constant(columns)) for rows, columns in shapes]
            height, width = (tf.constant(side) for side in frame.size)
            anchors = np.asarray(generator.generate(dynamic, (height, width)))
        return anchor_overlap.grids_of(anchors, shapes, self.num_anchors_per_location(generator))

    def best_iou(self, placed: PlacedBoxes, anchor_generator: Any | None = None) -> np.ndarray:
        """Returns float32 [M], the IoU of each box with the anchor that overlaps it most.

        Args:
          placed: of `place`.
          anchor_generator: AnchorGenerator message; None for the config's own.
        """
        generator = anchor_builder.build(anchor_generator or self.ssd.anchor_generator)
        return best_iou(placed, lambda frame: self.grids(generator, frame))

    def _shapes(self, size: tuple[int, int]) -> list[tuple[int, int]]:
        return feature_map_shapes(self.ssd.feature_extractor, size)

    def _frame(self, height: int, width: int) -> Frame:
        # The resizer itself is asked, with a black picture.
        image, true_shape = self.image_resizer(tf.zeros([height, width, 3], tf.uint8))
        true_height, true_width = true_shape.numpy()[:2].tolist()
        return Frame((int(image.shape[0]), int(image.shape[1])), (true_height, true_width))


def best_iou(placed: PlacedBoxes, grids_of_frame: Any) -> np.ndarray:
    """Returns float32 [M]; `grids_of_frame` (Frame -> grids) gives the anchors of each input."""
    best = np.zeros(len(placed.boxes), np.float32)
    for number, frame in enumerate(placed.frames):
        rows = np.flatnonzero(placed.frame_numbers == number)
        if len(rows):
            best[rows] = anchor_overlap.best_iou(placed.boxes[rows], grids_of_frame(frame))
    return best


def load_model(config: str, overrides: Sequence[str] = ()) -> AnchorModel:
    """Returns the model of a pipeline.config or of a shipped one's name.

    Raises:
      InputError: no such config, or its model is refused.
    """
    loaded = pipeline.load(find_config(config), overrides)
    pipeline.require_obeyed(loaded, for_training=False)
    return AnchorModel(loaded.message.model.ssd)


def run(config: str, *, boxes: str, output: str, overrides: Sequence[str] = ()) -> None:
    """The `anchor-recall` verb: what a config makes of boxes that the data tools have found.

    Args:
      config: a pipeline.config or the name of a shipped one.
      boxes: an .npz with boxes float32 [M, 4], yxyx normalized, and image_sizes int32 [M, 2],
        (height, width) of the picture of each box.
      output: the .npz to write: best_iou float32 [M]; sides_pixels float32 [M, 2], height and width
        at the input; matched_threshold float32 [], 0 where IoU does not decide; input_size int32
        [2], zeros where it differs from image to image.
      overrides: `section.field=value`.

    Raises:
      InputError: the config is refused, or a file is no such .npz or cannot be written.
    """
    model = load_model(config, overrides)
    found, image_sizes = _read_boxes(boxes)
    placed = model.place(found, image_sizes)
    part = Path(f"{output}.{os.getpid()}.tmp")
    try:
        try:
            with part.open("wb") as file:
                np.savez(
                    file,
                    best_iou=model.best_iou(placed),
                    sides_pixels=placed.sides_pixels,
                    matched_threshold=np.float32(model.matched_threshold or 0.0),
                    input_size=np.array(model.input_size or (0, 0), np.int32),
                )
            part.replace(output)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written: {error.strerror}") from None


def _read_boxes(path: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path) as stored:
            boxes, image_sizes = stored["boxes"], stored["image_sizes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"--boxes {path}: no .npz with boxes and image_sizes: {error}") from None
    count = len(boxes) if boxes.ndim else 0
    if boxes.shape != (count, 4) or image_sizes.shape != (count, 2):
        raise InputError(
            f"--boxes {path}: boxes {list(boxes.shape)} and image_sizes "
            f"{list(image_sizes.shape)}; expected [M, 4] and [M, 2]"
        )
    return boxes, image_sizes
