"""How alike each groundtruth box and each anchor are: what matchers compare.

All take groundtruth boxes float32 [B, G, 4] and anchors float32 [A, 4] and return [B, G, A].
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ssd.core import boxes as box_ops
from ssd.core.types import TensorLike

Similarity = Callable[[TensorLike, TensorLike], tf.Tensor]

iou: Similarity = box_ops.iou


def ioa(boxes: TensorLike, anchors: TensorLike) -> tf.Tensor:
    """Returns the share of each anchor's area that lies in the box; 0 for anchors without area."""
    return tf.math.divide_no_nan(
        box_ops.intersection(boxes, anchors), box_ops.area(anchors)[..., tf.newaxis, :]
    )


def negative_squared_distance(boxes: TensorLike, anchors: TensorLike) -> tf.Tensor:
    """Returns minus the squared distance of the corners, boxes taken as points of four numbers."""
    boxes, anchors = tf.convert_to_tensor(boxes), tf.convert_to_tensor(anchors)
    # |x - y|^2 = |x|^2 + |y|^2 - 2 x y in the original's order, without a tensor [B, G, A, 4].
    # One matrix product for the whole batch: a batched one rounds differently.
    rows = tf.reshape(boxes, [-1, 4])  # [B, G, 4] -> [B * G, 4]
    of_rows = tf.reduce_sum(rows * rows, axis=1)[:, tf.newaxis]
    of_anchors = tf.reduce_sum(anchors * anchors, axis=1)[tf.newaxis, :]
    products = tf.matmul(rows, anchors, transpose_b=True)
    distances = of_rows + of_anchors - 2.0 * products
    shape = tf.concat([tf.shape(boxes)[:-1], tf.shape(anchors)[:1]], axis=0)
    return -tf.reshape(distances, shape)


def thresholded_iou(
    boxes: TensorLike, anchors: TensorLike, *, iou_threshold: float = 0.5
) -> tf.Tensor:
    """Returns 1 where the IoU is more than the threshold, else 0.

    In the original it is the box's score, which for groundtruth is 1 (not background).
    """
    return tf.cast(box_ops.iou(boxes, anchors) > iou_threshold, tf.float32)
