"""AutoML's CSV -> records of three splits, through `convert csv`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ssd.errors import InputError
from ssd.model_maker.voc_data import WORKERS

if TYPE_CHECKING:
    from tfrecord_tools.readers.csv_text import CsvText
    from tfrecord_tools.readers.image_index import ImageIndex

_DELIMITERS = ",;\t|"
# How AutoML splits what nobody has assigned.
_HELD_OUT, _TEST_SHARE_OF_IT = 0.2, 0.5
_SET_ROLE = "set"
_SPLITS = {
    "train": "train",
    "training": "train",
    "validate": "val",
    "validation": "val",
    "test": "test",
}


def require_dialect(filename: str, delimiter: str, quotechar: str) -> None:
    """Raises InputError for a file in the cloud, and for what the reader of CSV does not split."""
    if _is_remote(str(filename)):
        raise InputError(
            f"{filename}: files are not read from the network; download the CSV and its pictures "
            "(gsutil -m cp) and give from_csv(FILE, images_dir=FOLDER)"
        )
    if delimiter not in _DELIMITERS:
        raise InputError(f"delimiter={delimiter!r}: comma, semicolon, tab or | was expected")
    if quotechar != '"':
        raise InputError(f"quotechar={quotechar!r}: '\"' was expected")


def convert_csv(
    file: Path,
    *,
    images: Path | None,
    max_num_images: int | None,
    num_shards: int | None,
    output: Path,
) -> None:
    """Writes train-, val- and test-*.tfrecord, as far as there are such pictures, to `output`.

    Raises:
      InputError: see `DataLoader.from_csv`.
    """
    # Late: they need NumPy and Pillow.
    from tfrecord_tools.convert import convert
    from tfrecord_tools.readers.csv_text import open_csv
    from tfrecord_tools.readers.image_index import ImageIndex

    sets = _sets_of_paths(open_csv(file))
    folder = images or _folder_of(list(sets), file)
    members = _split(sets, ImageIndex(folder))
    with tempfile.TemporaryDirectory(prefix="model_maker-") as lists:
        for split, names in members.items():
            lines = islice(names, max_num_images)
            (Path(lists) / f"{split}.txt").write_text("".join(f"{n}\n" for n in lines), "utf-8")
        convert(
            "csv",
            images=folder,
            annotations=file,
            output=output,
            split_dir=lists,
            shards=num_shards,
            workers=WORKERS,
        )


def _sets_of_paths(text: CsvText) -> dict[str, str]:
    """Path as it stands in the file -> its set in lower case; "" where none is named."""
    columns = text.columns
    # Of AutoML's layout the first column may be left out; the reader itself has no use for it.
    has_set = columns.layout == "automl" and columns.positions["image"] == 1
    if has_set:
        roles = {**columns.positions, _SET_ROLE: 0}
        text = replace(text, columns=replace(columns, positions=roles))
    sets: dict[str, str] = {}
    for line, cells in text.chunks():
        names = cells[_SET_ROLE] if has_set else [""] * len(cells["image"])
        for number, (path, name) in enumerate(zip(cells["image"], names, strict=True), line):
            name = name.strip().lower().removeprefix("unassigned")
            if name and name not in _SPLITS:
                raise InputError(
                    f"{text.file}:{number}: the set is {name!r}; TRAIN, VALIDATE, VALIDATION, "
                    "TEST or UNASSIGNED was expected"
                )
            if path.strip():
                sets.setdefault(path.strip(), name)
    return sets


def _folder_of(paths: Sequence[str], file: Path) -> Path:
    """The folder that holds all pictures, where none is given.

    Raises:
      InputError: paths in the cloud, pictures that are not there, or no folder in common.
    """
    for path in paths:
        if _is_remote(path):
            raise InputError(
                f"{file}: {path}: pictures are not read from the network; download them "
                "(gsutil -m cp) and give images_dir=FOLDER; their names are enough"
            )
    starts = (Path(), file.parent)
    start = next((s for s in starts if any((s / path).is_file() for path in paths)), None)
    if start is None:
        raise InputError(
            f"{file}: {paths[0] if paths else 'no path'}: no such picture, here or beside the CSV; "
            "give images_dir=FOLDER"
        )
    folders = {str((start / path).parent.resolve()) for path in paths}
    folder = Path(os.path.commonpath(folders))
    if folder == folder.parent:
        raise InputError(
            f"{file}: the pictures lie in {len(folders)} folders, {min(folders)} the first, with "
            "nothing in common; give images_dir=FOLDER"
        )
    return folder


def _split(sets: Mapping[str, str], index: ImageIndex) -> dict[str, list[str]]:
    """Names of the pictures of each split; those that are not there are left to the conversion."""
    from tfrecord_tools import splits  # late, as above
    from tfrecord_tools.annotations import RefusedError

    members: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    unassigned: list[str] = []
    for path, name in sets.items():
        try:
            found = index.by_name(path) or index.by_stem(path)
        except RefusedError:
            continue
        if found is not None:
            (members[_SPLITS[name]] if name else unassigned).append(found)
    if unassigned:
        outer = splits.by_hash(unassigned, _HELD_OUT, seed=0).names
        inner = splits.by_hash(outer["val"], _TEST_SHARE_OF_IT, seed=1).names
        members["train"] += outer["train"]
        members["val"] += inner["train"]
        members["test"] += inner["val"]
        print(
            f"{len(unassigned)} pictures without a set are split 80 : 10 : 10 by a hash of their "
            "names",
            flush=True,
        )
    return {name: list(dict.fromkeys(found)) for name, found in members.items()}


def _is_remote(path: str) -> bool:
    return "://" in path
