"""Puts the files of one run into a folder together, at the end, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ssd.errors import InputError

try:
    import fcntl
except ImportError:  # No such module on Windows: leftovers of killed runs stay there.
    fcntl = None  # type: ignore[assignment]

_UNFINISHED = ".unfinished-"
_LOCK = "lock"
_MANIFEST = "manifest.json"


@contextmanager
def whole_output(output: Path, is_owned: Callable[[str], bool], seal: str) -> Iterator[Path]:
    """Yields an empty folder; what it holds appears in `output` when the block ends well.

    A new `output` appears by one rename. An existing one keeps every file that is not owned; the
    owned ones are replaced by the new, the seal removed first and written last, so a folder with
    its seal is whole. A run killed among those renames is completed by the next one on that folder;
    a run killed before leaves `output` as it was.

    Args:
      output: the folder to fill; its parents are made.
      is_owned: says of a name whether a previous run may have written it.
      seal: name of the file that marks a whole output; written by every run.

    Raises:
      InputError: `output` is a file, cannot be written, or has owned names without the seal.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        home = output if output.is_dir() else output.parent
        _clean_up(home, output, is_owned, seal)
        _refuse_strangers(output, is_owned, seal)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}{_UNFINISHED}", dir=home))
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror}; give --output") from None
    lock = (folder / _LOCK).open("w")
    try:
        _try_lock(lock.fileno())
        content = folder / "content"
        content.mkdir()
        yield content
        if home == output:
            names = sorted(os.listdir(content))
            part = folder / (_MANIFEST + ".tmp")
            part.write_text(json.dumps(names))
            os.replace(part, folder / _MANIFEST)
            _move_in(folder, output, is_owned, seal)
        else:
            os.rename(content, output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror or error}") from None
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def _move_in(folder: Path, output: Path, is_owned: Callable[[str], bool], seal: str) -> None:
    """Replaces the owned entries of `output`; may be repeated after any interruption."""
    names = json.loads((folder / _MANIFEST).read_text())
    content = folder / "content"
    waiting = [name for name in names if (content / name).exists()]
    if seal in waiting:
        _remove(output / seal)
    for name in sorted(os.listdir(output)):
        if is_owned(name) and name not in names:
            _remove(output / name)
    for name in sorted(waiting, key=lambda name: name == seal):
        if (output / name).is_dir():
            shutil.rmtree(output / name)
        os.replace(content / name, output / name)


def _clean_up(home: Path, output: Path, is_owned: Callable[[str], bool], seal: str) -> None:
    """Completes or removes what killed runs left; a run that is still alive holds its lock."""
    prefix = f".{output.name}{_UNFINISHED}"
    for leftover in sorted(home.iterdir()):
        if not leftover.name.startswith(prefix) or not _is_abandoned(leftover):
            continue
        if (leftover / _MANIFEST).exists() and home == output:
            _move_in(leftover, output, is_owned, seal)
        shutil.rmtree(leftover, ignore_errors=True)


def _refuse_strangers(output: Path, is_owned: Callable[[str], bool], seal: str) -> None:
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; --output takes a folder")
    if not output.is_dir() or (output / seal).exists():
        return
    strangers = sorted(name for name in os.listdir(output) if is_owned(name))
    if strangers:
        raise InputError(
            f"{output}: has {strangers[0]} but no {seal}, so it is not from this command and would "
            "be overwritten; give another --output"
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _try_lock(descriptor: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_abandoned(leftover: Path) -> bool:
    try:
        with (leftover / _LOCK).open("r+") as lock:
            return _try_lock(lock.fileno())
    except OSError:
        return False
