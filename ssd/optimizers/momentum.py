"""Gradient descent with momentum, in the TF2 and in the TF1 original's form."""

from __future__ import annotations

import keras
import tensorflow as tf

from ssd.learning_rate import Schedule
from ssd.optimizers.slot_optimizer import SlotOptimizer


class Momentum(SlotOptimizer):
    """v = m v - lr g, w += v; not Nesterov. Without momentum no slot is kept.

    Args:
      learning_rate: see `SlotOptimizer`.
      momentum: m, 0 to 1.
      accumulates_gradients: a = m a + g, w -= lr a, as under TF1: a change of the learning rate
        scales the whole history at once.
    """

    def __init__(
        self, learning_rate: Schedule, momentum: float, *, accumulates_gradients: bool = False
    ) -> None:
        super().__init__(
            learning_rate,
            slots={"momentum": 0.0} if momentum else {},
            hyperparameters={"decay": 0.0, "momentum": momentum},
        )
        self.momentum = momentum
        self.accumulates_gradients = accumulates_gradients

    @property
    def momentums(self) -> list[keras.Variable]:
        """The velocities, in the order of the variables."""
        return self.slots.get("momentum", [])

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """One update; called by `apply` for every variable."""
        if not self.momentum:
            self.assign_sub(variable, learning_rate * gradient)
            return
        slot = self.slot("momentum", variable)
        if self.accumulates_gradients:
            self.assign(slot, self.momentum * slot + gradient)
            self.assign_sub(variable, learning_rate * slot)
        else:
            self.assign(slot, self.momentum * slot - learning_rate * gradient)
            self.assign_add(variable, slot)
