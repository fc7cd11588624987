"""DataLoader: records of one split, and what their classes are called."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.model_maker import csv_data, labels, voc_data
from ssd.model_maker.labels import LabelMapArgument

LABEL_MAP_NAME = "label_map.pbtxt"
TRAIN = "train"
_SPLITS = {"train": TRAIN, "val": "val", "validation": "val", "test": "test"}


class DataLoader:
    """TFRecords of one split.

    Args:
      tfrecord_file_patten: pattern of the record files, or several (misspelt as in Model Maker).
      size: how many records there are.
      label_map: of their classes; see `labels.read`.
      annotations_json_file: None; groundtruth is in the records.

    Attributes:
      patterns: of the record files.
      labels: the LabelMap.
      label_map: {id: name}.
    """

    def __init__(
        self,
        tfrecord_file_patten: str | Sequence[str],
        size: int,
        label_map: LabelMapArgument,
        annotations_json_file: str | None = None,
    ) -> None:
        if annotations_json_file is not None:
            raise InputError(
                f"annotations_json_file={annotations_json_file!r}: groundtruth is read from the "
                "records; leave it out"
            )
        patterns = tfrecord_file_patten
        self.patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        self.labels: LabelMap = labels.read(label_map)
        self._size = size

    @property
    def size(self) -> int:
        """Number of pictures."""
        return self._size

    def __len__(self) -> int:
        return self._size

    @property
    def label_map(self) -> dict[int, str]:
        """Class id, from 1, to name."""
        return labels.as_dict(self.labels)

    @cached_property
    def label_map_file(self) -> Path:
        """label_map.pbtxt of these labels: the one beside the records, else a temporary one."""
        beside = Path(self.patterns[0]).parent / LABEL_MAP_NAME
        if beside.is_file() and label_maps.load(beside) == self.labels:
            return beside
        file = temporary_folder() / LABEL_MAP_NAME
        label_maps.save(self.labels, file)
        return file

    @classmethod
    def from_pascal_voc(
        cls,
        images_dir: str,
        annotations_dir: str,
        label_map: LabelMapArgument,
        annotation_filenames: Sequence[str] | None = None,
        ignore_difficult_instances: bool = False,
        num_shards: int | None = None,
        max_num_images: int | None = None,
        cache_dir: str | None = None,
        cache_prefix_filename: str | None = None,
    ) -> DataLoader:
        """Returns the loader of pictures with one Pascal VOC XML file each.

        All of `convert voc` is done: pictures are decoded, boxes checked, and what was mended or
        left out is said and stands in conversion_report.json beside the records.

        Args:
          images_dir: folder of pictures.
          annotations_dir: folder of XML files; may be the same.
          label_map: see `labels.read`.
          annotation_filenames: names of the XML files to take, without `.xml`; None: all.
          ignore_difficult_instances: leave out objects that are marked `difficult`.
          num_shards: record files; None: by size (Model Maker: 100).
          max_num_images: the first so many XML files by name; None: all.
          cache_dir: keeps the records, in the folder `cache_prefix_filename`; None: a temporary
            folder, removed when the script ends.
          cache_prefix_filename: None: a name that follows from the other arguments.

        Raises:
          InputError: a folder, file or class that is not there, or nothing usable.
        """
        chosen = (images_dir, annotations_dir, str(annotation_filenames), max_num_images)
        folder = _records_folder(cache_dir, cache_prefix_filename, chosen)
        voc_data.convert_voc(
            images=Path(images_dir),
            annotations=Path(annotations_dir),
            classes=labels.read(label_map),
            chosen=voc_data.Chosen(
                annotation_filenames, max_num_images, ignore_difficult_instances
            ),
            num_shards=num_shards,
            output=folder,
        )
        return _required(cls, folder, TRAIN)

    @classmethod
    def from_csv(
        cls,
        filename: str,
        images_dir: str | None = None,
        delimiter: str = ",",
        quotechar: str = '"',
        num_shards: int | None = None,
        max_num_images: int | None = None,
        cache_dir: str | None = None,
        cache_prefix_filename: str | None = None,
    ) -> list[DataLoader | None]:
        """Returns [train, validation, test] of a CSV file in AutoML's form; None for an empty one.

        A row is `SET,path,label,x_min,y_min,,,x_max,y_max,,` with shares of the picture, SET one of
        TRAIN, VALIDATE or VALIDATION, TEST and UNASSIGNED. Pictures of UNASSIGNED rows, and those
        of a file without sets, are split 80 : 10 : 10 by a hash of their names, as AutoML does.
        Every other layout that `convert csv` reads is read, too.

        Args:
          filename: of the CSV.
          images_dir: folder of the pictures, found by the ends of their paths; None: paths are
            absolute, or begin at the current folder or that of the CSV.
          delimiter: comma, semicolon, tab or |.
          quotechar: only '"'.
          num_shards, cache_dir, cache_prefix_filename: as for `from_pascal_voc`.
          max_num_images: of each of the three; None: all.

        Raises:
          InputError: no such file or picture, paths in Google Cloud Storage without `images_dir`,
            or nothing usable.
        """
        folder = _records_folder(
            cache_dir, cache_prefix_filename, (filename, images_dir, max_num_images)
        )
        csv_data.require_dialect(filename, delimiter, quotechar)
        csv_data.convert_csv(
            Path(filename),
            images=Path(images_dir) if images_dir is not None else None,
            max_num_images=max_num_images,
            num_shards=num_shards,
            output=folder,
        )
        return [_open(cls, folder, split) for split in ("train", "val", "test")]

    @classmethod
    def from_cache(cls, cache_prefix: str) -> DataLoader:
        """Returns the loader of records that are there.

        Args:
          cache_prefix: CACHE_DIR/PREFIX of an earlier call, or any folder that `convert` filled,
            for its training records; with /train, /validation (or /val) or /test behind it, those.

        Raises:
          InputError: no such records.
        """
        folder, split = Path(cache_prefix), TRAIN
        if not folder.is_dir() and folder.name in _SPLITS:
            folder, split = folder.parent, _SPLITS[folder.name]
        return _required(cls, folder, split)

    def split(self, fraction: float) -> tuple[DataLoader, DataLoader]:
        """Returns two loaders, the first with that fraction of the pictures.

        Model Maker has the name, but never built it for detectors. The records of a conversion lie
        in an order by hash, so both parts are fair samples. They are written to a temporary folder.

        Raises:
          InputError: a fraction that leaves one part empty.
        """
        from ssd.data.record_index import index_records  # late: it needs TensorFlow
        from tfrecord_tools import sharded_writer

        index = index_records(list(self.patterns))
        first = round(len(index) * fraction)
        if not 0 < first < len(index):
            raise InputError(
                f"split({fraction}): {first} and {len(index) - first} of {len(index)} pictures; "
                "both parts need one"
            )
        folder, parts = temporary_folder(), []
        for name, numbers in (("first", range(first)), ("second", range(first, len(index)))):
            records = (index.read(number) for number in numbers)
            sharded_writer.write(folder, name, records, len(numbers), 1)
            pattern = str(folder / f"{name}-*.tfrecord")
            parts.append(type(self)(pattern, len(numbers), self.labels))
        return parts[0], parts[1]


def _records_folder(cache_dir: str | None, prefix: str | None, chosen: tuple) -> Path:
    if cache_dir is None:
        return temporary_folder() / (prefix or "records")
    if not prefix:
        prefix = hashlib.sha256(repr(chosen).encode()).hexdigest()[:12]
    return Path(cache_dir) / prefix


def temporary_folder() -> Path:
    """Returns a new folder that is removed when the script ends."""
    folder = tempfile.mkdtemp(prefix="model_maker-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _required(cls: type[DataLoader], folder: Path, split: str) -> DataLoader:
    loader = _open(cls, folder, split)
    if loader is None:
        raise InputError(
            f"{folder}: no {split}-*.tfrecord; CACHE_DIR/PREFIX of an earlier call, or a folder "
            "made by `./run.sh convert`, was expected"
        )
    return loader


def _open(cls: type[DataLoader], folder: Path, split: str) -> DataLoader | None:
    """The loader of one split of converted records; None where there are none."""
    from ssd.data.record_index import index_records  # late: it needs TensorFlow

    pattern = folder / f"{split}-*.tfrecord"
    if not any(folder.glob(pattern.name)):
        return None
    size = len(index_records([str(pattern)]))
    return cls(str(pattern), size, label_maps.load(folder / LABEL_MAP_NAME))
