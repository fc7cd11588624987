"""Moving averages of the trained weights, which often detect better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf


class MovingAverages:
    """average = d average + (1 - d) variable after every update, beginning at 0.

    d = min(decay, (1 + n) / (10 + n)) after the n-th update, as the original has it under TF2: a
    young average forgets its zeros within some ten updates, and what is trained for a short time
    is averaged over a short time.

    Args:
      variables: the trained weights; batch-norm statistics are averages already.
      decay: `moving_average_decay`, 0 to 1.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float) -> None:
        self._variables = list(variables)
        self._decay = decay
        self.averages = [tf.Variable(tf.zeros_like(v), trainable=False) for v in variables]

    def update(self, count: tf.Tensor) -> None:
        """Takes in the weights as they are after `count` updates (int64 scalar, 1 or more)."""
        n = tf.cast(count, tf.float32)
        share = 1.0 - tf.minimum(self._decay, (1.0 + n) / (10.0 + n))
        for average, variable in zip(self.averages, self._variables, strict=True):
            average.assign_sub(share * (average - variable))

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """The weights are the averages inside the block, and exactly themselves after it."""
        own = [variable.numpy() for variable in self._variables]
        try:
            for variable, average in zip(self._variables, self.averages, strict=True):
                variable.assign(average)
            yield
        finally:
            for variable, value in zip(self._variables, own, strict=True):
                variable.assign(value)
