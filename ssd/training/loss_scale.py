"""Dynamic loss scaling: what keeps gradients in float16 away from zero and from infinity.

Gradients below 6e-8 are zero in float16. The loss is multiplied by a scale, and so is every
gradient on its way back; float32 gradients of the variables are divided by it. The scale is found
while training (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740, section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from ssd.training.progress import losses_text

_INITIAL, _GROWTH_STEPS = 2.0**15, 2000
# With less, scaling does not help: the gradients themselves leave float16's range.
LEAST = 1.0


class LossScale:
    """A power of two, doubled after so many finite steps in a row, halved after any other step.

    A step whose loss or gradients are not finite changes no weight, no optimizer slot, no moving
    average and no batch-norm statistic. It counts as a step all the same: the next one takes the
    next batch and the next learning rate.

    Args:
      initial: the scale of the first step.
      growth_steps: finite steps in a row before it is doubled.

    Attributes:
      state: {name: variable} of what a training checkpoint holds of it.
    """

    def __init__(self, initial: float = _INITIAL, growth_steps: int = _GROWTH_STEPS) -> None:
        self._growth_steps = growth_steps
        self._scale = tf.Variable(initial, trainable=False, dtype=tf.float32)
        self._finite_steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.state = {"scale": self._scale, "finite_steps": self._finite_steps}

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the float32 scalar to differentiate."""
        return loss * self._scale

    def unscaled(self, gradients: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
        """Returns the gradients of the loss itself, of those of `scaled`."""
        return [None if gradient is None else gradient / self._scale for gradient in gradients]

    def update_if(
        self,
        is_finite: tf.Tensor,
        *,
        update: Callable[[], None],
        skip: Callable[[], None],
    ) -> dict[str, tf.Tensor]:
        """Runs `update` or, where `is_finite` (bool scalar) is false, `skip`; adapts the scale.

        Returns:
          float32 scalars loss_scale, the one of the next step, and is_skipped, 0 or 1.
        """

        def run(chosen: Callable[[], None]) -> Callable[[], tf.Tensor]:
            def branch() -> tf.Tensor:
                chosen()
                return tf.constant(True)

            return branch

        tf.cond(is_finite, run(update), run(skip))
        finite_steps = tf.where(is_finite, self._finite_steps + 1, 0)
        grows = finite_steps >= self._growth_steps
        factor = tf.where(is_finite, tf.where(grows, 2.0, 1.0), 0.5)
        self._finite_steps.assign(tf.where(grows, tf.zeros_like(finite_steps), finite_steps))
        scale = self._scale * factor
        self._scale.assign(scale)
        return {"loss_scale": scale, "is_skipped": tf.where(is_finite, 0.0, 1.0)}


def all_finite(loss: tf.Tensor, gradients: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Returns whether neither the loss nor any element of a gradient is infinite or NaN."""
    # Of the norm: one number per gradient instead of a mask of its size.
    return tf.math.is_finite(tf.linalg.global_norm([loss, *gradients]))


def finite_fault(losses: dict[str, float]) -> str:
    """Returns what is not finite where no smaller scale can mend it; "" for all other steps.

    Args:
      losses: what the train step returned.
    """
    is_finite = all(math.isfinite(value) for value in losses.values())
    if is_finite if "loss_scale" not in losses else losses["loss_scale"] >= LEAST:
        return ""
    if is_finite:
        return f"gradients are not finite in float16, loss scale 1 ({losses_text(losses)})"
    return f"{losses_text(losses)} is not finite"


def skipped_lines(step: int, losses: dict[str, float]) -> list[str]:
    """Returns a line about a step that was skipped; none about any other."""
    if not losses.get("is_skipped"):
        return []
    scale = losses["loss_scale"]
    return [
        f"step {step}: gradients overflow float16 at loss scale {2 * scale:g}: step skipped, "
        f"scale {scale:g} from here"
    ]
