"""Unpacking a model archive so that nothing is written outside of its folder."""

from __future__ import annotations

import contextlib
import gzip
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ssd.errors import InputError

ENDINGS = (".tar.gz", ".tgz", ".tar")
MAX_UNPACKED_BYTES = 4 << 30
MAX_MEMBERS = 20_000

_CHUNK = 1 << 18
_MARKS = ("pipeline.config", "checkpoint", "saved_model", "saved_model.pb")
# From the top, a drive, a Windows separator, or a step up.
_LEADS_OUT = re.compile(r"^/|[\\:]|(^|/)\.\.(/|$)")


class BadArchive(InputError):  # noqa: N818 -- says what is so, not what went wrong
    """Not a whole archive, a member that is refused, too large, or no model in it."""


@contextlib.contextmanager
def unpacked(archive: Path, work: Path) -> Iterator[Path]:
    """Yields the model folder of `archive` inside the folder `work`, which goes away afterwards.

    Regular files and folders only. Read to the end of the file, so that gzip's checksum counts.

    Raises:
      BadArchive: the message begins with the archive's path.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        try:
            with tarfile.open(archive, "r:*") as tar:
                _write_members(tar, work, archive)
                while tar.fileobj is not None and tar.fileobj.read(_CHUNK):
                    pass
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = str(error).partition("\n")[0].rstrip(":")
            raise BadArchive(
                f"{archive}: not a whole tar archive ({reason}); expected .tar.gz, .tgz or .tar"
            ) from error
        yield _model_folder(work, archive)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_members(tar: tarfile.TarFile, work: Path, archive: Path) -> None:
    total = 0
    for number, member in enumerate(tar, start=1):
        total += member.size
        if total > MAX_UNPACKED_BYTES or number > MAX_MEMBERS:
            raise BadArchive(
                f"{archive}: unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB or {MAX_MEMBERS} "
                f"files; that is no model"
            )
        if _LEADS_OUT.search(member.name) or not member.name.isprintable():
            raise BadArchive(f"{archive}: member {member.name!r} leads out of its folder; refused")
        target = work / member.name
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        # None for a device or pipe; a link would be followed.
        stream = tar.extractfile(member) if member.isreg() else None
        if stream is None:
            raise BadArchive(
                f"{archive}: member {member.name!r} is a link or device; refused, pack it with "
                f"`tar --dereference --hard-dereference`"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with stream, open(target, "wb") as file:
            shutil.copyfileobj(stream, file, _CHUNK)


def _model_folder(work: Path, archive: Path) -> Path:
    """Returns the folder nearest to the top that looks like a model."""
    found = [p.parent for p in work.rglob("*") if p.name in _MARKS or p.suffix == ".index"]
    if not found:
        raise BadArchive(
            f"{archive}: no model in it; expected a folder with pipeline.config, checkpoint/, "
            f"saved_model/ or ckpt files"
        )
    return min(found, key=lambda folder: (len(folder.parts), folder))
