"""Which variables are trained: `update_trainable_variables` and `freeze_variables`.

The original obeys the two under TF1 only; here they hold for every model.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import keras

from ssd.errors import InputError
from ssd.models.detector import Detector
from ssd.variable_names import VariableNames, names_of_variables


def choose_trained(
    detector: Detector,
    *,
    update_trainable_variables: Sequence[str] = (),
    freeze_variables: Sequence[str] = (),
) -> list[keras.Variable]:
    """Returns the variables that training updates, in the network's order.

    Those that a pattern of `update_trainable_variables` finds, or all if there are none, without
    those that a pattern of `freeze_variables` finds. A pattern finds a variable if it matches
    anywhere in one of its three names (see `variable_names`), as `re.search` does. Moving
    statistics are not trained in the first place, and no pattern stops them.

    Raises:
      InputError: a pattern is no regular expression or finds nothing, or nothing is left to train.
    """
    paths = {id(v): key for key, v in detector.checkpoint_variables().items()}
    names = names_of_variables(detector)
    trainable = {paths[id(v.value)]: v for v in detector.network.trainable_variables}
    names = {key: names[key] for key in trainable}
    updated = _found(update_trainable_variables, names, "update_trainable_variables")
    frozen = _found(freeze_variables, names, "freeze_variables")
    left = (updated if update_trainable_variables else set(trainable)) - frozen
    if not left:
        raise InputError(
            "train_config: update_trainable_variables and freeze_variables leave no variable to "
            f"train out of {len(trainable)}; remove patterns"
        )
    return [variable for key, variable in trainable.items() if key in left]


def frozen_line(detector: Detector, trained: Sequence[keras.Variable]) -> str:
    """Returns what is not trained in one line for the screen."""
    kept = {id(variable) for variable in trained}
    every = detector.network.trainable_variables
    frozen = [variable for variable in every if id(variable) not in kept]
    values = sum(int(v.value.shape.num_elements()) for v in frozen)
    return f"frozen: {len(frozen)} of {len(every)} variables ({values:,} values)"


def _found(patterns: Sequence[str], names: dict[str, VariableNames], setting: str) -> set[str]:
    """Keys of the variables that any of the patterns finds; every pattern has to find some."""
    found: set[str] = set()
    for index, pattern in enumerate(patterns):
        place = f"train_config.{setting}[{index}]"
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise InputError(f"{place}: {pattern!r} is no regular expression ({error})") from None
        keys = {key for key, forms in names.items() if _finds(expression, forms)}
        if not keys:
            raise InputError(
                f"{place}: {pattern!r} finds none of the {len(names)} trainable variables; near: "
                f"{', '.join(_near(pattern, names))}"
            )
        found |= keys
    return found


def _finds(expression: re.Pattern[str], forms: VariableNames) -> bool:
    # TensorFlow's own names end in `:0`, and a pattern may say so.
    return any(expression.search(name) or expression.search(f"{name}:0") for name in forms)


def _near(pattern: str, names: dict[str, VariableNames]) -> list[str]:
    every = [name for forms in names.values() for name in forms]
    return difflib.get_close_matches(pattern, dict.fromkeys(every), n=3, cutoff=0.0)
