"""What the optimizers share: slots and hyperparameters under the original's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

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

    def slot(self, name: str, variable: keras.Variable) -> keras.Variable:
        """Returns what is kept under `name` for `variable`."""
        return self.slots[name][self._get_variable_index(variable)]
