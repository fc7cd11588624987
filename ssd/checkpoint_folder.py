"""A folder of checkpoints: each appears whole or not at all, old ones go, damaged ones stay unused.

What is written here survives the end of the process at any moment, and a power cut: files are
flushed to the disk before they get their names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ssd.errors import InputError

_WRITING = ".writing-"  # folders of files that have no name yet
_Restored = TypeVar("_Restored")


def numbers(folder: Path) -> list[int]:
    """Returns N of every ckpt-N in a folder, ascending; none where there is no such folder."""
    stems = (path.stem.removeprefix("ckpt-") for path in folder.glob("ckpt-*.index"))
    return sorted(int(stem) for stem in stems if stem.isdigit())


@contextlib.contextmanager
def written(folder: Path, number: int, *, keep: int) -> Iterator[str]:
    """Yields the prefix that files are to be written under; after the block they are ckpt-`number`.

    The state file then names it, and older checkpoints beyond the newest `keep` are deleted.
    Checkpoints of a higher number go, too: they belong to steps that are done again.

    Raises:
      OSError: a file cannot be renamed; the earlier checkpoints are still there, and named.
    """
    name = f"ckpt-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob(f"{_WRITING}*"):  # of a process that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(prefix=_WRITING, dir=folder))
    try:
        yield str(aside / name)
        data = sorted(aside.glob(f"{name}.data*"))
        index = aside / f"{name}.index"
        for file in (*data, index):
            _flush(file)
        # The index goes last: a checkpoint exists once its index does. One of the same number
        # goes first: its index would name places in the data of the new one.
        (folder / index.name).unlink(missing_ok=True)
        for file in (*data, index):
            os.replace(file, folder / file.name)
        _forget_old(folder, number, keep)
        _flush(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def restore_newest(
    folder: Path, restore: Callable[[str], _Restored]
) -> tuple[_Restored, int, list[str]]:
    """Returns what `restore` made of the newest checkpoint that it can read.

    Args:
      folder: holds at least one.
      restore: takes a prefix; raises InputError, changing nothing, where a file is damaged.

    Returns:
      (its result, N of that ckpt-N, a line for every newer checkpoint that is damaged).

    Raises:
      InputError: none can be read. Nothing is deleted.
    """
    faults: list[str] = []
    for number in reversed(numbers(folder)):
        try:
            restored = restore(str(folder / f"ckpt-{number}"))
        except InputError as error:
            faults.append(str(error))
            continue
        return restored, number, [f"DAMAGED, not used: {fault}" for fault in faults]
    raise InputError(
        f"{folder}: none of {len(faults)} checkpoints can be used, the newest because: "
        f"{faults[0]}. "
        "Nothing was changed; put back a copy, or give --fresh to start over in a new folder"
    )


def _forget_old(folder: Path, newest: int, keep: int) -> None:
    others = [number for number in numbers(folder) if number != newest]
    older = [number for number in others if number < newest]
    kept = older[max(0, len(older) - (keep - 1)) :] if keep > 1 else []
    lines = [f'model_checkpoint_path: "ckpt-{newest}"']
    lines += [f'all_model_checkpoint_paths: "ckpt-{number}"' for number in (*kept, newest)]
    aside = folder / ".checkpoint.tmp"
    aside.write_text("\n".join(lines) + "\n")
    _flush(aside)
    os.replace(aside, folder / "checkpoint")
    for number in set(others) - set(kept):
        # The index first: what has none is no checkpoint.
        for path in sorted(folder.glob(f"ckpt-{number}.*"), reverse=True):
            path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Has the disk take what was written to a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
