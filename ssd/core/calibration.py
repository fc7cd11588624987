"""Scores made to mean what they say: the corrections of `calibration_config`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from ssd.core.score_conversion import ScoreConverter, convert_scores
from ssd.core.types import TensorLike

# x ascending and as many y: the points that a score is interpolated between.
Curve = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Calibration:
    """What is corrected; at most one of the three, as in `calibration_config`.

    Attributes:
      temperature: temperature_scaling_calibration.scaler, > 0.
      curve: function_approximation, for all columns.
      class_curves: class_id_function_approximations by column of the scores, 0 being background.
    """

    temperature: float | None = None
    curve: Curve | None = None
    class_curves: Mapping[int, Curve] = field(default_factory=dict)


def calibrated_scores(
    logits: TensorLike,
    calibration: Calibration | None,
    *,
    score_converter: ScoreConverter,
    logit_scale: float = 1.0,
) -> tf.Tensor:
    """Returns float32 [..., C+1] scores, the background column corrected like the others.

    A temperature divides the logits, before the converter; curves map the converter's scores.

    Args:
      logits: float32 [..., C+1].
      calibration: None is none.
      score_converter, logit_scale: as in `convert_scores`.
    """
    calibration = calibration or Calibration()
    if calibration.temperature is not None:
        logits = tf.convert_to_tensor(logits, tf.float32) / calibration.temperature
    scores = convert_scores(logits, score_converter, logit_scale=logit_scale)
    if calibration.curve is not None:
        scores = interpolate(scores, *calibration.curve)
    if calibration.class_curves:
        scores = interpolate_columns(scores, calibration.class_curves)
    return scores


def interpolate(scores: TensorLike, x: Sequence[float], y: Sequence[float]) -> tf.Tensor:
    """Returns the scores mapped by straight lines through the points (x, y), same shape.

    Below the first point comes the first y, above the last the last y: up to 1 above. From there
    on the original starts again with the first y, and so does this; scores in [0, 1] never get
    there unless all x are <= 0.

    Args:
      scores: float32.
      x: at least one, ascending; of equal ones the score itself takes the last.
      y: as many.

    Example: half way between (0.2, 0.1) and (0.6, 0.5).
      >>> round(float(interpolate(tf.constant(0.4), [0.2, 0.6], [0.1, 0.5])), 6)
      0.3
    """
    scores = tf.convert_to_tensor(scores, tf.float32)
    flat = tf.reshape(scores, [-1])
    xs, ys = np.asarray(x, np.float32), np.asarray(y, np.float32)
    xs = np.concatenate([xs[:1] - np.float32(1), xs, xs[-1:] + np.float32(1)])
    ys = np.concatenate([ys[:1], ys, ys[-1:]])
    reached = tf.searchsorted(xs, flat, side="right")
    start = tf.where((reached > 0) & (reached < len(xs)), reached - 1, 0)
    low, high = tf.gather(xs, start), tf.gather(xs, start + 1)
    part = (flat - low) / (high - low)
    mapped = (1.0 - part) * tf.gather(ys, start) + part * tf.gather(ys, start + 1)
    return tf.reshape(mapped, tf.shape(scores))


def interpolate_columns(scores: TensorLike, curves: Mapping[int, Curve]) -> tf.Tensor:
    """Returns scores [..., C+1] with the columns that have a curve mapped by it (`interpolate`).

    Args:
      scores: float32 [..., C+1], the last dimension static.
      curves: by column; columns that the scores do not have are not looked at.
    """
    columns = tf.unstack(tf.convert_to_tensor(scores, tf.float32), axis=-1)
    return tf.stack(
        [
            interpolate(column, *curves[index]) if index in curves else column
            for index, column in enumerate(columns)
        ],
        axis=-1,
    )
