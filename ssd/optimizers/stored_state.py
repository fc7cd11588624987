"""The state of an optimizer as the original's training checkpoints hold it.

Slots lie beside their variable: `<variable>/.OPTIMIZER_SLOT/<optimizer>/<slot>`, everything else at
`<optimizer>/<name>`. Where averages are kept, they are slots of an optimizer around the real one,
which moves to `optimizer/base_optimizer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from ssd.optimizers.moving_average import MovingAverages
from ssd.optimizers.slot_optimizer import SlotOptimizer

_SLOT = "/.OPTIMIZER_SLOT/"
AVERAGE_SLOT = f"{_SLOT}optimizer/average"


def slot_variables(
    optimizer: SlotOptimizer, averages: MovingAverages | None, paths: Sequence[str]
) -> dict[str, tf.Variable]:
    """Returns {path in a checkpoint: variable} of everything kept per trained variable.

    Args:
      optimizer: built.
      averages: of the same variables; None if none are kept.
      paths: of the variables, in the optimizer's order.
    """
    place = "optimizer/base_optimizer" if averages else "optimizer"
    found = {
        f"{path}{_SLOT}{place}/{name}": slot.value
        for name, slots in optimizer.slots.items()
        for path, slot in zip(paths, slots, strict=True)
    }
    if averages:
        found |= {
            f"{path}{AVERAGE_SLOT}": average
            for path, average in zip(paths, averages.averages, strict=True)
        }
    return found


def tree(
    optimizer: SlotOptimizer,
    averages: MovingAverages | None,
    variables: Sequence[tf.Variable],
    step: int,
) -> tf.Module:
    """Returns what to store as `optimizer` in a tf.train.Checkpoint.

    Args:
      optimizer, averages: see `slot_variables`.
      variables: the trained ones, in the optimizer's order.
      step: updates so far.
    """
    slots = {name: [slot.value for slot in kept] for name, kept in optimizer.slots.items()}
    node = _Node(slots, variables)
    node.iter = tf.Variable(step, dtype=tf.int64)
    for name, value in optimizer.hyperparameters.items():
        setattr(node, name, tf.Variable(value, dtype=tf.float32))
    if not averages:
        return node
    around = _Node({"average": averages.averages}, variables)
    around.base_optimizer = node
    return around


class _Node(tf.Module):
    """An object of a checkpoint that has slots of the variables stored elsewhere in it."""

    def __init__(
        self, slots: Mapping[str, Sequence[tf.Variable]], variables: Sequence[tf.Variable]
    ) -> None:
        super().__init__()
        by_variable = {
            name: {id(variable): slot for variable, slot in zip(variables, kept, strict=True)}
            for name, kept in slots.items()
        }
        # Not as an attribute that is tracked: slots are reached through `get_slot` only.
        object.__setattr__(self, "_slots_by_variable", by_variable)

    def get_slot_names(self) -> list[str]:
        """Asked by the checkpoint writer."""
        return list(self._slots_by_variable)

    def get_slot(self, variable: tf.Variable, slot_name: str) -> tf.Variable | None:
        """Asked by the checkpoint writer for every object it stores."""
        return self._slots_by_variable[slot_name].get(id(variable))
