"""Boxes <-> offsets from anchors: the three box coders of pipeline.config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import tensorflow as tf

from ssd.core import boxes as box_ops
from ssd.core.types import TensorLike

# Added to every side before dividing by it or taking its logarithm.
_EPSILON = 1e-8
ScaleFactors = tuple[float, float, float, float]


class BoxCoder(Protocol):
    """Turns boxes into box encodings and back; anchors are float32 [A, 4], yxyx normalized."""

    code_size: ClassVar[int]

    def encode(self, boxes: TensorLike, anchors: TensorLike) -> tf.Tensor:
        """Returns float32 [..., A, code size] of boxes [..., A, 4], one per anchor."""

    def decode(self, box_encodings: TensorLike, anchors: TensorLike) -> tf.Tensor:
        """Returns float32 [..., A, 4] boxes of encodings [..., A, code size], not clipped."""


@dataclass(frozen=True)
class FasterRcnnBoxCoder:
    """`faster_rcnn_box_coder` (Ren et al. 2015, equation 2); see `encode_boxes`.

    Attributes:
      scale_factors: y_scale, x_scale, height_scale, width_scale.
    """

    scale_factors: ScaleFactors = (10.0, 10.0, 5.0, 5.0)
    code_size: ClassVar[int] = 4

    def encode(self, boxes: TensorLike, anchors: TensorLike) -> tf.Tensor:
        return encode_boxes(boxes, anchors, self.scale_factors)

    def decode(self, box_encodings: TensorLike, anchors: TensorLike) -> tf.Tensor:
        return decode_boxes(box_encodings, anchors, self.scale_factors)


@dataclass(frozen=True)
class MeanStddevBoxCoder:
    """`mean_stddev_box_coder`: (box - anchor) / stddev, corner by corner."""

    stddev: float = 0.01
    code_size: ClassVar[int] = 4

    def encode(self, boxes: TensorLike, anchors: TensorLike) -> tf.Tensor:
        return (boxes - tf.convert_to_tensor(anchors)) / self.stddev

    def decode(self, box_encodings: TensorLike, anchors: TensorLike) -> tf.Tensor:
        return box_encodings * self.stddev + tf.convert_to_tensor(anchors)


@dataclass(frozen=True)
class SquareBoxCoder:
    """`square_box_coder`: ty, tx as Faster R-CNN's and tl = log(l / la), l = sqrt(height * width).

    ty and tx are in lengths of the anchor, and decoded boxes are squares.

    Attributes:
      scale_factors: y_scale, x_scale, length_scale.
    """

    scale_factors: tuple[float, float, float] = (10.0, 10.0, 5.0)
    code_size: ClassVar[int] = 3

    def encode(self, boxes: TensorLike, anchors: TensorLike) -> tf.Tensor:
        ya, xa, ha, wa = box_ops.to_center_size(anchors)
        y, x, h, w = box_ops.to_center_size(boxes)
        anchor_length, length = tf.sqrt(ha * wa) + _EPSILON, tf.sqrt(h * w) + _EPSILON
        offsets = [
            (y - ya) / anchor_length,
            (x - xa) / anchor_length,
            tf.math.log(length / anchor_length),
        ]
        return tf.stack(offsets, axis=-1) * tf.constant(self.scale_factors, tf.float32)

    def decode(self, box_encodings: TensorLike, anchors: TensorLike) -> tf.Tensor:
        ya, xa, ha, wa = box_ops.to_center_size(anchors)
        anchor_length = tf.sqrt(ha * wa)
        scaled = box_encodings / tf.constant(self.scale_factors, tf.float32)
        ty, tx, tl = tf.unstack(scaled, axis=-1)
        length = tf.exp(tl) * anchor_length
        return box_ops.from_center_size(
            ty * anchor_length + ya, tx * anchor_length + xa, length, length
        )


def encode_boxes(
    boxes: TensorLike, anchors: TensorLike, scale_factors: ScaleFactors = (10.0, 10.0, 5.0, 5.0)
) -> tf.Tensor:
    """Returns the offsets that turn each anchor into its box; `decode_boxes` undoes it.

    ty = (y - ya) / ha, tx = (x - xa) / wa, th = log(h / ha), tw = log(w / wa), times scale_factors.

    Args:
      boxes: float32 [..., A, 4], yxyx normalized; row a is the box matched to anchor a.
      anchors: float32 [A, 4], yxyx normalized.
      scale_factors: multiply (ty, tx, th, tw); those the checkpoint was trained with.

    Returns:
      float32 [..., A, 4] box_encodings. Zeros mean "exactly the anchor". 1e-8 is added to every
      side, so a box without area encodes to a large negative number, not to -inf.

    Example: right by a quarter of the anchor's width, 1.5 times as wide, 3/4 as high.
      >>> anchors = tf.constant([[0.2, 0.3, 0.6, 0.5]])
      >>> encodings = encode_boxes(tf.constant([[0.3, 0.3, 0.6, 0.6]]), anchors)
      >>> [round(float(v), 3) for v in encodings[0]]
      [1.25, 2.5, -1.438, 2.027]
    """
    ya, xa, ha, wa = box_ops.to_center_size(anchors)
    y, x, h, w = box_ops.to_center_size(boxes)
    ha, wa, h, w = ha + _EPSILON, wa + _EPSILON, h + _EPSILON, w + _EPSILON
    offsets = [(y - ya) / ha, (x - xa) / wa, tf.math.log(h / ha), tf.math.log(w / wa)]
    return tf.stack(offsets, axis=-1) * tf.constant(scale_factors, tf.float32)


def decode_boxes(
    box_encodings: TensorLike,
    anchors: TensorLike,
    scale_factors: ScaleFactors = (10.0, 10.0, 5.0, 5.0),
) -> tf.Tensor:
    """Returns float32 [..., A, 4] boxes, yxyx normalized, not clipped.

    Args:
      box_encodings: float32 [..., A, 4], of `encode_boxes` or a network.
      anchors, scale_factors: as for `encode_boxes`.
    """
    ya, xa, ha, wa = box_ops.to_center_size(anchors)
    ty, tx, th, tw = tf.unstack(box_encodings / tf.constant(scale_factors, tf.float32), axis=-1)
    return box_ops.from_center_size(ty * ha + ya, tx * wa + xa, tf.exp(th) * ha, tf.exp(tw) * wa)
