"""What a conversion did: as conversion_report.json and as the table on the screen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfrecord_tools.annotations import RULES, ProblemLog
from tfrecord_tools.sharded_writer import Shard

REPORT_NAME = "conversion_report.json"
FEW_IMAGES = 10
_MAX_CLASS_ROWS = 40
_LINES_PER_RULE = 3


@dataclass
class SplitCount:
    """What one split holds.

    Attributes:
      boxes: of each class.
      images_with: how many images have a box of that class.
    """

    images: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    images_with: Counter[str] = field(default_factory=Counter)
    shards: list[Shard] = field(default_factory=list)

    def add(self, class_names: Sequence[str]) -> None:
        """Counts one image with boxes of those classes."""
        self.images += 1
        self.boxes.update(class_names)
        self.images_with.update(set(class_names))


@dataclass
class ConversionReport:
    """What a conversion did.

    Attributes:
      classes: names by class index; "" where the label map has a gap.
      splits: name of split -> what it holds.
      log: every problem.
      settings: the arguments that decide the outcome, and the rule of the split in words.
      source_category_ids: class name -> id in the annotation file, where it has ids.
      label_map_sha256: of the written label_map.pbtxt.
    """

    classes: tuple[str, ...]
    splits: dict[str, SplitCount]
    log: ProblemLog
    settings: dict[str, object]
    source_category_ids: dict[str, int | str]
    label_map_sha256: str = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of their ids, gaps left out."""
        return tuple(name for name in self.classes if name)

    @property
    def images(self) -> int:
        """Images of all splits."""
        return sum(split.images for split in self.splits.values())

    def boxes_of(self, class_name: str) -> int:
        """Boxes of one class in all splits."""
        return sum(split.boxes[class_name] for split in self.splits.values())

    @property
    def boxes(self) -> int:
        """Boxes of all splits."""
        return sum(split.boxes.total() for split in self.splits.values())

    def note_rare_classes(self) -> None:
        """Notes classes without any box, and those that fewer than FEW_IMAGES images of train show.

        Where nothing goes to train, nothing can be too little of it.
        """
        train = self.splits.get("train")
        for name in self.class_names:
            if not self.boxes_of(name) and self.images:
                detail = f"no box of {name!r} in any split"
                self.log.add("class-without-boxes", "label map", detail)
            elif train and train.images and train.images_with[name] < FEW_IMAGES:
                detail = f"{name!r} is in {train.images_with[name]} images of train"
                self.log.add("few-images", "label map", f"{detail}; 100 and more are usual")

    def as_json(self) -> dict[str, Any]:
        """The content of conversion_report.json; the same run gives the same content."""
        return {
            "images": self.images,
            "boxes": self.boxes,
            "classes": {name: self.boxes_of(name) for name in self.class_names},
            "splits": {
                name: {
                    "images": split.images,
                    "boxes": split.boxes.total(),
                    "classes": {c: split.boxes[c] for c in self.class_names},
                    "shards": [shard.as_json() for shard in split.shards],
                }
                for name, split in self.splits.items()
            },
            "label_map": {"file": "label_map.pbtxt", "sha256": self.label_map_sha256},
            "source_category_ids": self.source_category_ids,
            "settings": self.settings,
            "problem_counts": self.log.counts(),
            "problems": self.log.as_json(),
        }

    def write(self, folder: Path) -> None:
        """Writes conversion_report.json into `folder`."""
        text = json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"
        (folder / REPORT_NAME).write_text(text, encoding="utf-8", errors="backslashreplace")

    def as_text(self, all_in: str = REPORT_NAME) -> str:
        """The table of splits and classes, then the problems by rule.

        Args:
          all_in: where a person finds what does not fit on a screen.
        """
        rows = [["", *self.splits], ["images", *(str(s.images) for s in self.splits.values())]]
        rows.append(["boxes", *(str(s.boxes.total()) for s in self.splits.values())])
        shown = sorted(self.class_names, key=self.boxes_of, reverse=True)[:_MAX_CLASS_ROWS]
        for name in (name for name in self.class_names if name in shown):
            rows.append([f"  {name}", *(str(s.boxes[name]) for s in self.splits.values())])
        if any(split.shards for split in self.splits.values()):
            rows.append(["shards", *(str(len(s.shards)) for s in self.splits.values())])
        lines = _aligned(rows)
        if len(self.class_names) > len(shown):
            lines.append(f"  and {len(self.class_names) - len(shown)} more classes: {all_in}")
        return "\n".join([*lines, "", *self._problem_lines(all_in)])

    def _problem_lines(self, all_in: str) -> list[str]:
        counts = self.log.counts()
        lines = [f"problems: {len(self.log.problems)}"]
        for rule, count in counts.items():
            if not count:
                continue
            lines.append(f"  {rule} {count}: {RULES[rule].text}")
            hits = [problem for problem in self.log.problems if problem.rule == rule]
            lines.extend(f"    {hit}" for hit in hits[:_LINES_PER_RULE])
            if count > _LINES_PER_RULE:
                lines.append(f"    and {count - _LINES_PER_RULE} more: {all_in}")
        lines.append("  0 of: " + ", ".join(rule for rule, count in counts.items() if not count))
        return lines


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]
