"""One archive from a server or mirror into a file; the zoo's only place that opens the network.

What arrived stays in the `.part` file, with a `.part.json` that says where it comes from, so that
the next call goes on from there.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ssd.errors import InputError
from ssd.zoo import records
from ssd.zoo.catalogue import ZooModel

# The server publishes no digests, and offered plain http for years.
ZOO_URLS = (
    "https://download.tensorflow.org/models/object_detection",
    "http://download.tensorflow.org/models/object_detection",
)
ANSWER_SECONDS = 12.0  # look-up, all addresses, TLS and the first line of the answer together
SILENCE_SECONDS = 8.0  # one address, and between two bytes
RETRY_SECONDS = 0.5
FRUITLESS_TRIES = 3  # connections in a row that bring nothing new

_CHUNK = 1 << 18


class ZooUnavailable(InputError):  # noqa: N818 -- says what is so, not what went wrong
    """Neither the cache nor the network (nor the mirror) has the model."""


class _FetchError(Exception):
    """One address did not give the file; the message says why."""

    def __init__(self, reason: str, is_next_worth_it: bool) -> None:
        super().__init__(reason)
        self.is_next_worth_it = is_next_worth_it


def obtain(model: ZooModel, part: Path) -> str:
    """Leaves the whole archive in the file `part`; returns the address that gave it.

    Asks the original server, or $ZOO_MIRROR: an http(s):// or file:// base address or a folder,
    which holds the archive as tf2/DATE/NAME.tar.gz or as NAME.tar.gz.

    Raises:
      ZooUnavailable: no address gave it, and why. What arrived stays.
    """
    reasons = []
    for url in _addresses(model, os.environ.get("ZOO_MIRROR")):
        try:
            _download(url, part)
            return without_password(url)
        except _FetchError as error:
            reasons.append(without_password(f"{url}: {error}"))
            if not error.is_next_worth_it:
                break
    raise ZooUnavailable(
        f"{model.name}: not in the cache ({part.parent}), and {'; '.join(reasons)}. Give a local "
        f"folder or archive, or set ZOO_MIRROR"
    )


def forget(part: Path) -> None:
    """Removes what arrived and where it came from."""
    part.unlink(missing_ok=True)
    _origin_file(part).unlink(missing_ok=True)


def without_password(text: str) -> str:
    """Returns the text without the user name and password of an address in it."""
    return re.sub(r"[^/@\s']+@", "***@", text)


def _addresses(model: ZooModel, mirror: str | None) -> list[str]:
    if not mirror:
        return [f"{base}/{model.path}" for base in ZOO_URLS]
    base = mirror if "://" in mirror else Path(mirror).expanduser().absolute().as_uri()
    return [f"{base.rstrip('/')}/{path}" for path in (model.path, f"{model.name}.tar.gz")]


def _origin_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _download(url: str, part: Path) -> None:
    """Completes the part from `url`, over as many connections as it takes.

    Raises:
      _FetchError: no answer to the first, or several in a row without a new byte. The part stays.
    """
    best = fruitless = 0
    while True:
        try:
            if _receive(url, part):
                return
        except _FetchError:
            if best == 0:
                raise
        size = part.stat().st_size if part.is_file() else 0
        best, fruitless = (size, 0) if size > best else (best, fruitless + 1)
        if fruitless == FRUITLESS_TRIES:
            reason = f"cut off at {size} bytes (the same command goes on from there)"
            raise _FetchError(reason, is_next_worth_it=False)
        time.sleep(RETRY_SECONDS * fruitless)


def _receive(url: str, part: Path) -> bool:
    """Appends one connection's bytes to the part; returns whether it is whole now."""
    origin = records.read(_origin_file(part))
    have = part.stat().st_size if part.is_file() and origin.get("url") == url else 0
    if have and have == origin["total"]:
        return True
    headers = {"User-Agent": "ssd-zoo"}
    if have and origin["validator"]:
        # A server whose file has changed since sends all of it.
        headers |= {"Range": f"bytes={have}-", "If-Range": origin["validator"]}
    with _open(urllib.request.Request(url, headers=headers)) as response:
        if response.status != http.client.PARTIAL_CONTENT:
            length = response.headers.get("Content-Length", "")
            validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
            total = int(length) if length.isdigit() else None
            origin = {"url": url, "total": total, "validator": validator}
            part.unlink(missing_ok=True)
            records.write(_origin_file(part), origin)
        return _append(response, part, origin["total"])


def _append(response: Any, part: Path, total: int | None) -> bool:
    with open(part, "ab") as file:
        have = file.tell()
        while True:
            _show_progress(part.name.removesuffix(".tar.gz.part"), have, total)
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException):
                return False
            if not chunk:
                return total is None or have == total
            file.write(chunk)
            have += len(chunk)


def _show_progress(name: str, received: int, total: int | None) -> None:
    """Rewrites one line on stderr; silent where stderr is no terminal."""
    if sys.stderr.isatty():
        of = f" of {total / 1e6:.1f}" if total else ""
        # The cursor waits at the start of the line: whatever is printed next takes its place.
        end = "\n" if received == total else "\r"
        print(f"{name}: {received / 1e6:.1f}{of} MB", end=end, file=sys.stderr, flush=True)


def _open(request: urllib.request.Request) -> Any:
    """Returns the response, within one time limit for everything that comes before its bytes.

    In a thread, because a dead name server takes half a minute, and a server with many addresses
    that a firewall swallows takes longer.
    """
    outcome: list[Any] = []

    def ask() -> None:
        try:
            outcome.append(urllib.request.urlopen(request, timeout=SILENCE_SECONDS))
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    answer = outcome[0] if outcome else TimeoutError("no answer in time")
    if isinstance(answer, Exception):
        raise _explained(answer) from answer
    return answer


def _explained(error: Exception) -> _FetchError:
    reason: Any = error
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        is_next_worth_it = error.code == http.client.NOT_FOUND
    else:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        # Nobody speaks TLS there, so plain http may be served; a certificate that is not trusted
        # is no reason to do without one.
        is_next_worth_it = isinstance(
            reason, (ConnectionRefusedError, FileNotFoundError, ssl.SSLError)
        ) and not isinstance(reason, ssl.SSLCertVerificationError)
    text = " ".join(str(getattr(reason, "strerror", None) or reason).split())
    return _FetchError(text or type(reason).__name__, is_next_worth_it)
