"""A server on this machine that gives a small model archive, and a cache of its own."""

from __future__ import annotations

import http.server
import io
import random
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssd import zoo

NAME = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"


def _pack(files: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                tar.addfile(info)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def pack() -> Callable[..., bytes]:
    """{name: bytes or TarInfo} -> an archive."""
    return _pack


@pytest.fixture(scope="session")
def model() -> SimpleNamespace:
    """Names of one model of the catalogue, and an archive that stands for the real one."""
    files = {
        "pipeline.config": b"model { ssd { num_classes: 90 } }\n",
        "checkpoint/ckpt-0.index": b"index",
        # Does not compress, so that the archive is longer than the cuts of the tests.
        "checkpoint/ckpt-0.data-00000-of-00001": random.Random(1).randbytes(30_000),
    }
    return SimpleNamespace(
        name=NAME,
        short_name="ssd_mobilenet_v2_fpnlite_320x320",
        path=f"tf2/20200711/{NAME}.tar.gz",
        files=files,
        archive=_pack({f"{NAME}/{name}": content for name, content in files.items()}),
        read=lambda folder: {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The cache folder; no setting and no server of the person who runs the tests is used."""
    for variable in ("ZOO_MIRROR", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(zoo.download, "ZOO_URLS", ("http://127.0.0.1:9/nowhere",))
    monkeypatch.setattr(zoo.download, "RETRY_SECONDS", 0.0)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def visible(cache: Path) -> Callable[[], list[str]]:
    """Names in the cache, without locks."""
    return lambda: sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


BUSY = -1


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; what it does to a request is set from the test."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.has_ranges = True
        self.etag: str | None = '"one"'
        self.has_length = True
        # Per request: bytes of the body before the connection breaks, or BUSY.
        self.cuts: list[int] = []
        self.asked: list[str | None] = []  # Range headers
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        body = self.server.files.get(self.path)
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        if body is None or cut == BUSY:
            self.send_error(404 if body is None else 503)
            return
        start = 0
        if wanted and self.server.has_ranges and self.headers["If-Range"] == self.server.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        if self.server.has_length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][:cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, model: SimpleNamespace) -> Iterator[Server]:
    """A server with the archive at its place in the zoo; it is the mirror."""
    server = Server({f"/{model.path}": model.archive})
    monkeypatch.setenv("ZOO_MIRROR", server.url)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
