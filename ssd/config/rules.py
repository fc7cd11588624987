"""What values of a setting are accepted: the pieces the tables of `obeyed.py` are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """The values of one field that are acted on.

    Attributes:
      allows: whether a value is accepted; enums come as their name.
      accepted: the accepted values in words; completes "... is not supported; supported: ".
      why: one more sentence for the person, or empty.
    """

    allows: Callable[[Any], bool]
    accepted: str
    why: str = ""


def show(value: Any) -> str:
    """Returns a value as a pipeline.config writes it, text without quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.7g}"
    return str(value) if value != "" else '""'


def only(*values: Any, why: str = "") -> Rule:
    """Accepts the listed values and no other."""
    return Rule(lambda value: value in values, ", ".join(map(show, values)), why)


def at_least(low: float, why: str = "") -> Rule:
    """Accepts numbers >= `low`."""
    return Rule(lambda value: value >= low, f"{low} or more", why)


def above(low: float, why: str = "") -> Rule:
    """Accepts numbers > `low`."""
    return Rule(lambda value: value > low, f"more than {low}", why)


def between(low: float, high: float, why: str = "") -> Rule:
    """Accepts numbers from `low` to `high`, both included."""
    return Rule(lambda value: low <= value <= high, f"{low} to {high}", why)


# (dotted path, what is wrong); the path is that of the setting to change.
Problem = tuple[str, str]

# Schema path -> its rule; None where every value of the type is acted on.
Table = dict[str, Rule | None]

FRACTION = between(0, 1)
POSITIVE = above(0)
COUNT = at_least(1)


def under(prefix: str, table: Table) -> Table:
    """Returns the table with `prefix.` in front of every path; `""` is the prefix itself."""
    return {f"{prefix}.{path}" if path else prefix: entry for path, entry in table.items()}
