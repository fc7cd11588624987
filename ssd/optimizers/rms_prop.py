"""RMSProp with momentum, in the TF2 and in the TF1 original's form."""

from __future__ import annotations

import tensorflow as tf

from ssd.learning_rate import Schedule
from ssd.optimizers.slot_optimizer import SlotOptimizer


class RmsProp(SlotOptimizer):
    """r = rho r + (1 - rho) g^2, s = m s + lr g / sqrt(r + epsilon), w -= s.

    Args:
      learning_rate: see `SlotOptimizer`.
      rho: share of the old mean square that an update keeps, 0 to 1.
      momentum: m, 0 to 1; at 0 no s is kept.
      epsilon: added to the mean square.
      initial_mean_square: of every element; 0 under TF2, 1 under TF1.
      adds_epsilon_to_root: lr g / (sqrt(r) + epsilon), as the TF2 original has it without momentum.
      stored_decay: what a checkpoint holds as `decay`; nothing here depends on it.
    """

    def __init__(
        self,
        learning_rate: Schedule,
        *,
        rho: float,
        momentum: float,
        epsilon: float,
        initial_mean_square: float = 0.0,
        adds_epsilon_to_root: bool = False,
        stored_decay: float = 0.0,
    ) -> None:
        slots = {"rms": initial_mean_square}
        super().__init__(
            learning_rate,
            slots=slots | {"momentum": 0.0} if momentum else slots,
            hyperparameters={"decay": stored_decay, "momentum": momentum, "rho": rho},
        )
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.adds_epsilon_to_root = adds_epsilon_to_root

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """One update; called by `apply` for every variable."""
        mean_square = self.slot("rms", variable)
        self.assign_add(mean_square, (tf.square(gradient) - mean_square) * (1.0 - self.rho))
        if self.adds_epsilon_to_root:
            root = tf.sqrt(tf.convert_to_tensor(mean_square)) + self.epsilon
        else:
            root = tf.sqrt(mean_square + self.epsilon)
        step = learning_rate * gradient / root
        if self.momentum:
            slot = self.slot("momentum", variable)
            self.assign(slot, self.momentum * slot + step)
            self.assign_sub(variable, slot)
        else:
            self.assign_sub(variable, step)
