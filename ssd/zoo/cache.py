"""Where a model lies in the cache, and whether it is still what came."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd.errors import InputError
from ssd.zoo import archive, records
from ssd.zoo.catalogue import CATALOGUE

try:
    import fcntl
except ImportError:  # Windows: two fetches at the same time are not kept apart.
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Entry:
    """The files of one model: its folder (whole whenever it is there) and what lies beside it."""

    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.tar.gz")

    @property
    def part(self) -> Path:
        """The archive while it is on its way."""
        return self.folder.with_name(f"{self.folder.name}.tar.gz.part")

    @property
    def record(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")


def cache_folder() -> Path:
    """Returns $ZOO_CACHE, else ~/.cache/ssd_zoo; it may not exist yet."""
    return Path(os.environ.get("ZOO_CACHE") or "~/.cache/ssd_zoo").expanduser()


def filled(entry: Entry, fill: Callable[[], None]) -> Path:
    """Returns the entry's folder, made by `fill` where it is absent, and checked.

    Raises:
      InputError: a file is not as recorded, or the disk refuses.
    """
    with disk_errors(entry.folder.parent):
        # A complete entry is only read: the cache may be shared and write-protected.
        if not entry.folder.is_dir():
            entry.folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(entry.folder.with_name(f".{entry.folder.name}.lock")):
                # Another process may have finished it while this one waited.
                if not entry.folder.is_dir():
                    fill()
        check(entry)
    return entry.folder


def install(entry: Entry, source: Path, origin: str) -> None:
    """Turns the archive `source` into the entry's folder and record; a part becomes its archive.

    Raises:
      BadArchive: see `archive.unpacked`.
      InputError: the record holds another SHA-256.
    """
    record, digest = records.read(entry.record), records.sha256(source)
    if record and digest != record["sha256"]:
        raise InputError(
            f"{source}: SHA-256 is {digest}, expected {record['sha256']} as recorded when it first "
            f"came; refused; delete {entry.record} only if the change is known to be right"
        )
    with archive.unpacked(source, entry.folder.with_name(f".{entry.folder.name}.tmp")) as folder:
        known = {"sha256": digest, "origin": origin, **record}
        records.write(entry.record, {**known, "files": records.digests(folder)})
        if source == entry.part:
            os.replace(source, entry.archive)
        os.replace(folder, entry.folder)


def check(entry: Entry) -> None:
    """Raises InputError if a file is not as recorded; what was never recorded passes."""
    record = records.read(entry.record)
    wanted = {}
    if record and entry.archive.is_file():
        wanted[entry.archive] = record["sha256"]
    if record and entry.folder.is_dir():
        wanted |= {entry.folder / name: digest for name, digest in record["files"].items()}
    for file, digest in wanted.items():
        came = f"SHA-256 is {records.sha256(file)}" if file.is_file() else "missing"
        if not came.endswith(digest):
            raise InputError(
                f"{file}: {came}, expected {digest} as recorded; delete "
                f"{file if file == entry.archive else entry.folder} and ask for the model again"
            )


def statuses() -> list[dict[str, Any]]:
    """Returns, for every model of the catalogue, what the cache has.

    Each is {"name", "state": "cached" | "partial" | "absent", "bytes": of what is there, "path"}.
    """
    rows = []
    for model in CATALOGUE:
        entry = Entry(cache_folder() / model.name)
        places = ((entry.folder, "cached"), (entry.archive, "cached"), (entry.part, "partial"))
        path, state = next((p for p in places if p[0].exists()), (entry.folder, "absent"))
        size = sum(file.stat().st_size for file in records.files_of(path))
        rows.append({"name": model.name, "state": state, "bytes": size, "path": str(path)})
    return rows


@contextlib.contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turns the operating system's refusals into one line."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{error.filename or where}: {error.strerror or error}; the cache must be a folder "
            f"with free space that can be written, ZOO_CACHE names another; a download goes on "
            f"where it stopped"
        ) from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds the lock; the system frees it when a process dies."""
    with open(path, "w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
