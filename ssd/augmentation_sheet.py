"""What a config's data_augmentation_options do to real pictures: a contact sheet and counts.

The records, their label map and what is refused are those of `train` with the same flags; nothing
is trained or written but the sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from ssd import augmentation_tiles as tiles
from ssd.data import augmentation, augmentation_builder, input_reader
from ssd.data.augmentation.draws import Augmentation, fold_in
from ssd.data.decoder import Decoder, Example
from ssd.data.example_source import ExampleSource
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.run_folder import RUNS
from ssd.standard_fields import InputFields
from ssd.training import plan as plans
from ssd.training.options import TrainOptions

COUNTED_DRAWS = 50
_PATTERNS = ("*.tfrecord", "*.tfrecord-?????-of-?????", "*.record", "*.record-?????-of-?????")
_F = InputFields


@dataclass
class StepCounts:
    """What one step did over all counted draws.

    Attributes:
      boxes_in, boxes_out: boxes before and after it, added up.
      lost: boxes missing afterwards, added up over the draws that lost some.
      added: boxes more than before, added up over the draws that gained some.
      sizes: (height, width) of each image after it.
      low, high: least and greatest value of the images after it.
    """

    boxes_in: int = 0
    boxes_out: int = 0
    lost: int = 0
    added: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)
    low: float = float("inf")
    high: float = float("-inf")

    def add(self, before: Example, after: Example) -> None:
        """Counts one draw."""
        boxes_in, boxes_out = (len(each[_F.groundtruth_boxes]) for each in (before, after))
        self.boxes_in += boxes_in
        self.boxes_out += boxes_out
        self.lost += max(boxes_in - boxes_out, 0)
        self.added += max(boxes_out - boxes_in, 0)
        image = after[_F.image]
        self.sizes.append((int(image.shape[0]), int(image.shape[1])))
        self.low = min(self.low, float(tf.reduce_min(image)))
        self.high = max(self.high, float(tf.reduce_max(image)))

    def __str__(self) -> str:
        changes = [
            f"{count} {word}"
            for count, word in ((self.lost, "dropped"), (self.added, "added"))
            if count
        ]
        boxes = f"boxes {self.boxes_in} -> {self.boxes_out} ({', '.join(changes) or 'all kept'})"
        smallest, largest = (by(self.sizes, key=np.prod) for by in (min, max))
        sizes = f"{smallest[0]}x{smallest[1]}"
        if smallest != largest:
            sizes += f" to {largest[0]}x{largest[1]}"
        # Half a level is rounding; what ends at 2 has been normalized.
        in_range = self.low >= -0.5 and 2.0 < self.high <= 255.5
        values = "" if in_range else f"; VALUES {self.low:g} to {self.high:g}, not 0 to 255"
        return f"{boxes}; images {sizes} (height x width){values}"


def run(
    config: str,
    *,
    data: str | None = None,
    label_map: str | None = None,
    overrides: Sequence[str] = (),
    output: str = "augmentation.png",
    pictures: int = 3,
    draws: int = 5,
    each_step: bool = False,
    seed: int = 0,
) -> list[StepCounts]:
    """Writes the sheet and prints counts; returns the counts per step.

    Args:
      config: a pipeline.config or the name of a shipped one.
      data: a folder that `convert` made, a folder of records, or a record file; None for the
        records that the config names and, where it names none, the sample data.
      label_map: of these records; None for that of the folder or the config.
      overrides: `section.field=value`.
      output: a .png, or a folder that gets augmentation.png.
      pictures: how many records are drawn, those with boxes first.
      draws: how often each is augmented.
      each_step: whether every step is also drawn on its own, on the first picture.
      seed: of the choice of records and of all draws.

    Raises:
      InputError: a flag, the config or a record is wrong.
    """
    plan = plans.resolve(_options(config, data, label_map, overrides))
    steps = list(plan.config.train_config.data_augmentation_options)
    if not steps:
        raise InputError(
            f"{config}: train_config has no data_augmentation_options, so there is nothing to draw"
        )
    target = _target(output)
    ops = augmentation_builder.build(steps)
    reader = input_reader.open_records(plan.config.train_input_reader, "train_input_reader")
    num_classes = plan.config.model.ssd.num_classes
    source = ExampleSource(reader, Decoder(plan.label_map), num_classes, shuffle_seed=seed)
    examples = [_load(source, number) for number in range(min(len(reader), COUNTED_DRAWS))]
    counts = _count(examples, ops, seed)
    names = [step.WhichOneof("preprocessing_step") for step in steps]
    print(f"{COUNTED_DRAWS} draws over {len(examples)} pictures:")
    for number, (name, count) in enumerate(zip(names, counts, strict=True), start=1):
        print(f"  {number} {name}: {count}")
    drawn = sorted(examples, key=lambda each: len(each[_F.groundtruth_boxes]) == 0)[:pictures]
    rows = _rows(drawn, steps, ops, each_step, draws, seed, plan.label_map)
    height, width = tiles.save(rows, f"{config}, seed {seed}", target)
    print(f"wrote {target} ({height}x{width})")
    return counts


def _options(
    config: str, data: str | None, label_map: str | None, overrides: Sequence[str]
) -> TrainOptions:
    """Returns the flags of a `train` that would read the same records."""
    records, folder = None, None
    if data is not None:
        path = Path(data)
        if not path.exists():
            raise InputError(f"{data}: no such file or folder; `./run.sh convert` makes one")
        if path.is_file():
            records = [data]
        elif any(path.glob("train-*.tfrecord")):
            folder = data
        else:
            found = {str(each) for pattern in _PATTERNS for each in path.glob(pattern)}
            records = sorted(found)
            if not records:
                raise InputError(f"{data}: no records in it; `./run.sh convert` makes some")
        beside = (path if path.is_dir() else path.parent) / "label_map.pbtxt"
        if label_map is None and beside.is_file():
            label_map = str(beside)
    return TrainOptions(
        config=config,
        data=folder,
        train_records=records,
        label_map=label_map,
        overrides=tuple(overrides),
        checkpoint="none",
        # Where no run is, so that none is looked at or gone on with; it is not made.
        output=str(RUNS / ".augmentation-sheet"),
        fresh=True,
    )


def _target(output: str) -> Path:
    path = Path(output)
    if path.is_dir():
        return path / "augmentation.png"
    if path.suffix.lower() != ".png":
        raise InputError(f"--output {output}: expected a name that ends in .png, or a folder")
    return path


def _load(source: ExampleSource, number: int) -> Example:
    try:
        return source.load(tf.constant(number, tf.int64))
    except tf.errors.OpError:
        source.refuse(number, source.load)
        raise


def _count(examples: Sequence[Example], ops: Sequence[Augmentation], seed: int) -> list[StepCounts]:
    counts = [StepCounts() for _ in ops]

    def watched(op: Augmentation, count: StepCounts) -> Augmentation:
        def change(example: Example, own_seed: tf.Tensor) -> Example:
            after = op(example, own_seed)
            count.add(example, after)
            return after

        return change

    chain = [watched(op, count) for op, count in zip(ops, counts, strict=True)]
    for draw in range(COUNTED_DRAWS):
        augmentation.apply(examples[draw % len(examples)], chain, _seed(seed, draw, 0))
    return counts


def _seed(*numbers: int) -> tf.Tensor:
    """Returns int64 [2], another one for other numbers."""
    seed = tf.constant([numbers[0] % 2**32, numbers[0] // 2**32 % 2**32], tf.int64)
    for number in numbers[1:]:
        seed = fold_in(seed, number)
    return seed


def _rows(
    examples: Sequence[Example],
    steps: Sequence[Any],
    ops: Sequence[Augmentation],
    each_step: bool,
    draws: int,
    seed: int,
    label_map: LabelMap,
) -> list[tiles.Row]:
    texts = [text_format.MessageToString(step, as_one_line=True).strip() for step in steps]
    names = [step.WhichOneof("preprocessing_step") for step in steps]

    def row(title: str, number: int, chain: Sequence[Augmentation], used: Sequence[str]) -> Any:
        example = examples[number]
        changed = [
            augmentation.apply(example, chain, _seed(seed, number, draw + 1))
            for draw in range(draws)
        ]
        is_in_pixels = "scale_boxes_to_pixel_coordinates" in used
        pictures = [tiles.picture("original", example, label_map)] + [
            tiles.picture(str(draw), each, label_map, is_in_pixels)
            for draw, each in enumerate(changed, start=1)
        ]
        return tiles.Row(title, pictures)

    rows = []
    for number, example in enumerate(examples):
        source_id = example[_F.source_id].numpy().decode(errors="replace")
        rows.append(row(f"{source_id}: {', '.join(names)}", number, ops, names))
    if each_step:
        rows += [
            row(f"step {number + 1} alone: {text}", 0, [ops[number]], [names[number]])
            for number, text in enumerate(texts)
        ]
    return rows
