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
