"""The page about pipeline.config settings, made from the tables that decide about them."""

from __future__ import annotations

from typing import Any

from ssd.config.harmless import HARMLESS, REFUSED
from ssd.config.messages import TrainEvalPipelineConfig, fields_by_path, is_message
from ssd.config.obeyed import OBEYED, OPTIONAL_ONEOFS, REQUIRED
from ssd.config.rules import Rule

_MOST_REFUSED_LISTED = 6

_HEAD = """\
# pipeline.config: which settings are obeyed

Generated from the tables in `ssd/config/`; to change this page, change those. Where a setting
does something else than in the TF Object Detection API is in [differences.md](differences.md).

A setting is obeyed, or it is harmless, or the file is refused with the line and the name of the
setting. Nothing is silently ignored.

```
./run.sh config check FILE...           which lines are refused, and why; --json for scripts
./run.sh config show FILE               the config with every default filled in
./run.sh train --config FILE --set train_config.batch_size=8
```

`--set path=value` changes one setting and is checked like the file. Text needs no quotes. A list is
`a,b` or `[a, b]` and replaces the list that is there; an item of a list is
`eval_input_reader[0].shuffle=false`. A section is given in braces:
`--set 'train_config.optimizer={ momentum_optimizer { ... } }'`. Setting one of several alternatives
clears the others.

## Obeyed

Accepted values stand in parentheses; without any, every value is. A setting that is not given has
the default of the schema, and that has to be accepted too: `num_classes (1 or more)` has the
default 0, so it must be given. Of alternatives, one must be given unless said otherwise.

"""

_TAIL = """
Settings that must fit together:

- Height and width are 33 or more. With a feature pyramid the feature maps down to level 5 halve
  exactly, because maps of doubled size are added; multiples of 32 always do, and with
  `use_explicit_padding` every size does. Where sizes vary from image to image, `pad_to_multiple` is
  a multiple of 32, and `batch_size` is 1.
- The anchor generator has as many levels, layers or grids as there are feature maps; where heads
  are shared, also the same number of anchors on each.
- `box_code_size` is that of the box coder; `use_depthwise` heads have a `kernel_size` above 1.
- `hard_example_miner`, `random_example_sampler` and `expected_loss_weights` exclude each other
  where they contradict, and the miner does not go with `weighted_sigmoid_focal`.
- `soft_nms_sigma`, `use_static_shapes`, `use_combined_nms`, `use_class_agnostic_nms` and
  `change_coordinate_frame` exclude each other as in the original.
- `unmatched_threshold` is not above `matched_threshold`; it is below it when
  `negatives_lower_than_unmatched` is false.
- `max_detections_per_class` is not above `max_total_detections`.
- `train_config.max_number_of_boxes` is not above that of `train_input_reader`, which counts.
- `cosine_decay_learning_rate`: `warmup_steps` is not above `total_steps`, `warmup_learning_rate`
  not above `learning_rate_base`. `manual_step_learning_rate`: the steps increase.
- Of a crop, no minimum is above its maximum.
- There is one `eval_input_reader`.

## Harmless

No value of these can change a number that comes out of training, evaluation or export.

"""

_REFUSED = """
## Refused

Everything else, as soon as it is set to something other than its default. A section that is not
supported, such as a `faster_rcnn` model, is refused as a whole. Some reasons worth knowing:

"""


def reference_text() -> str:
    """Returns the page as Markdown."""
    refused = [(f"`{path}`", why) for path, why in REFUSED.items()]
    return (
        _HEAD
        + _table(("section", "settings"), _obeyed_rows())
        + _TAIL
        + _table(("settings", "why"), _harmless_rows())
        + _REFUSED
        + _table(("setting", "why"), refused)
    )


def _obeyed_rows() -> list[tuple[str, str]]:
    """Returns one row per section; sections of one name and content share it."""
    fields = dict(fields_by_path(TrainEvalPipelineConfig.DESCRIPTOR))
    rows: dict[tuple[str, str], None] = {}
    for path in OBEYED:
        if is_message(fields[path]):
            content = _content(path, fields[path].message_type)
            if content:
                rows[f"`{_short(path)}`", content] = None
    return list(rows)


def _short(path: str) -> str:
    return ".".join(path.split(".")[-2:])


def _content(section: str, descriptor: Any) -> str:
    """Returns a section's settings in words; empty where it only holds other sections."""
    parts = []
    for field in descriptor.fields:
        path = f"{section}.{field.name}"
        if path in OBEYED and not is_message(field):
            parts.append(f"`{field.name}`{_accepted(path, OBEYED[path])}")
    alternatives = [_alternatives(section, oneof) for oneof in descriptor.oneofs]
    return "; ".join([", ".join(parts), *alternatives] if parts else alternatives)


def _alternatives(section: str, oneof: Any) -> str:
    names = [field.name for field in oneof.fields]
    supported = [name for name in names if f"{section}.{name}" in OBEYED]
    refused = [name for name in names if name not in supported]
    is_optional = f"{oneof.containing_type.name}.{oneof.name}" in OPTIONAL_ONEOFS
    said = ("at most one of " if is_optional else "one of ") + _listed(supported)
    if len(supported) == 1:
        said = _listed(supported) + (" or nothing" if is_optional else " and no other")
    if not refused:
        return said
    return f"{said}; refused: " + (
        _listed(refused) if len(refused) <= _MOST_REFUSED_LISTED else "all others"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _accepted(path: str, rule: Rule | None) -> str:
    parts = [rule.accepted] if rule else []
    if path in REQUIRED:
        parts.append("at least one")
    return f" ({', '.join(parts)})" if parts else ""


def _harmless_rows() -> list[tuple[str, str]]:
    """Returns one row per reason, with all its settings."""
    rows: dict[str, list[str]] = {}
    for path, why in HARMLESS.items():
        rows.setdefault(why, []).append(_short(path))
    return [(_listed(names), why) for why, names in rows.items()]


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {left} | {right} |" for left, right in [head, *rows]]
    return "\n".join([lines[0], "|---|---|", *lines[1:]]) + "\n"
