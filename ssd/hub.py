"""`--model hub:...`: TensorFlow Hub modules, by handle or from disk.

Beside `ssd.zoo` the only module that opens the network. tensorflow-hub downloads, and keeps what
came in $TFHUB_CACHE_DIR; without the variable in a temporary folder of the system.
"""

from __future__ import annotations

import http.client
import importlib
import os
import shutil
import socket
import sys
import tarfile
import time
import urllib.error
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssd import zoo
from ssd.errors import InputError

PREFIX = "hub:"
SILENCE_SECONDS = 30.0  # until an answer, and between two bytes of it

_EXPECTED = "hub: takes an https:// handle, a folder with saved_model.pb, or a .tar.gz of one"
_ADDRESSES = ("https://", "http://")
_ARCHIVES = (".tar.gz", ".tgz")
_SAVED_MODEL = "saved_model.pb"
_MENDS = {
    "tensorflow_hub": "tensorflow-hub~=0.16.1",
    "tf_keras": "tf-keras>=2.20,<2.22",
    # tensorflow-hub 0.16.1 reads TensorFlow's version with it; setuptools 82 took it away.
    "pkg_resources": "setuptools<82",
}


def is_handle(model: str | os.PathLike[str]) -> bool:
    """Returns whether `--model` names a hub module."""
    return os.fspath(model).startswith(PREFIX)


def load(model: str) -> tuple[Any, Path]:
    """Returns what `hub.load` makes of `hub:HANDLE_OR_FOLDER`, and the folder of the SavedModel.

    A handle is downloaded once. A download that is cut off, or that TensorFlow cannot load, leaves
    nothing in the cache. An archive on disk is unpacked into the zoo's cache.

    Args:
      model: with the prefix; after it an https:// address as tfhub.dev and Kaggle have them, a
        folder that holds saved_model.pb or saved_model/, or a .tar.gz of one.

    Raises:
      InputError: tensorflow-hub is missing, nothing there, the network fails, or no SavedModel.
    """
    handle = model.removeprefix(PREFIX)
    library = _library(model)
    if handle.startswith(_ADDRESSES):
        started = time.time()
        folder = Path(_resolved(library, handle))
        is_new = folder.stat().st_ctime >= started - 1.0
        try:
            return _load(library, folder, handle)
        except InputError:
            if is_new:
                shutil.rmtree(folder, ignore_errors=True)
            raise
    if not os.path.exists(handle) or "://" in handle:
        raise InputError(f"{model}: no such file or folder; {_EXPECTED}")
    if os.path.isfile(handle) and not handle.endswith(_ARCHIVES):
        raise InputError(f"{model}: neither a folder nor an archive; {_EXPECTED}")
    return _load(library, zoo.open_model(handle), handle)


def load_saved_model(folder: Path, loader: Callable[[str], Any], name: str = "") -> Any:
    """Returns `loader(folder)`.

    Args:
      folder: of the SavedModel.
      loader: `tf.saved_model.load` or `hub.load`.
      name: what a person calls it; the folder itself where it is empty.

    Raises:
      InputError: it is damaged, was made for other ops, or is no SavedModel.
    """
    import tensorflow as tf  # late: `--help` answers without it

    try:
        return loader(str(folder))
    except (OSError, ValueError, RuntimeError, KeyError, tf.errors.OpError) as error:
        raise InputError(f"{name or folder}: TensorFlow cannot load it ({_line(error)})") from error


def _load(library: Any, folder: Path, handle: str) -> tuple[Any, Path]:
    # A zoo archive has it one folder deeper than a hub archive.
    found = [folder, *sorted(path.parent for path in folder.glob(f"*/{_SAVED_MODEL}"))]
    found = [path for path in found if (path / _SAVED_MODEL).is_file()]
    if not found:
        raise InputError(
            f"{PREFIX}{handle}: no {_SAVED_MODEL} in it; {_EXPECTED}; a checkpoint is given "
            f"without {PREFIX}"
        )
    return load_saved_model(found[0], library.load, f"{PREFIX}{handle}"), found[0]


def _library(model: str) -> Any:
    try:
        with warnings.catch_warnings():
            # That pkg_resources will go: requirements.txt has a version that still has it.
            warnings.simplefilter("ignore", UserWarning)
            return importlib.import_module("tensorflow_hub")
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in _MENDS:
            raise
        raise InputError(
            f"{model}: needs the package {missing}; install it with "
            f'`python -m pip install "{_MENDS[missing]}"`'
        ) from error


def _resolved(library: Any, handle: str) -> str:
    """Returns the folder in the cache, downloaded if it is not there."""
    import tensorflow as tf  # late, as above

    _register_whole_downloads()
    from tensorflow_hub import resolver  # behind `_library`, which says what is missing

    cache = resolver.tfhub_cache_dir(use_temp=True)
    _drop_locks_of_the_dead(Path(cache))
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        folder = str(library.resolve(handle))
    except (tf.errors.OpError, tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise InputError(f"{PREFIX}{handle}: {_reason(error, cache)}") from error
    except http.client.HTTPException as error:
        raise InputError(f"{PREFIX}{handle}: {_reason(error, cache)}") from error
    finally:
        socket.setdefaulttimeout(before)
    where = "" if os.environ.get("TFHUB_CACHE_DIR") else " (TFHUB_CACHE_DIR names a lasting place)"
    print(f"{PREFIX}{handle}: cached in {folder}{where}", file=sys.stderr)
    return folder


def _reason(error: BaseException, cache: str) -> str:
    """Returns why a handle gave no folder, and what to do."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server says {error.code} {error.reason}; check the handle and its version"
    if isinstance(error, urllib.error.URLError):
        reason = getattr(error.reason, "strerror", None) or error.reason
        return f"no connection ({reason}); {_EXPECTED}"
    if "does not appear to be a valid module" in str(error):
        return "what the server sent is no whole .tar.gz of a module; nothing was kept"
    return f"{_line(error)}; nothing was kept (cache: {cache})"


def _line(error: BaseException) -> str:
    text = getattr(error, "message", "") or str(error) or type(error).__name__
    return " ".join(text.split())[:200]


class _WholeResponse:
    """An answer whose end before its stated length is an error, not just the end."""

    def __init__(self, response: Any) -> None:
        self._response = response
        length = response.headers.get("Content-Length", "")
        self._left = int(length) if length.isdigit() else None

    def read(self, size: int = -1) -> bytes:
        content: bytes = self._response.read(size)
        if self._left is not None:
            self._left -= len(content)
            if not content and size and self._left > 0:
                raise OSError(f"the download was cut off, {self._left} bytes are missing")
        return content


def _register_whole_downloads() -> None:
    """Makes `hub.resolve` say on stderr what it downloads, and check the length of it."""
    from tensorflow_hub import compressed_module_resolver, registry

    class WholeDownloads(compressed_module_resolver.HttpCompressedFileResolver):
        is_of_the_kit = True

        def _call_urlopen(self, request: Any) -> _WholeResponse:
            print(f"{PREFIX}{request.full_url}: downloading", file=sys.stderr)
            return _WholeResponse(super()._call_urlopen(request))

    known = registry.resolver._impls
    if not any(getattr(one, "is_of_the_kit", False) for one in known):
        registry.resolver.add_implementation(WholeDownloads())


def _drop_locks_of_the_dead(cache: Path) -> None:
    """Removes what killed downloads of this computer left; tensorflow-hub would wait 10 minutes."""
    if os.name != "posix":
        return  # there is no harmless way to ask for a process
    for lock in cache.glob("*.lock"):
        try:
            host, pid, task = lock.read_text().rsplit(".", 2)
            if host != socket.gethostname():
                continue
            os.kill(int(pid), 0)
        except ProcessLookupError:
            aside = lock.with_name(f"{lock.name.removesuffix('.lock')}.{task}.tmp")
            shutil.rmtree(aside, ignore_errors=True)
            lock.unlink(missing_ok=True)
        except (OSError, ValueError):
            continue  # gone meanwhile, somebody else's, or not such a lock
