"""What the optimizers share: slots and hyperparameters under the original's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from ssd.core import replicas
from ssd.learning_rate import Schedule


class SlotOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer that says what a checkpoint should hold of it.

    Args:
      learning_rate: asked with the number of updates so far.
      slots: {name: initial value} of what is kept per trained variable.
      hyperparameters: {name: value} that the original stores beside the slots.

    Attributes:
      slots: {name: a variable per trained variable, in the order of `build`}.
      hyperparameters: as given.
    """

    def __init__(
        self,
        learning_rate: Schedule,
        *,
        slots: Mapping[str, float],
        hyperparameters: Mapping[str, float],
    ) -> None:
        super().__init__(learning_rate=learning_rate)
        self._initial_values = dict(slots)
        self.slots: dict[str, list[keras.Variable]] = {name: [] for name in slots}
        self.hyperparameters = dict(hyperparameters)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the slots of `variables`; only these can be updated then."""
        if self.built:
            return
        super().build(list(variables))
        self.slots = {
            name: [
                self.add_variable_from_reference(
                    variable, name=name, initializer=keras.initializers.Constant(value)
                )
                for variable in variables
            ]
            for name, value in self._initial_values.items()
        }

    def apply(
        self,
        grads: Sequence[tf.Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Updates the variables with gradients that belong to the whole global batch.

        Of several replicas each updates its own copies, all with the same gradients; Keras' own
        way would sum the gradients over the replicas once more.
        """
        if replicas.count() == 1:
            super().apply(grads, trainable_variables)
            return
        if trainable_variables is None:
            raise ValueError("several replicas need to be told the variables")
        learning_rate = tf.convert_to_tensor(self.learning_rate)
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            if gradient is not None:
                self.update_step(gradient, variable.value, learning_rate)
        self.count_step()

    def count_step(self) -> None:
        """Counts a step without an update."""
        replicas.own(self.iterations.value).assign_add(1)

    def slot(self, name: str, variable: keras.Variable) -> keras.Variable:
        """Returns what is kept under `name` for `variable`."""
        return self.slots[name][self._get_variable_index(variable)]
