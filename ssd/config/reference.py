"""The page about pipeline.config settings, made from the tables that decide about them."""

from __future__ import annotations

from typing import Any

from ssd.config.harmless import HARMLESS, REFUSED
from ssd.config.messages import TrainEvalPipelineConfig, fields_by_path, is_message, is_repeated
from ssd.config.obeyed import OBEYED, OPTIONAL_ONEOFS, REQUIRED
from ssd.config.rules import Rule, show

_MOST_REFUSED_LISTED = 6

_HEAD = """\
# pipeline.config: which settings are obeyed

Generated from the tables in `ssd/config/`; to change this page, change those. Where a setting
does something else than in the TF Object Detection API is in [differences.md](differences.md).

A setting is obeyed, or it is harmless, or the file is refused with the line and the name of the
setting. Nothing is silently ignored.

```
./run.sh config check pipeline.config       # which lines are refused, and why; --json for scripts
./run.sh config show pipeline.config        # the config with every default filled in
./run.sh train --config pipeline.config --data data/mine --set train_config.batch_size=8
```

`--set path=value` changes one setting and is checked like the file. Text needs no quotes. A list is
`a,b` or `[a, b]` and replaces the list that is there; an item of a list is
`eval_input_reader[0].shuffle=false`. A section is given in braces:
`--set 'train_config.optimizer={ momentum_optimizer { ... } }'`. Setting one of several alternatives
clears the others.

## What tutorials tell you to edit

| setting | in a config of your own | with the kit's configs |
|---|---|---|
| `num_classes` | has to be the label map's; `train` names both numbers and the `--set` \
| filled in from the label map |
| `batch_size` | stays; `--batch-size N` also fits the learning rate, `--set` does not \
| 16; `--batch-size N` |
| `fine_tune_checkpoint` | a prefix (`DIR/checkpoint/ckpt-0`), a folder, a zoo archive; \
`--checkpoint` goes before it. `PATH_TO_BE_CONFIGURED` counts as none \
| the zoo's, or `--checkpoint` |
| `fine_tune_checkpoint_type` | `detection` for a detector, `classification` for an ImageNet \
backbone; `matching` also takes the heads, as far as shapes agree | `matching` |
| `label_map_path`, `input_path` | used where neither `--data DIR` nor `--train-records`, \
`--val-records` and `--label-map` are given | `--data DIR` |
| `num_steps` | stays; `--steps N` also fits the schedule | fitted to the data; `--steps N` |
| `learning_rate_base`, `warmup_steps` ... | stay | fitted; `--set` keeps a number |
| `use_bfloat16` | harmless, as it is for TPUs; `--precision` is the switch | the same |

## Obeyed

Accepted values stand in parentheses; without any, every value is. A setting that is not given has
the default of the schema, and that has to be accepted too: `num_classes (1 or more)` has the
default 0, so it must be given. Of alternatives, one must be given unless said otherwise.

"""

_TAIL = """
Settings that must fit together:

- Images: height and width are 33 or more. With a feature pyramid the feature maps down to level 5
  halve exactly, because maps of doubled size are added; multiples of 32 always do, and with
  `use_explicit_padding` every size does. Where sizes vary from image to image, `pad_to_multiple`
  (or that of `pad_to_multiple_resizer`) is a multiple of 32, and `train` wants `batch_size` 1.
  `min_dimension` is not above `max_dimension`; `per_channel_pad_value` has three values or none.
- Anchors: the generator has as many levels, layers or grids as there are feature maps, and with
  `fpn` the same levels; `fpn.max_level` is not below `min_level`. Lists of `ssd_anchor_generator`
  have `num_layers` values or none. Where heads are shared, each map has the same number of anchors
  per location, which as a rule takes `reduce_boxes_in_lowest_layer: false`.
- Heads: `box_code_size` is that of the box coder (3 for `square_box_coder`, else 4);
  `use_depthwise` heads have a `kernel_size` above 1; `min_depth` is not above `max_depth`;
  `box_encodings_clip_range` is not empty.
- Matching: `unmatched_threshold` is not above `matched_threshold`; it is below it when
  `negatives_lower_than_unmatched` is false.
- Losses: `expected_loss_weights` stands alone, without `hard_example_miner` and
  `random_example_sampler`, and with `weighted_softmax` needs `encode_background_as_zeros: false`.
  The miner does not go with `weighted_sigmoid_focal`; neither of the two goes with
  `weighted_dice_classification_loss`. `weighted_iou` and `weighted_giou` do not go with
  `square_box_coder`.
- Suppression: `max_detections_per_class` is not above `max_total_detections`. `soft_nms_sigma` goes
  with neither `use_static_shapes`, nor `use_combined_nms`, nor `use_hard_nms` unless
  `use_class_agnostic_nms` is set. `use_combined_nms` needs `change_coordinate_frame: false` and no
  `use_class_agnostic_nms`, which in turn needs `max_classes_per_detection` 1.
- Calibration: a curve has at least one `x_y_pair`, in rising order of `x`; the ids of
  `class_id_xy_pairs_map` are columns of the scores, 0 being the background.
- Schedules: in `cosine_decay_learning_rate`, `warmup_steps` and `hold_base_rate_steps` together are
  not above `total_steps`, and `warmup_learning_rate` is not above `learning_rate_base`. In
  `manual_step_learning_rate` the steps increase, from 1 on when `warmup` is set.
- Training: `freeze_variables` and `update_trainable_variables` are regular expressions, each of
  which finds a variable.
- Evaluation: `use_moving_averages` needs `optimizer.use_moving_average`. `recall_lower_bound` is
  not above `recall_upper_bound`; both need `precision_at_recall_detection_metrics` among the
  `metrics_set`. Each of the `super_categories` names classes.
- Augmentation: no minimum is above its maximum. Colours have one or three values, `means` three.
  In `random_pad_image` height and width are given together, and no maximum is 0. A `ratio` above 1
  in `random_jitter_boxes` needs a mode that expands. The original range of `normalize_image` is not
  empty.
- Reading: `train_config.max_number_of_boxes` is not above that of `train_input_reader`, which
  counts. `sample_from_datasets_weights` has one value per `input_path`, not all 0. There is one
  `eval_input_reader`.

## Harmless

No value of these can change a number that comes out of training, evaluation or export.

"""

_REFUSED = """
## Refused

Values that the parentheses above leave out; parts of other models, such as `faster_rcnn`, as a
whole; and these, as soon as they are set to something other than their default:

"""


def reference_text() -> str:
    """Returns the page as Markdown."""
    return (
        _HEAD
        + _table(("section", "settings"), _obeyed_rows())
        + _TAIL
        + _table(("settings", "why"), _harmless_rows())
        + _REFUSED
        + _table(("settings", "why"), _refused_rows())
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


def _refused_rows() -> list[tuple[str, str]]:
    """Returns one row per reason, with all settings beside and below the obeyed ones."""
    fields = dict(fields_by_path(TrainEvalPipelineConfig.DESCRIPTOR))
    rows: dict[str, list[str]] = {}
    for path, field in fields.items():
        is_shown = path.rpartition(".")[0] in OBEYED
        if is_shown and path not in OBEYED and path not in HARMLESS:
            rows.setdefault(REFUSED.get(path) or _why_refused(path, field), []).append(_short(path))
    return [(_listed(names), why) for why, names in rows.items()]


def _why_refused(path: str, field: Any) -> str:
    if field.containing_oneof is not None:
        section = path.rpartition(".")[0]
        names = [one.name for one in field.containing_oneof.fields]
        supported = [name for name in names if f"{section}.{name}" in OBEYED]
        return f"not supported; take {' or '.join(f'`{name}`' for name in supported)}."
    if is_message(field) or is_repeated(field):
        return "not supported; remove it."
    return f"only {show(_default(field))}, the default, is supported."


def _default(field: Any) -> Any:
    """Returns a field's default; that of an enum by its name."""
    value = field.default_value
    return field.enum_type.values_by_number[value].name if field.enum_type else value


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {left} | {right} |" for left, right in [head, *rows]]
    return "\n".join([lines[0], "|---|---|", *lines[1:]]) + "\n"
