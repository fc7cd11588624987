"""Which settings of a config are not acted on, each by path, line and reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ssd.config import together
from ssd.config.harmless import HARMLESS, REFUSED
from ssd.config.messages import is_map, is_message, is_repeated
from ssd.config.obeyed import OBEYED, OPTIONAL_ONEOFS, REQUIRED
from ssd.config.rules import Rule, show


@dataclass(frozen=True)
class Refusal:
    """One setting that is not acted on.

    Attributes:
      line: where the file sets it, or the section around it where it is missing; None for a
        setting that comes from the command line, and where nothing of it is in the file.
      path: dotted, lists with their index.
      why: what came, what was expected, what to do.
      override: the `path=value` of the command line it comes from, or None.
    """

    line: int | None
    path: str
    why: str
    override: str | None = None

    def where(self, file: str) -> str:
        """Returns `file:line: path`, the beginning of every error about this setting.

        A setting of the command line is shown as its `--set`, which names the path already.
        """
        if self.override is not None:
            said = "" if self.override.startswith(f"{self.path}=") else f": {self.path}"
            return f"--set {self.override}{said}"
        line = "" if self.line is None else f":{self.line}"
        return f"{file}{line}: {self.path}"

    def message(self, file: str) -> str:
        """Returns the one line for a person: `file:line: path: why`, or `--set ...: why`."""
        return f"{self.where(file)}: {self.why}"


def refusals(
    config: Any,
    positions: Mapping[str, int] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> list[Refusal]:
    """Returns every setting that is not acted on, in the order of their lines.

    A setting is fine when `obeyed.OBEYED` accepts its value, when it cannot change a result
    (`harmless.HARMLESS`), or when it is set to its own default. A section that is not supported
    is one refusal, whatever it holds.

    Args:
      config: TrainEvalPipelineConfig message.
      positions: dotted path -> line, as `text_reader.parse` returns it.
      overrides: dotted path -> `path=value`, for what the command line has set.
    """
    found = [*_section(config, "", ""), *together.problems(config)]
    places = [place(path, why, positions, overrides) for path, why in found]
    # Of several reasons against one setting the first says enough.
    unique = {refusal.path: refusal for refusal in reversed(places)}
    return sorted(
        unique.values(), key=lambda refusal: (refusal.line is None, refusal.line or 0, refusal.path)
    )


def place(
    path: str,
    why: str,
    positions: Mapping[str, int] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Refusal:
    """Returns a Refusal with the origin of a setting: itself, or the nearest section around it."""
    positions, overrides = positions or {}, overrides or {}
    around = [path, *_sections_around(path)]
    # An override replaces all below it, so lines of the file say nothing there any more.
    for section in around:
        if section in overrides:
            return Refusal(None, path, why, overrides[section])
    if path not in positions:
        for changed, override in overrides.items():
            if changed.startswith((f"{path}.", f"{path}[")):
                return Refusal(None, path, why, override)
    lines = (positions[section] for section in around if section in positions)
    return Refusal(next(lines, None), path, why)


def _sections_around(path: str) -> Iterator[str]:
    """Yields `a.b[0]`, `a.b`, `a` for `a.b[0].c`."""
    while path:
        path = path[: path.rindex("[")] if path.endswith("]") else path.rpartition(".")[0]
        if path:
            yield path


def _section(message: Any, path: str, schema_path: str) -> Iterator[tuple[str, str]]:
    """Yields (path, why) of everything refused in one message and below."""
    given = {field.name for field, _ in message.ListFields()}
    for field in message.DESCRIPTOR.fields:
        own_path = _join(path, field.name)
        own_schema_path = _join(schema_path, field.name)
        if own_schema_path in HARMLESS:
            continue
        if field.name not in given:
            yield from _absent(message, field, own_path, own_schema_path)
        elif own_schema_path not in OBEYED:
            yield from _not_obeyed(message, field, own_path, own_schema_path)
        elif is_message(field) and not _is_map_of_scalars(field):
            for item, item_path in _items(message, field, own_path):
                yield from _section(item, item_path, own_schema_path)
        else:
            yield from _values(message, field, own_path, OBEYED[own_schema_path])
    yield from _open_oneofs(message, path, schema_path)


def _is_map_of_scalars(field: Any) -> bool:
    return is_map(field) and not is_message(field.message_type.fields_by_name["value"])


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _items(message: Any, field: Any, path: str) -> list[tuple[Any, str]]:
    value = getattr(message, field.name)
    if not is_repeated(field):
        return [(value, path)]
    if isinstance(value, Mapping):
        return [(value[key], f"{path}[{key}]") for key in sorted(value)]
    return [(item, f"{path}[{index}]") for index, item in enumerate(value)]


def _shown(field: Any, value: Any) -> Any:
    """Returns a value as rules know it: an enum by its name."""
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return value


def _values(message: Any, field: Any, path: str, rule: Rule | None) -> Iterator[tuple[str, str]]:
    for value, item_path in _items(message, field, path) if rule else ():
        shown = _shown(field, value)
        if rule and not rule.allows(shown):
            yield item_path, _not_supported(show(shown), rule)


def _not_supported(shown: str, rule: Rule) -> str:
    why = f" {rule.why}" if rule.why else ""
    return f"{shown} is not supported; supported: {rule.accepted}.{why}"


def _absent(message: Any, field: Any, path: str, schema_path: str) -> Iterator[tuple[str, str]]:
    if schema_path in REQUIRED:
        yield path, "missing, and nothing can stand in for it; add it."
    rule = OBEYED.get(schema_path)
    # Of alternatives, only the one that is given has a value.
    if rule is None or is_repeated(field) or field.containing_oneof is not None:
        return
    default = _shown(field, getattr(message, field.name))
    if not rule.allows(default):
        if field.has_default_value:
            said = f"not set, and the default {show(default)}"
            yield path, _not_supported(said, rule)
        else:
            yield path, f"not set; give a value ({rule.accepted})."


def _not_obeyed(message: Any, field: Any, path: str, schema_path: str) -> Iterator[tuple[str, str]]:
    """Yields the refusal of a field that is in no table, unless it says what is so anyway."""
    reason = REFUSED.get(schema_path, "")
    is_single = not is_message(field) and not is_repeated(field)
    if is_single and field.containing_oneof is None:
        value = getattr(message, field.name)
        if value == field.default_value:
            return
        default = show(_shown(field, field.default_value))
        reason = reason or (
            f"{show(_shown(field, value))} is not supported; supported: {default} (the default)."
        )
    yield path, reason or _unsupported_section(field, schema_path)


def _unsupported_section(field: Any, schema_path: str) -> str:
    oneof = field.containing_oneof
    if oneof is None:
        return "not supported; remove it."
    return f"not supported; supported: {', '.join(_supported(oneof, schema_path))}."


def _supported(oneof: Any, schema_path: str) -> list[str]:
    """Returns the members of an alternative that are acted on, given the path of one of them."""
    section = schema_path.rpartition(".")[0]
    return [field.name for field in oneof.fields if _join(section, field.name) in OBEYED]


def _open_oneofs(message: Any, path: str, schema_path: str) -> Iterator[tuple[str, str]]:
    for oneof in message.DESCRIPTOR.oneofs:
        name = f"{message.DESCRIPTOR.name}.{oneof.name}"
        if name in OPTIONAL_ONEOFS or message.WhichOneof(oneof.name) is not None:
            continue
        supported = _supported(oneof, _join(schema_path, "x"))
        yield path, f"needs one of: {', '.join(supported)}."
