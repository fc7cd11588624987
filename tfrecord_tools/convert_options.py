"""What may be chosen about a conversion, checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ssd.errors import InputError
from tfrecord_tools.conversion_plan import Source, SplitWish
from tfrecord_tools.image_check import DEFAULT_MAX_MEGAPIXELS, ImageSettings

DEFAULT_VAL_FRACTION = 0.2


@dataclass(frozen=True)
class ConvertOptions:
    """What may be chosen about a conversion beside what is converted.

    Attributes:
      label_map: label_map.pbtxt to number the classes by; derived from the annotations where None.
      val_fraction: share of images that go to val, in [0, 1]; ignored with `split_dir`.
      split_dir: folder of VOC ImageSets lists; see `splits.LIST_RULE_HELP`.
      shards: files per split; by size (128 MiB each) where None.
      workers: processes that check and encode; see `worker_pool.WorkerPool`.
      strict: anything that would be fixed or left out is an error.
      seed: of the split and of the order of records.
      decode: every picture is decoded; else header and end of the file are looked at.
      exif, max_megapixels: see `image_check.ImageSettings`.
      config: pipeline.config, or the name of a shipped one, whose anchors and input the boxes are
        held against.
      overrides: `section.field=value`, changes to that config.
      reader: keyword arguments of the reader alone.
      runner: None for this machine's processes, "beam" for Apache Beam.
      pipeline_options: flags of Apache Beam.
    """

    label_map: str | Path | None = None
    val_fraction: float = DEFAULT_VAL_FRACTION
    split_dir: str | Path | None = None
    shards: int | None = None
    workers: int | None = None
    strict: bool = False
    seed: int = 0
    decode: bool = True
    exif: str = "auto"
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS
    config: str | None = None
    overrides: Sequence[str] = ()
    reader: Mapping[str, object] = field(default_factory=dict)
    runner: str | None = None
    pipeline_options: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.val_fraction <= 1.0:
            raise InputError(
                f"--val-fraction is {self.val_fraction}; expected a number from 0 to 1"
            )
        for flag, value in (("--shards", self.shards), ("--workers", self.workers)):
            if value is not None and value < 1:
                raise InputError(f"{flag} is {value}; expected 1 or more")
        if self.pipeline_options and self.runner != "beam":
            raise InputError(
                f"{self.pipeline_options[0]}: what stands behind -- is for --runner beam"
            )
        if self.max_megapixels <= 0:
            raise InputError(f"--max-megapixels is {self.max_megapixels}; expected more than 0")

    @property
    def given_label_map(self) -> Path | None:
        """The label map as a path."""
        return None if self.label_map is None else Path(self.label_map)

    @property
    def image_settings(self) -> ImageSettings:
        """What the check of pictures takes."""
        return ImageSettings(self.decode, self.exif, self.max_megapixels)

    @property
    def split_wish(self) -> SplitWish:
        """What the plan takes."""
        lists = None if self.split_dir is None else Path(self.split_dir)
        return SplitWish(self.val_fraction, lists, self.seed)

    def as_settings(self, source: Source, split_rule: str) -> dict[str, object]:
        """Returns what decides the outcome, for the report; `workers` does not."""
        reader = {name: str(value) for name, value in self.reader.items() if value is not None}
        return {
            "kind": source.kind,
            "images": str(source.images),
            "annotations": str(source.annotations),
            "label_map": self.label_map and str(self.label_map),
            "split": split_rule,
            "seed": self.seed,
            "shards": self.shards,
            "strict": self.strict,
            "decode": self.decode,
            "exif": self.exif,
            "max_megapixels": self.max_megapixels,
            "config": self.config,
            **reader,
        }
