"""The pretrained SSD-MobileNet models: catalogue, download, cache, and archives made safe.

The only file that opens the network. In the cache lie, per model,

    NAME.tar.gz       as it came
    NAME.tar.gz.json  its SHA-256 and those of the unpacked files, recorded the first time
    NAME/             the model folder
    NAME.tar.gz.part  a download that was cut; the next one goes on from there
    archives/SHA256/  model folders of local archives

Environment: ZOO_CACHE is the cache folder; ZOO_MIRROR (an http(s):// or file:// address, or a
folder) is asked instead of the original server.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import errno
import hashlib
import http.client
import json
import lzma
import os
import re
import shutil
import socket
import ssl
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ssd.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: two fetches at the same time are not kept apart.
    fcntl = None  # type: ignore[assignment]

# The server publishes no digests, and offered plain http for years.
ZOO_URLS = (
    "https://download.tensorflow.org/models/object_detection",
    "http://download.tensorflow.org/models/object_detection",
)
CONNECT_SECONDS = 5.0  # name, every address and TLS together
READ_SECONDS = 20.0
RETRY_SECONDS = 0.5
FRUITLESS_TRIES = 3  # connections in a row that bring nothing new
MAX_UNPACKED_BYTES = 4 << 30
MAX_MEMBERS = 20_000

_CHUNK = 1 << 18
_SUFFIX = "_coco17_tpu-8"
_ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".tar")
_CHECKPOINT_FILE = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_NOT_AN_ARCHIVE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError)

# A name that is a file here and a folder there.
_CLASHES = (FileExistsError, IsADirectoryError, NotADirectoryError)

# Called with (name, received bytes, total bytes or None).
Progress = Callable[[str, int, int | None], None]


class ZooUnavailable(InputError):  # noqa: N818 -- says what is so, not what went wrong
    """Neither the cache nor the network (nor the mirror) has the model."""


class _FetchError(Exception):
    """One address did not give the file; the message says why."""

    def __init__(self, reason: str, is_refused: bool = False, is_absent: bool = False) -> None:
        super().__init__(reason)
        self.is_refused = is_refused  # nobody speaks TLS there: plain http may still be served
        self.is_absent = is_absent  # 404: another path may have it


@dataclass(frozen=True)
class ZooModel:
    """One archive of the TF2 detection zoo.

    Attributes:
      name: as in the zoo; `short_name`, without the data set and device, is accepted as well.
      date: of the release, yyyymmdd, part of the address.
      image_size: (height, width) of the model's input.
      coco_ap: AP on COCO 2017 as the zoo's own table quotes it, in percent.
    """

    name: str
    date: str
    image_size: tuple[int, int]
    coco_ap: float

    @property
    def short_name(self) -> str:
        return self.name.removesuffix(_SUFFIX)

    @property
    def path(self) -> str:
        """Where the archive lies below a server's or mirror's base."""
        return f"tf2/{self.date}/{self.name}.tar.gz"


CATALOGUE = (
    ZooModel("ssd_mobilenet_v2_320x320_coco17_tpu-8", "20200711", (320, 320), 20.2),
    ZooModel("ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8", "20200711", (640, 640), 29.1),
    ZooModel("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", "20200711", (320, 320), 22.2),
    ZooModel("ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8", "20200711", (640, 640), 28.2),
)


class _Entry:
    """The files of one model in the cache; see the top of this file."""

    def __init__(self, cache: Path, name: str) -> None:
        self.cache, self.name = cache, name
        self.folder = cache / name
        self.archive = cache / f"{name}.tar.gz"
        self.record = cache / f"{name}.tar.gz.json"
        self.part = cache / f"{name}.tar.gz.part"
        # Where the part comes from, and how long the whole will be.
        self.part_record = cache / f"{name}.tar.gz.part.json"


def is_known(name: str) -> bool:
    """Returns whether `name` is a catalogue name, full or short."""
    return any(name in (model.name, model.short_name) for model in CATALOGUE)


def find(name: str) -> ZooModel:
    """Returns the catalogue's model of that full or short name.

    Raises:
      InputError: there is none; the message suggests the nearest name.
    """
    for model in CATALOGUE:
        if name in (model.name, model.short_name):
            return model
    raise InputError(f"{name}: not a model of the zoo{_suggestion(name)}; `zoo list` prints them")


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Returns `cache_dir`, else $ZOO_CACHE, else ~/.cache/ssd_zoo; it may not exist yet."""
    return Path(cache_dir or os.environ.get("ZOO_CACHE") or "~/.cache/ssd_zoo").expanduser()


def show_progress(name: str, received: int, total: int | None) -> None:
    """Rewrites one line on stderr; silent where stderr is no terminal."""
    if not sys.stderr.isatty():
        return
    of = f" of {total / 1e6:.1f}" if total else ""
    # The cursor waits at the start of the line: whatever is printed next takes its place.
    end = "\n" if received == total else "\r"
    print(f"{name}: {received / 1e6:.1f}{of} MB", end=end, file=sys.stderr, flush=True)


def fetch(
    name: str,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    progress: Progress | None = show_progress,
) -> Path:
    """Returns the unpacked model folder, from the cache or, once, from the network.

    The archive's SHA-256 is recorded the first time. Later calls compare it, and those of the
    unpacked files, and so does a new download after the cache lost the archive but kept the record.

    Args:
      name: full or short name of the catalogue.
      cache_dir: see `cache_folder`.
      mirror: asked instead of the original server: an http(s):// or file:// base address or a
        folder, which holds the archive as tf2/DATE/NAME.tar.gz or as NAME.tar.gz. None is
        $ZOO_MIRROR.
      progress: called while bytes arrive; None for silence.

    Raises:
      ZooUnavailable: not cached, and neither server nor mirror gave it. What arrived stays: the
        next call goes on from there.
      InputError: unknown name, a digest differs, the disk is full or the cache cannot be written.
    """
    model = find(name)
    entry = _Entry(cache_folder(cache_dir), model.name)
    if entry.folder.is_dir():
        _check_entry(entry)
        return entry.folder
    with _disk_errors(entry.cache):
        entry.cache.mkdir(parents=True, exist_ok=True)
        with _locked(entry.cache / f".{model.name}.lock"):
            # Another process may have finished it while this one waited.
            if not entry.folder.is_dir():
                if not entry.archive.is_file():
                    _obtain(model, entry, mirror or os.environ.get("ZOO_MIRROR") or None, progress)
                _install(entry)
    return entry.folder


def open_model(
    path_or_name: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    progress: Progress | None = show_progress,
) -> Path:
    """Returns the local folder or checkpoint prefix that a person means.

    Args:
      path_or_name: a folder; a .tar.gz, .tgz or .tar archive, which is unpacked into the cache; a
        checkpoint prefix or one of its files (.index, .data-*), which gives the prefix; or a name
        of the catalogue. What exists locally goes before a name.
      cache_dir: see `cache_folder`.
      mirror: see `fetch`.
      progress: see `fetch`.

    Raises:
      ZooUnavailable: a name that neither cache nor network has.
      InputError: none of these.
    """
    text = os.fspath(path_or_name)
    path = Path(text).expanduser()
    if text and path.is_dir():
        return path
    if path.is_file() and path.name.endswith(_ARCHIVE_ENDINGS):
        return _open_archive(path, cache_folder(cache_dir))
    if path.is_file() and path.name == "checkpoint":
        return path.parent
    prefix = Path(_CHECKPOINT_FILE.sub("", str(path)))
    if Path(f"{prefix}.index").is_file():
        return prefix
    if is_known(text):
        return fetch(text, cache_dir=cache_dir, mirror=mirror, progress=progress)
    if path.is_file():
        what = "its .index file is missing" if prefix != path else "not an archive or a checkpoint"
    else:
        what = f"nothing there, and not a model of the zoo{_suggestion(text)}"
    raise InputError(
        f"{text or 'an empty name'}: {what}; expected a folder, a .tar.gz archive, a checkpoint "
        f"prefix such as DIR/ckpt-0, or a name that `zoo list` prints"
    )


def statuses(cache_dir: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Returns, for every model of the catalogue, what the cache has.

    Each is {"name", "state": "cached" | "partial" | "absent", "bytes": of what is there, "path"}.
    """
    rows = []
    for model in CATALOGUE:
        entry = _Entry(cache_folder(cache_dir), model.name)
        path, state = entry.folder, "absent"
        if entry.folder.is_dir():
            state = "cached"
        elif entry.archive.is_file() or entry.part.is_file():
            path = entry.archive if entry.archive.is_file() else entry.part
            state = "cached" if entry.archive.is_file() else "partial"
        size = sum(file.stat().st_size for file in _files(path))
        rows.append({"name": model.name, "state": state, "bytes": size, "path": str(path)})
    return rows


def list_models(cache_dir: str | os.PathLike[str] | None = None) -> None:
    """Prints the catalogue, and what of it is cached, as plain lines."""
    for model, row in zip(CATALOGUE, statuses(cache_dir), strict=True):
        height, width = model.image_size
        state = {
            "cached": f"cached ({row['bytes'] / 1e6:.1f} MB): {row['path']}",
            "partial": f"{row['bytes'] / 1e6:.1f} MB of it are here; fetch goes on from there",
            "absent": "not cached",
        }[row["state"]]
        print(f"{model.name:<46} {height}x{width}  COCO AP {model.coco_ap:.1f}  {state}")
    mirror = os.environ.get("ZOO_MIRROR")
    print(f"cache:  {cache_folder(cache_dir)} (ZOO_CACHE)")
    print(f"source: {shown_url(mirror) if mirror else ZOO_URLS[0]} (ZOO_MIRROR)")


def verify(name: str | None = None, *, cache_dir: str | os.PathLike[str] | None = None) -> None:
    """Prints for one model, or all that are cached, whether the files are those first recorded.

    Raises:
      InputError: a digest differs (after everything was printed), or the named model is not cached.
    """
    cache = cache_folder(cache_dir)
    entries = [_Entry(cache, model.name) for model in ([find(name)] if name else CATALOGUE)]
    problems = []
    for entry in entries:
        if not entry.folder.is_dir() and not entry.archive.is_file():
            print(f"{entry.name}: not cached")
            if name:
                raise InputError(f"{entry.name}: not in {cache}; `zoo fetch {name}` gets it")
            continue
        try:
            _check_entry(entry)
        except InputError as error:
            print(f"{entry.name}: DAMAGED")
            problems.append(str(error))
            continue
        record = _read_json(entry.record)
        digest = f"sha256 {record['sha256']}" if record else "no digest was recorded"
        print(f"{entry.name}: ok, {digest}")
    if problems:
        raise InputError("; ".join(problems))


def shown_url(url: str) -> str:
    """Returns the address without a user name and password that it may hold."""
    return re.sub(r"//[^/@]*@", "//***@", url)


def _suggestion(name: str) -> str:
    names = [text for model in CATALOGUE for text in (model.short_name, model.name)]
    near = difflib.get_close_matches(name, names, n=1)
    return f", did you mean {near[0]}?" if near else ""


# --- What is in the cache ---------------------------------------------------------------------


def _check_entry(entry: _Entry) -> None:
    """Raises InputError if archive or folder are not what the record says; no record, no check."""
    record = _read_json(entry.record)
    if not record:
        return
    if entry.archive.is_file():
        _require_digest(entry.archive, _sha256(entry.archive), record["sha256"])
    if entry.folder.is_dir():
        _check_files(entry.folder, record.get("files", {}))


def _check_files(folder: Path, digests: dict[str, str]) -> None:
    for name, digest in digests.items():
        file = folder / name
        if not file.is_file():
            raise InputError(f"{file}: missing; delete {folder}, the next call unpacks it again")
        _require_digest(file, _sha256(file), digest, f"delete {folder}")


def _require_digest(path: Path, came: str, recorded: str, mend: str = "") -> None:
    if came != recorded:
        mend = mend or f"delete {path} and fetch it again"
        raise InputError(f"{path}: SHA-256 is {came}, expected {recorded} as recorded; {mend}")


def _install(entry: _Entry) -> None:
    """Turns the complete part, or an archive that lies there, into record, archive and folder."""
    source = entry.archive if entry.archive.is_file() else entry.part
    record = _read_json(entry.record)
    origin = shown_url(_read_json(entry.part_record).get("url", ""))
    digest = _sha256(source)
    if record and digest != record["sha256"]:
        if source == entry.part:
            _forget_part(entry)
        raise InputError(
            f"{entry.name}: SHA-256 is {digest}, expected {record['sha256']} as recorded on "
            f"{record.get('fetched', 'the first download')}; refused"
            + (f" what {origin} gave" if origin else "")
            + f"; delete {entry.record} only if the change is known to be right"
        )
    try:
        with _unpacked(source, entry.cache / f".{entry.name}.tmp") as folder:
            fresh = {
                "name": entry.name,
                "sha256": digest,
                "bytes": source.stat().st_size,
                "url": origin or None,
                "fetched": datetime.datetime.now().astimezone().date().isoformat(),
            }
            _write_json(entry.record, {**fresh, **record, "files": _digests(folder)})
            os.replace(source, entry.archive)
            os.replace(folder, entry.folder)
    except InputError as error:
        if source == entry.part:
            _forget_part(entry)
            raise ZooUnavailable(f"{entry.name}: {origin} gave no such archive: {error}") from error
        raise
    _forget_part(entry)


def _open_archive(archive: Path, cache: Path) -> Path:
    """Returns the model folder of a local archive, unpacked once per content."""
    with _disk_errors(archive):
        digest = _sha256(archive)
    home = cache / "archives"
    folder, record = home / digest, home / f"{digest}.json"
    with _disk_errors(home):
        if not folder.is_dir():
            home.mkdir(parents=True, exist_ok=True)
            with _locked(home / f".{digest}.lock"):
                if not folder.is_dir():
                    with _unpacked(archive, home / f".{digest}.tmp") as unpacked:
                        _write_json(record, {"sha256": digest, "files": _digests(unpacked)})
                        os.replace(unpacked, folder)
        _check_files(folder, _read_json(record).get("files", {}))
    return folder


# --- Download ---------------------------------------------------------------------------------


def _obtain(model: ZooModel, entry: _Entry, mirror: str | None, progress: Progress | None) -> None:
    """Leaves the whole archive as the part, or raises ZooUnavailable."""
    if mirror and not re.match(r"https?://", mirror):
        _copy(model, entry, mirror, progress)
        return
    if mirror:
        base = mirror.rstrip("/")
        urls = [f"{base}/{model.path}", f"{base}/{model.name}.tar.gz"]
    else:
        urls = [f"{base}/{model.path}" for base in ZOO_URLS]
    reasons = []
    for url in urls:
        try:
            _download(url, entry, progress)
            return
        except _FetchError as error:
            reasons.append(f"{shown_url(url)}: {error}")
            if not (error.is_absent if mirror else error.is_refused):
                break
    raise ZooUnavailable(
        f"{model.name}: not in the cache ({entry.cache}), and {'; '.join(reasons)}. Give a local "
        f"folder or archive, or set ZOO_MIRROR"
    )


def _copy(model: ZooModel, entry: _Entry, mirror: str, progress: Progress | None) -> None:
    if mirror.startswith("file://"):
        base = Path(urllib.request.url2pathname(urllib.parse.urlsplit(mirror).path))
    elif "://" in mirror:
        raise InputError(
            f"ZOO_MIRROR: {shown_url(mirror)}: expected http(s)://, file:// or a folder"
        )
    else:
        base = Path(mirror).expanduser()
    for source in (base / model.path, base / f"{model.name}.tar.gz"):
        if source.is_file():
            break
    else:
        raise ZooUnavailable(
            f"{model.name}: not in the cache ({entry.cache}), and the mirror {base} has neither "
            f"{model.path} nor {model.name}.tar.gz"
        )
    total = source.stat().st_size
    _forget_part(entry)
    _write_json(entry.part_record, {"url": str(source), "total": total})
    shutil.copyfile(source, entry.part)
    if progress:
        progress(model.name, total, total)


def _download(url: str, entry: _Entry, progress: Progress | None) -> None:
    """Completes the part from `url`, over as many connections as it takes.

    Raises:
      _FetchError: no connection, or several in a row without a new byte. The part stays.
    """
    best, fruitless = 0, 0
    while True:
        try:
            if _receive(url, entry, progress):
                return
            reason = "the connection was cut"
        except _FetchError as error:
            if best == 0:
                raise
            reason = str(error)
        size = entry.part.stat().st_size if entry.part.is_file() else 0
        fruitless = 0 if size > best else fruitless + 1
        best = max(best, size)
        if fruitless >= FRUITLESS_TRIES:
            total = _read_json(entry.part_record).get("total")
            of = f" of {total}" if total else ""
            raise _FetchError(f"{reason} at {size}{of} bytes (the same command goes on from there)")
        time.sleep(RETRY_SECONDS * fruitless)


def _receive(url: str, entry: _Entry, progress: Progress | None) -> bool:
    """Appends one connection's bytes to the part; returns whether it is whole now."""
    known = _read_json(entry.part_record)
    if known.get("url") != url or not known.get("total") or not entry.part.is_file():
        _forget_part(entry)
        known = {}
    have = entry.part.stat().st_size if known else 0
    if known and have == known["total"]:
        return True
    headers = {}
    if have:
        headers["Range"] = f"bytes={have}-"
        validator = known.get("etag") or known.get("last_modified")
        if validator:
            headers["If-Range"] = validator
    with _open(url, headers) as response:
        if response.status == http.client.PARTIAL_CONTENT and have:
            if not _continues(response, have, known):
                _forget_part(entry)
                return False
        else:
            # The first connection, a server that ignores Range, or a file that has changed.
            have, known = 0, _origin(url, response)
            _write_json(entry.part_record, known)
        return _append(response, entry, have, known["total"], progress)


def _origin(url: str, response: Any) -> dict[str, Any]:
    length = response.headers.get("Content-Length")
    etag = response.headers.get("ETag")
    return {
        "url": url,
        "total": int(length) if length and length.isdigit() else None,
        # A weak one does not promise equal bytes, and is not allowed in If-Range.
        "etag": None if etag and etag.startswith("W/") else etag,
        "last_modified": response.headers.get("Last-Modified"),
    }


def _continues(response: Any, have: int, known: dict[str, Any]) -> bool:
    place = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if not place or (int(place[1]), int(place[2])) != (have, known["total"]):
        return False
    now = _origin(known["url"], response)
    return all(
        not (now[key] and known.get(key)) or now[key] == known[key]
        for key in ("etag", "last_modified")
    )


def _append(
    response: Any, entry: _Entry, have: int, total: int | None, progress: Progress | None
) -> bool:
    free = shutil.disk_usage(entry.cache).free
    if total and free < total - have:
        raise OSError(errno.ENOSPC, f"{free} bytes are free, {total - have} more are needed")
    if progress:
        progress(entry.name, have, total)
    # Unbuffered: what was received is in the file, whatever happens next.
    with open(entry.part, "ab" if have else "wb", buffering=0) as part:
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException):
                return False
            if not chunk:
                break
            rest = memoryview(chunk)
            while rest:
                rest = rest[part.write(rest) :]
            have += len(chunk)
            if progress:
                progress(entry.name, have, total)
    return total is None or have == total


def _open(url: str, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "ssd-zoo", **headers})
    opener = urllib.request.build_opener(_HttpHandler, _HttpsHandler)
    try:
        return opener.open(request, timeout=CONNECT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in headers:
            # The file has become shorter than the part: from the start.
            return _open(url, {})
        is_absent = error.code in (http.client.NOT_FOUND, http.client.GONE)
        raise _FetchError(f"HTTP {error.code} {error.reason}", is_absent=is_absent) from error
    except urllib.error.URLError as error:
        raise _unreachable(error.reason) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from error


def _unreachable(reason: Any) -> _FetchError:
    if isinstance(reason, socket.gaierror):
        return _FetchError("its name does not resolve (no network?)")
    if isinstance(reason, TimeoutError):
        return _FetchError("no answer in time")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _FetchError(f"its certificate is not trusted ({reason.verify_message})")
    is_refused = isinstance(reason, (ConnectionRefusedError, ssl.SSLError))
    text = " ".join(str(getattr(reason, "strerror", None) or reason).split())
    return _FetchError(text or type(reason).__name__, is_refused=is_refused)


class _Limits:
    """One time limit for look-up, all addresses and TLS; another for every read after that."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = _connect

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock.settimeout(READ_SECONDS)  # type: ignore[attr-defined]


class _HttpConnection(_Limits, http.client.HTTPConnection):
    pass


class _HttpsConnection(_Limits, http.client.HTTPSConnection):
    pass


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_HttpConnection, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_HttpsConnection, req, context=ssl.create_default_context())


def _connect(address: tuple[str, int], *_: object) -> socket.socket:
    deadline = time.monotonic() + CONNECT_SECONDS
    places = _look_up(*address)
    failure: OSError = OSError("no address")
    for number, (family, kind, protocol, _name, place) in enumerate(places):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        try:
            # An equal share each, so that a dead first address leaves time for the others.
            connection.settimeout(max(left / (len(places) - number), 0.5))
            connection.connect(place)
        except OSError as error:
            connection.close()
            failure = error
            continue
        connection.settimeout(CONNECT_SECONDS)
        return connection
    raise failure


def _look_up(host: str, port: int) -> list[Any]:
    """Returns the addresses; in a thread, because a dead name server takes half a minute."""
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not found:
        raise TimeoutError("the name server does not answer")
    if isinstance(found[0], Exception):
        raise OSError(str(found[0])) if isinstance(found[0], UnicodeError) else found[0]
    return found[0]


# --- Archives ---------------------------------------------------------------------------------


@contextlib.contextmanager
def _unpacked(archive: Path, work: Path) -> Iterator[Path]:
    """Yields the model folder of `archive` inside the folder `work`, which goes away afterwards.

    Nothing is written outside of `work`: regular files and folders only, links within the archive
    become copies, everything else is refused.

    Raises:
      InputError: not a whole archive, a member that is refused, too large, or no model in it.
    """
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        try:
            with tarfile.open(archive, "r:*") as tar:
                _write_members(tar, work, archive)
        except (*_NOT_AN_ARCHIVE, OSError) as error:
            # gzip's own complaint is an OSError without a number; with one it is the disk's.
            if getattr(error, "errno", None) is not None and not isinstance(error, _CLASHES):
                raise
            reason = str(error).partition("\n")[0].rstrip(":")
            raise InputError(
                f"{archive}: not a whole tar archive ({reason}); expected .tar.gz, .tgz or .tar"
            ) from error
        yield _model_folder(work, archive)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_members(tar: tarfile.TarFile, work: Path, archive: Path) -> None:
    members: dict[str, tarfile.TarInfo] = {}
    total = 0
    for member in tar:
        name = _confined(member.name, archive)
        members[name] = member
        content = _content(member, members, archive)
        total += content.size if content else 0
        if total > MAX_UNPACKED_BYTES or len(members) > MAX_MEMBERS:
            raise InputError(
                f"{archive}: unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB or {MAX_MEMBERS} "
                f"files; that is no model"
            )
        target = work / name
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = tar.extractfile(content)
        assert stream is not None
        with stream, open(target, "wb") as file:
            shutil.copyfileobj(stream, file, _CHUNK)
    _read_to_the_end(tar.fileobj, archive)


def _confined(name: str, archive: Path) -> str:
    """Returns the member's name in its plain form; refuses one that leads out of the archive."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or re.match(r"[A-Za-z]:", name):
        raise InputError(f"{archive}: member {name!r} leads out of the archive; refused")
    if not name.isprintable():
        raise InputError(f"{archive}: member {name!r} has unprintable letters; refused")
    return str(path)


def _content(
    member: tarfile.TarInfo, members: dict[str, tarfile.TarInfo], archive: Path
) -> tarfile.TarInfo | None:
    """Returns the member that holds the bytes (a link's target), or None for a folder."""
    seen = member
    for _ in range(8):
        if seen.isdir():
            if seen is member:
                return None
            break
        if seen.isreg():
            return seen
        if not (seen.issym() or seen.islnk()):
            raise InputError(f"{archive}: member {member.name!r} is a device or pipe; refused")
        # A symbolic link counts from its own folder, a hard link from the top.
        start = os.path.dirname(seen.name) if seen.issym() else ""
        target = os.path.normpath(os.path.join(start, seen.linkname)).replace(os.sep, "/")
        if target not in members:
            break
        seen = members[target]
    raise InputError(
        f"{archive}: member {member.name!r} links to {member.linkname!r}; refused, only links to "
        f"files that come before it in the archive are unpacked"
    )


def _read_to_the_end(stream: Any, archive: Path) -> None:
    """Reads what follows the last member, so that gzip compares its checksum."""
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        if total > MAX_UNPACKED_BYTES:
            raise InputError(f"{archive}: more than {MAX_UNPACKED_BYTES >> 20} MB after its end")


def _model_folder(work: Path, archive: Path) -> Path:
    """Returns the folder nearest to the top that looks like a model."""
    folders = [Path(folder) for folder, _, _ in os.walk(work)]
    for folder in sorted(folders, key=lambda folder: (len(folder.parts), folder)):
        names = os.listdir(folder)
        marks = {"pipeline.config", "checkpoint", "saved_model", "saved_model.pb"}
        if marks.intersection(names) or any(
            name.endswith(".index") and not name.startswith("._") for name in names
        ):
            return folder
    raise InputError(
        f"{archive}: no model in it; expected a folder with pipeline.config, checkpoint/, "
        f"saved_model/ or ckpt files"
    )


# --- Files ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _disk_errors(where: Path) -> Iterator[None]:
    """Turns the operating system's refusals into one line."""
    try:
        yield
    except OSError as error:
        place = error.filename or where
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{place}: disk full ({error.strerror}); free some space, or set ZOO_CACHE to "
                f"another disk; a download goes on where it stopped"
            ) from error
        raise InputError(
            f"{place}: {error.strerror or error}; ZOO_CACHE names another folder"
        ) from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds the lock; the system frees it when a process dies."""
    with open(path, "w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget_part(entry: _Entry) -> None:
    entry.part.unlink(missing_ok=True)
    entry.part_record.unlink(missing_ok=True)


def _files(path: Path) -> Iterable[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def _digests(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): _sha256(file) for file in _files(folder)}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    """Returns the object in the file; {} if there is no such file, or not a whole one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(aside, path)
