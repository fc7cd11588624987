"""Adam (Kingma and Ba 2015, algorithm 1 with the rate of section 2), as in TF1 and TF2."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ssd.learning_rate import Schedule
from ssd.optimizers.slot_optimizer import SlotOptimizer

# No field of the schema sets them. As in the original, 1 - b2 is that of the float32: 0.00099999.
_BETA_1, _BETA_2 = float(np.float32(0.9)), float(np.float32(0.999))


class Adam(SlotOptimizer):
    """m and v: means of g and g^2; w -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).

    Args:
      learning_rate: see `SlotOptimizer`.
      epsilon: added to the root.
    """

    def __init__(self, learning_rate: Schedule, epsilon: float) -> None:
        super().__init__(
            learning_rate,
            slots={"m": 0.0, "v": 0.0},
            hyperparameters={"beta_1": _BETA_1, "beta_2": _BETA_2, "decay": 0.0},
        )
        self.epsilon = epsilon

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """One update; called by `apply` for every variable."""
        count = tf.cast(tf.convert_to_tensor(self.iterations), tf.float32) + 1.0
        unbiased = tf.sqrt(1.0 - tf.pow(_BETA_2, count)) / (1.0 - tf.pow(_BETA_1, count))
        mean, mean_square = self.slot("m", variable), self.slot("v", variable)
        self.assign_add(mean, (gradient - mean) * (1.0 - _BETA_1))
        self.assign_add(mean_square, (tf.square(gradient) - mean_square) * (1.0 - _BETA_2))
        root = tf.sqrt(tf.convert_to_tensor(mean_square)) + self.epsilon
        self.assign_sub(variable, learning_rate * unbiased * mean / root)
