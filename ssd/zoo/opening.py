"""From what a person says (a name, a folder, an archive, a checkpoint) to a local path."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ssd.errors import InputError
from ssd.zoo import archive, cache, catalogue, download, records
from ssd.zoo.cache import Entry

_CHECKPOINT_FILE = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


def fetch(name: str) -> Path:
    """Returns the unpacked model folder, from the cache or, once, from the network.

    The archive's SHA-256 is recorded the first time. Later calls compare it, and those of the
    unpacked files, and so does a new download after the cache lost the archive but kept the record.

    Args:
      name: full or short name of the catalogue.

    Raises:
      ZooUnavailable: not cached, and neither server nor mirror gave it. What arrived stays: the
        next call goes on from there.
      InputError: unknown name, a digest differs, the disk is full or the cache cannot be written.
    """
    model = catalogue.find(name)
    entry = Entry(cache.cache_folder() / model.name)

    def fill() -> None:
        if entry.archive.is_file():
            # Laid there by hand, or all that an interruption left.
            cache.install(entry, entry.archive, str(entry.archive))
        else:
            _install_download(model, entry)

    return cache.filled(entry, fill)


def _install_download(model: catalogue.ZooModel, entry: Entry) -> None:
    url = download.obtain(model, entry.part)
    try:
        cache.install(entry, entry.part, url)
    except InputError as error:
        download.forget(entry.part)
        if isinstance(error, archive.BadArchive):
            reason = f"{model.name}: {url} gave no such archive: {error}"
            raise download.ZooUnavailable(reason) from error
        raise
    download.forget(entry.part)


def open_model(path_or_name: str | os.PathLike[str]) -> Path:
    """Returns the local folder or checkpoint prefix that a person means.

    Args:
      path_or_name: a folder; a .tar.gz, .tgz or .tar archive, which is unpacked into the cache; a
        checkpoint prefix or one of its files (.index, .data-*), which gives the prefix; or a name
        of the catalogue. What exists locally goes before a name.

    Raises:
      ZooUnavailable: a name that neither cache nor network has.
      InputError: none of these.
    """
    text = os.path.expanduser(os.fspath(path_or_name))
    prefix = _CHECKPOINT_FILE.sub("", text)
    if os.path.isdir(text):
        return Path(text)
    if os.path.isfile(prefix + ".index"):
        return Path(prefix)
    if os.path.isfile(text) and text.endswith(archive.ENDINGS):
        with cache.disk_errors(Path(text)):
            entry = Entry(cache.cache_folder() / "archives" / records.sha256(Path(text)))
        return cache.filled(entry, lambda: cache.install(entry, Path(text), text))
    if catalogue.is_known(text):
        return fetch(text)
    what = "nothing there, and not a model of the zoo" + catalogue.suggestion(text)
    if os.path.isfile(text):
        what = "neither an archive nor a checkpoint with its .index file"
    raise InputError(
        f"{text or 'an empty name'}: {what}; expected a folder, a .tar.gz archive, a checkpoint "
        f"prefix such as DIR/ckpt-0, or a name that `zoo list` prints"
    )
