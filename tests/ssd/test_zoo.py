"""Catalogue, download, cache and archives, against a server on this machine."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import socket
import tarfile
import threading
import time
from pathlib import Path

import pytest

from ssd import zoo
from ssd.errors import InputError

NAME = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
SHORT = "ssd_mobilenet_v2_fpnlite_320x320"
PATH = f"tf2/20200711/{NAME}.tar.gz"
FILES = {
    f"{NAME}/pipeline.config": b"model { ssd { num_classes: 90 } }\n",
    f"{NAME}/checkpoint/ckpt-0.index": b"index",
    # Does not compress, so that the archive is longer than the cuts below.
    f"{NAME}/checkpoint/ckpt-0.data-00000-of-00001": random.Random(1).randbytes(30_000),
}


def tar_bytes(files, mode="w:gz"):
    """Returns an archive; a value is a file's bytes or a ready TarInfo."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(kind, linkname=""):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, linkname
    return info


ARCHIVE = tar_bytes(FILES)


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; what it does to each request is set from the test."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/{PATH}": ARCHIVE}
        self.has_ranges = True
        self.etag = '"one"'
        self.length = True
        self.cuts = []  # bytes of the body before the connection breaks, one per request
        self.asked = []  # (path, Range header)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        total, start, status = len(body), 0, 200
        wanted = self.headers.get("Range")
        if wanted and server.has_ranges and self.headers.get("If-Range") in (None, server.etag):
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= total:
                self.send_error(416)
                return
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.length:
            self.send_header("Content-Length", str(total - start))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(body[start:][:cut])

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No setting and no server of the person who runs the tests."""
    for variable in ("ZOO_CACHE", "ZOO_MIRROR", "http_proxy", "https_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(zoo, "ZOO_URLS", ("http://127.0.0.1:9/nowhere",))
    monkeypatch.setattr(zoo, "RETRY_SECONDS", 0.0)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def content(folder):
    return {
        f"{NAME}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def visible(folder):
    """Names in the folder without locks."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


# --- Names ---


def test_the_catalogue_has_the_four_archives():
    assert {model.path: (model.image_size, model.coco_ap) for model in zoo.CATALOGUE} == {
        "tf2/20200711/ssd_mobilenet_v2_320x320_coco17_tpu-8.tar.gz": ((320, 320), 20.2),
        "tf2/20200711/ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8.tar.gz": ((640, 640), 29.1),
        "tf2/20200711/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.tar.gz": ((320, 320), 22.2),
        "tf2/20200711/ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8.tar.gz": ((640, 640), 28.2),
    }


def test_short_names_are_names():
    assert zoo.find(SHORT) is zoo.find(NAME)
    assert zoo.is_known(SHORT)
    assert not zoo.is_known("ssd_mobilenet")


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(
        InputError, match=r"^ssd_mobilenet_v2_fpnlite_320: .*mean ssd_mob\w*320x320\?"
    ):
        zoo.fetch("ssd_mobilenet_v2_fpnlite_320")


# --- Download ---


def test_fetch_downloads_once(server, cache):
    folder = zoo.fetch(SHORT, cache_dir=cache, mirror=server.url)
    assert folder == cache / NAME
    assert content(folder) == FILES
    assert visible(cache) == [NAME, f"{NAME}.tar.gz", f"{NAME}.tar.gz.json"]
    record = json.loads((cache / f"{NAME}.tar.gz.json").read_text())
    assert record["sha256"] == hashlib.sha256(ARCHIVE).hexdigest()
    assert record["url"] == f"{server.url}/{PATH}"
    assert record["files"]["pipeline.config"] == (
        hashlib.sha256(FILES[f"{NAME}/pipeline.config"]).hexdigest()
    )
    assert zoo.fetch(NAME, cache_dir=cache, mirror=server.url) == folder
    assert len(server.asked) == 1


def test_cache_and_mirror_from_the_environment(server, cache, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(cache))
    monkeypatch.setenv("ZOO_MIRROR", server.url + "/")
    assert zoo.open_model(NAME) == cache / NAME


def test_a_flat_mirror(server, cache):
    server.files = {f"/models/{NAME}.tar.gz": ARCHIVE}
    folder = zoo.fetch(NAME, cache_dir=cache, mirror=f"{server.url}/models")
    assert content(folder) == FILES


def test_https_goes_first_and_plain_http_where_nobody_speaks_it(server, cache, monkeypatch):
    plain = server.url
    monkeypatch.setattr(zoo, "ZOO_URLS", (plain.replace("http:", "https:"), plain))
    assert content(zoo.fetch(NAME, cache_dir=cache)) == FILES


def test_the_original_server_is_not_asked_when_a_mirror_is_set(server, cache, monkeypatch):
    monkeypatch.setattr(zoo, "ZOO_URLS", (server.url,))
    with pytest.raises(zoo.ZooUnavailable, match="elsewhere"):
        zoo.fetch(NAME, cache_dir=cache, mirror="http://127.0.0.1:9/elsewhere")
    assert server.asked == []


def test_progress_is_told(server, cache):
    told = []
    zoo.fetch(NAME, cache_dir=cache, mirror=server.url, progress=lambda *now: told.append(now))
    assert told[0] == (NAME, 0, len(ARCHIVE))
    assert told[-1] == (NAME, len(ARCHIVE), len(ARCHIVE))


def test_a_cut_connection_is_continued_at_once(server, cache):
    server.cuts = [1000, 0, 4000]
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=server.url)) == FILES
    assert [wanted for _, wanted in server.asked] == [
        None,
        "bytes=1000-",
        "bytes=1000-",
        "bytes=5000-",
    ]


def test_a_later_call_goes_on_where_the_first_gave_up(server, cache):
    server.cuts = [1000, 0, 0, 0]
    with pytest.raises(zoo.ZooUnavailable, match=rf"cut at 1000 of {len(ARCHIVE)} bytes"):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    assert (cache / f"{NAME}.tar.gz.part").read_bytes() == ARCHIVE[:1000]
    assert zoo.statuses(cache)[2]["state"] == "partial"
    server.asked.clear()
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=server.url)) == FILES
    assert [wanted for _, wanted in server.asked] == ["bytes=1000-"]
    assert visible(cache) == [NAME, f"{NAME}.tar.gz", f"{NAME}.tar.gz.json"]


@pytest.mark.parametrize("change", ["ranges", "etag", "shorter", "longer", "other url"])
def test_a_part_that_does_not_fit_is_started_again(server, cache, change):
    server.files[f"/{PATH}"] = tar_bytes({**FILES, f"{NAME}/old": b"old" * 5000})
    server.cuts = [9000, 0, 0, 0]
    with pytest.raises(zoo.ZooUnavailable):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    mirror = server.url
    server.files[f"/{PATH}"] = ARCHIVE
    if change == "ranges":
        server.has_ranges = False
    elif change == "etag":
        server.etag = '"two"'
    elif change == "shorter":
        server.files[f"/{PATH}"] = tar_bytes({f"{NAME}/pipeline.config": b""})
    elif change == "longer":
        server.files[f"/{PATH}"] = tar_bytes({**FILES, f"{NAME}/x": random.randbytes(9000)})
    else:
        mirror = f"{server.url}/models"
        server.files = {f"/models/{NAME}.tar.gz": ARCHIVE}
    folder = zoo.fetch(NAME, cache_dir=cache, mirror=mirror)
    assert (folder / "pipeline.config").is_file()
    assert not (folder / "old").exists()


def test_a_server_without_ranges_that_always_cuts_ends(server, cache):
    server.has_ranges = False
    server.cuts = [2000] * 50
    with pytest.raises(zoo.ZooUnavailable, match="cut at 2000 of"):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    assert len(server.asked) == 1 + zoo.FRUITLESS_TRIES


def test_a_server_that_tells_no_length(server, cache):
    server.length = False
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=server.url)) == FILES


def test_no_length_and_a_cut_is_seen_in_the_archive(server, cache):
    server.length, server.cuts = False, [20_000]
    with pytest.raises(zoo.ZooUnavailable, match="not a whole tar archive"):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    assert visible(cache) == []


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"", ARCHIVE[:-4000], ARCHIVE[:100]])
def test_a_server_that_gives_something_else(server, cache, body):
    server.files[f"/{PATH}"] = body
    with pytest.raises(
        zoo.ZooUnavailable, match=rf"^{NAME}: http.* gave no such archive: .*whole tar"
    ):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    # Neither a digest nor a part of it is kept.
    assert visible(cache) == []


def test_a_bit_that_fell_over(server, cache):
    damaged = bytearray(ARCHIVE)
    damaged[len(ARCHIVE) // 2] ^= 4
    server.files[f"/{PATH}"] = bytes(damaged)
    with pytest.raises(zoo.ZooUnavailable, match="gave no such archive"):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    assert visible(cache) == []


def test_not_found(server, cache):
    server.files = {}
    with pytest.raises(
        zoo.ZooUnavailable, match=rf"^{NAME}: not in the cache .*{PATH}: HTTP 404"
    ) as caught:
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    assert "\n" not in str(caught.value)
    assert len(server.asked) == 2


def test_nobody_listens(cache):
    with pytest.raises(zoo.ZooUnavailable, match=r"127.0.0.1:9/nowhere.*: Connection refused"):
        zoo.fetch(NAME, cache_dir=cache)


def test_no_name_server(cache, monkeypatch):
    monkeypatch.setattr(zoo, "ZOO_URLS", ("https://zoo.invalid", "http://zoo.invalid"))
    with pytest.raises(
        zoo.ZooUnavailable, match=r"zoo.invalid/.*: its name does not resolve"
    ) as caught:
        zoo.fetch(NAME, cache_dir=cache)
    # One look-up: the same name over http would not be found either.
    assert "http://" not in str(caught.value)


def test_a_dead_name_server_is_given_up(cache, monkeypatch):
    monkeypatch.setattr(zoo, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    start = time.monotonic()
    with pytest.raises(zoo.ZooUnavailable, match="no answer in time"):
        zoo.fetch(NAME, cache_dir=cache)
    assert time.monotonic() - start < 1.5


@pytest.fixture
def deaf(monkeypatch):
    """The address of a port where connections are never taken up; 1 second is given to all."""
    monkeypatch.setattr(zoo, "CONNECT_SECONDS", 1.0)
    with contextlib.ExitStack() as stack:
        door = stack.enter_context(socket.socket())
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        # Whoever fills the queue makes the next ones wait.
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(door.getsockname())
        yield door.getsockname()


def test_all_addresses_share_one_time_limit(cache, monkeypatch, deaf):
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", deaf)
    monkeypatch.setattr(zoo, "_look_up", lambda *_: [entry] * 3)
    start = time.monotonic()
    with pytest.raises(zoo.ZooUnavailable, match="no answer in time"):
        zoo.fetch(NAME, cache_dir=cache)
    assert time.monotonic() - start < 2.5


def test_a_dead_address_leaves_time_for_the_next(server, cache, monkeypatch, deaf):
    entries = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", place)
        for place in (deaf, ("127.0.0.1", server.server_address[1]))
    ]
    monkeypatch.setattr(zoo, "_look_up", lambda *_: entries)
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=server.url)) == FILES


def test_a_server_that_never_answers(cache, monkeypatch):
    monkeypatch.setattr(zoo, "READ_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        with pytest.raises(zoo.ZooUnavailable, match="no answer in time"):
            zoo.fetch(NAME, cache_dir=cache, mirror=f"http://127.0.0.1:{silent.getsockname()[1]}")


# --- Digests ---


def test_a_download_that_differs_from_the_record_is_refused(server, cache):
    zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    shutil.rmtree(cache / NAME)
    (cache / f"{NAME}.tar.gz").unlink()
    other = tar_bytes({**FILES, f"{NAME}/more": b"!"})
    server.files[f"/{PATH}"] = other
    first, second = (hashlib.sha256(data).hexdigest() for data in (ARCHIVE, other))
    with pytest.raises(InputError, match=f"^{NAME}: SHA-256 is {second}, expected {first}"):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    assert visible(cache) == [f"{NAME}.tar.gz.json"]
    server.files[f"/{PATH}"] = ARCHIVE
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=server.url)) == FILES


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (f"{NAME}.tar.gz", rf"{NAME}.tar.gz: SHA-256 is \w+, expected \w+ as recorded; delete"),
        (f"{NAME}/pipeline.config", r"pipeline.config: SHA-256 is \w+, expected \w+ as recorded"),
        (f"{NAME}/checkpoint/ckpt-0.index", r"ckpt-0.index: SHA-256 is"),
    ],
    ids=["archive", "config", "checkpoint"],
)
def test_a_changed_cache_is_refused(server, cache, damage, message, capsys):
    zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    (cache / damage).write_bytes(b"changed")
    with pytest.raises(InputError, match=message) as caught:
        zoo.fetch(NAME, cache_dir=cache)
    assert not isinstance(caught.value, zoo.ZooUnavailable)
    with pytest.raises(InputError, match=message):
        zoo.verify(cache_dir=cache)
    assert f"{NAME}: DAMAGED" in capsys.readouterr().out


def test_a_lost_file_is_named_and_mended_as_the_message_says(server, cache):
    folder = zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    (folder / "pipeline.config").unlink()
    with pytest.raises(InputError, match=rf"pipeline.config: missing; delete {folder}"):
        zoo.fetch(NAME, cache_dir=cache)
    shutil.rmtree(folder)
    # From the archive: no server is there.
    assert content(zoo.fetch(NAME, cache_dir=cache)) == FILES


def test_an_archive_laid_into_the_cache_by_hand(cache):
    cache.mkdir()
    (cache / f"{NAME}.tar.gz").write_bytes(ARCHIVE)
    assert content(zoo.fetch(NAME, cache_dir=cache)) == FILES
    assert (cache / f"{NAME}.tar.gz.json").is_file()


def test_a_bad_archive_laid_into_the_cache_is_not_deleted(cache):
    cache.mkdir()
    (cache / f"{NAME}.tar.gz").write_bytes(b"mine")
    with pytest.raises(InputError, match=rf"{NAME}.tar.gz: not a whole tar archive"):
        zoo.fetch(NAME, cache_dir=cache)
    assert (cache / f"{NAME}.tar.gz").read_bytes() == b"mine"


def test_a_complete_part_needs_no_network(server, cache):
    server.cuts = [1000, 0, 0, 0]
    with pytest.raises(zoo.ZooUnavailable):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    (cache / f"{NAME}.tar.gz.part").write_bytes(ARCHIVE)
    server.asked.clear()
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=server.url)) == FILES
    assert server.asked == []


# --- Local mirrors ---


@pytest.mark.parametrize("where", [PATH, f"{NAME}.tar.gz"], ids=["as the zoo", "flat"])
@pytest.mark.parametrize("as_url", [False, True], ids=["folder", "file url"])
def test_a_folder_as_mirror(tmp_path, cache, where, as_url):
    mirror = tmp_path / "a mirror"
    (mirror / where).parent.mkdir(parents=True)
    (mirror / where).write_bytes(ARCHIVE)
    address = mirror.as_uri() if as_url else str(mirror)
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=address)) == FILES
    assert (mirror / where).read_bytes() == ARCHIVE


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("/no/such/folder", rf"the mirror /no/such/folder has neither {PATH} nor"),
        ("s3://bucket", r"^ZOO_MIRROR: s3://bucket: expected http\(s\)://, file:// or a folder"),
        ("http://user:secret@127.0.0.1:9", r"http://\*\*\*@127.0.0.1:9/"),
        ("http://127.0.0.1:port", r"127.0.0.1:port/.*: nonnumeric port"),
    ],
    ids=["no folder", "scheme", "password", "port"],
)
def test_a_mirror_that_cannot_be(cache, mirror, message):
    with pytest.raises(InputError, match=message) as caught:
        zoo.fetch(NAME, cache_dir=cache, mirror=mirror)
    assert "secret" not in str(caught.value)


# --- Disk ---


def test_too_little_space_is_said_before_the_download(server, cache, monkeypatch):
    monkeypatch.setattr(zoo.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1))
    with pytest.raises(InputError, match=r"disk full \(1 bytes are free, \d+ more are needed\)"):
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)


def test_a_disk_that_fills_up_keeps_the_part(server, cache, monkeypatch):
    room = [5000]

    def small_disk(path, mode="r", buffering=-1):
        file = open(path, mode, buffering)  # noqa: SIM115
        if "part" not in str(path) or "b" not in mode or "r" in mode:
            return file

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, data):
                if room[0] == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written = file.write(data[: room[0]])
                room[0] -= written
                return written

        return Full()

    monkeypatch.setattr(zoo, "open", small_disk, raising=False)
    with pytest.raises(InputError, match=r"disk full \(No space left on device\)") as caught:
        zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    assert not isinstance(caught.value, zoo.ZooUnavailable)
    assert (cache / f"{NAME}.tar.gz.part").read_bytes() == ARCHIVE[:5000]
    room[0] = 10**9
    server.asked.clear()
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=server.url)) == FILES
    assert server.asked == [(f"/{PATH}", "bytes=5000-")]


def test_a_cache_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"file.*: Not a directory; ZOO_CACHE names another folder"
    ):
        zoo.fetch(NAME, cache_dir=tmp_path / "file" / "cache", mirror=server.url)


def test_an_interrupted_unpack_leaves_nothing_under_the_final_name(server, cache, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zoo, "_model_folder", interrupt)
        with pytest.raises(KeyboardInterrupt):
            zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    assert visible(cache) == [f"{NAME}.tar.gz.part", f"{NAME}.tar.gz.part.json"]
    server.asked.clear()
    assert content(zoo.fetch(NAME, cache_dir=cache, mirror=server.url)) == FILES
    assert server.asked == []


def test_two_at_the_same_time_download_once(server, cache):
    folders = []
    threads = [
        threading.Thread(
            target=lambda: folders.append(zoo.fetch(NAME, cache_dir=cache, mirror=server.url))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [cache / NAME] * 4
    assert len(server.asked) == 1


# --- Archives ---


def write(tmp_path, data, name="model.tar.gz"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "mode"), [("m.tar.gz", "w:gz"), ("m.tgz", "w:gz"), ("m.tar", "w")]
)
def test_a_local_archive_is_unpacked_once_by_content(tmp_path, cache, name, mode):
    data = tar_bytes(FILES, mode)
    folder = zoo.open_model(write(tmp_path, data, name), cache_dir=cache)
    assert folder == cache / "archives" / hashlib.sha256(data).hexdigest()
    assert content(folder) == FILES
    stamp = folder.stat().st_mtime_ns
    assert zoo.open_model(str(write(tmp_path, data, f"again_{name}")), cache_dir=cache) == folder
    assert folder.stat().st_mtime_ns == stamp
    (folder / "pipeline.config").write_text("changed")
    with pytest.raises(InputError, match=r"pipeline.config: SHA-256 is"):
        zoo.open_model(tmp_path / name, cache_dir=cache)


@pytest.mark.parametrize(
    "files",
    [
        {"pipeline.config": b"a"},
        {"./": special(tarfile.DIRTYPE), "./pipeline.config": b"a"},
        {"./some/where/else/pipeline.config": b"a", "./notes.txt": b""},
        {"__MACOSX/m/._ckpt-1.index": b"", "m/pipeline.config": b"a"},
    ],
    ids=["flat", "dot", "deep", "macos"],
)
def test_the_model_is_found_in_the_archive(tmp_path, cache, files):
    folder = zoo.open_model(write(tmp_path, tar_bytes(files)), cache_dir=cache)
    assert (folder / "pipeline.config").read_bytes() == b"a"


def test_links_within_the_archive_become_copies(tmp_path, cache):
    files = {
        "m/pipeline.config": b"config",
        "m/deep/symbolic": special(tarfile.SYMTYPE, "../pipeline.config"),
        "m/hard": special(tarfile.LNKTYPE, "m/pipeline.config"),
        "m/again": special(tarfile.SYMTYPE, "deep/symbolic"),
    }
    folder = zoo.open_model(write(tmp_path, tar_bytes(files)), cache_dir=cache)
    for name in ("deep/symbolic", "hard", "again"):
        assert not (folder / name).is_symlink()
        assert (folder / name).read_bytes() == b"config"
    assert (folder / "pipeline.config").stat().st_nlink == 1


EVIL = {
    "absolute": ({"/tmp/evil": b"x"}, r"member '/tmp/evil' leads out of the archive; refused"),
    "parent": ({"m/../../evil": b"x"}, r"member 'm/../../evil' leads out"),
    "backslash": ({"..\\evil": b"x"}, r"member '..\\\\evil' leads out"),
    "drive": ({"C:evil": b"x"}, r"member 'C:evil' leads out"),
    "unprintable": ({"m/a\nb": b"x"}, r"member 'm/a\\nb' has unprintable letters"),
    "symlink out": (
        {"m/a": special(tarfile.SYMTYPE, "/etc/passwd")},
        r"'m/a' links to '/etc/passwd'",
    ),
    "symlink up": ({"m/a": special(tarfile.SYMTYPE, "../../x")}, r"'m/a' links to '../../x'"),
    "hard link out": ({"m/a": special(tarfile.LNKTYPE, "/etc/passwd")}, r"links to '/etc/passwd'"),
    "through a link": (
        {"m/a": special(tarfile.SYMTYPE, ".."), "m/a/evil": b"x"},
        r"'m/a' links to '..'",
    ),
    "to a folder": (
        {"m/b/": special(tarfile.DIRTYPE), "m/a": special(tarfile.SYMTYPE, "b")},
        r"'m/a' links to 'b'",
    ),
    "to itself": ({"m/a": special(tarfile.SYMTYPE, "a")}, r"'m/a' links to 'a'"),
    "device": ({"m/a": special(tarfile.CHRTYPE)}, r"'m/a' is a device or pipe; refused"),
    "pipe": ({"m/a": special(tarfile.FIFOTYPE)}, r"'m/a' is a device or pipe; refused"),
    "clash": ({"m/a": b"x", "m/a/b": b"x"}, r"not a whole tar archive"),
    "no model": ({"m/readme": b"x"}, r"no model in it; expected a folder with pipeline.config"),
    "nothing": ({}, r"no model in it"),
}


@pytest.mark.parametrize(("files", "message"), EVIL.values(), ids=EVIL)
def test_evil_archives(tmp_path, cache, files, message):
    path = write(
        tmp_path,
        tar_bytes(
            {"m/pipeline.config": b"", **files} if files and "m/readme" not in files else files
        ),
    )
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message) as caught:
        zoo.open_model(path, cache_dir=cache)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert visible(cache / "archives") == []
    assert [item for item in sorted(tmp_path.iterdir()) if item != cache] == before


@pytest.mark.parametrize(("limit", "value"), [("MAX_UNPACKED_BYTES", 10_000), ("MAX_MEMBERS", 2)])
def test_archives_that_are_too_large(tmp_path, cache, monkeypatch, limit, value):
    monkeypatch.setattr(zoo, limit, value)
    with pytest.raises(InputError, match=r"unpacks to more than .* that is no model"):
        zoo.open_model(write(tmp_path, ARCHIVE), cache_dir=cache)
    assert visible(cache / "archives") == []


def test_links_count_as_what_they_become(tmp_path, cache, monkeypatch):
    # 1 + 9 copies of 1,000 bytes are above 9,999.
    monkeypatch.setattr(zoo, "MAX_UNPACKED_BYTES", 9_999)
    links = {f"m/{i}": special(tarfile.SYMTYPE, "checkpoint") for i in range(9)}
    with pytest.raises(InputError, match="unpacks to more than"):
        zoo.open_model(
            write(tmp_path, tar_bytes({"m/checkpoint": b"x" * 1000, **links})), cache_dir=cache
        )


DAMAGE = {
    "cut": ARCHIVE[:20_000],
    "last byte": ARCHIVE[:-1],
    "checksum": ARCHIVE[:-8] + bytes([ARCHIVE[-8] ^ 1]) + ARCHIVE[-7:],
    "empty": b"",
    "text": b"version https://git-lfs.github.com/spec/v1\n" * 30,
    "gzip of text": gzip.compress(b"not a tar" * 200),
    "zip": b"PK\x03\x04" + bytes(600),
}


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
def test_damaged_archives(tmp_path, cache, data):
    path = write(tmp_path, data)
    with pytest.raises(
        InputError, match=rf"^{path}: not a whole tar archive .*; expected .tar.gz"
    ) as caught:
        zoo.open_model(path, cache_dir=cache)
    assert "\n" not in str(caught.value)
    assert visible(cache / "archives") == []


# --- What a person means ---


def test_local_things_are_themselves(tmp_path, cache):
    folder = tmp_path / "m"
    (folder / "checkpoint").mkdir(parents=True)
    prefix = folder / "checkpoint" / "ckpt-0"
    for name in ("ckpt-0.index", "ckpt-0.data-00000-of-00001", "checkpoint"):
        (folder / "checkpoint" / name).write_bytes(b"")
    assert zoo.open_model(folder, cache_dir=cache) == folder
    assert zoo.open_model(folder / "checkpoint" / "checkpoint") == folder / "checkpoint"
    for ending in ("", ".index", ".data-00000-of-00001"):
        assert zoo.open_model(f"{prefix}{ending}", cache_dir=cache) == prefix
    assert not cache.exists()


def test_a_local_folder_goes_before_a_name(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(SHORT).mkdir()
    assert zoo.open_model(SHORT, cache_dir=cache) == Path(SHORT)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", r"^an empty name: nothing there"),
        ("no/such/model", r"^no/such/model: nothing there, and not a model of the zoo"),
        ("ssd_mobilenet_v2_fpn_lite_320x320", r"did you mean ssd_mobilenet_v2_fpnlite_320x320\?"),
        ("notes.txt", r"^notes.txt: not an archive or a checkpoint; expected a folder"),
        ("ckpt-1.data-00000-of-00001", r"its .index file is missing"),
        (".index", r"^.index: nothing there"),
        ("a\0b", r"nothing there"),
    ],
)
def test_nothing_like_it(tmp_path, monkeypatch, value, message):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("")
    Path("ckpt-1.data-00000-of-00001").write_text("")
    with pytest.raises(InputError, match=message):
        zoo.open_model(value)


# --- Lines ---


def test_list(server, cache, capsys, monkeypatch):
    zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    (cache / "ssd_mobilenet_v2_320x320_coco17_tpu-8.tar.gz.part").write_bytes(bytes(2_500_000))
    monkeypatch.setenv("ZOO_MIRROR", "https://me:secret@example.org/zoo")
    zoo.list_models(cache)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "ssd_mobilenet_v2_320x320_coco17_tpu-8          320x320  COCO AP 20.2  "
        "2.5 MB of it are here; fetch goes on from there"
    )
    assert lines[1].endswith("640x640  COCO AP 29.1  not cached")
    assert lines[2].endswith(f"COCO AP 22.2  cached (0.0 MB): {cache / NAME}")
    assert lines[4:] == [
        f"cache:  {cache} (ZOO_CACHE)",
        "source: https://***@example.org/zoo (ZOO_MIRROR)",
    ]


def test_verify(server, cache, capsys):
    zoo.fetch(NAME, cache_dir=cache, mirror=server.url)
    capsys.readouterr()
    zoo.verify(cache_dir=cache)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ssd_mobilenet_v2_320x320_coco17_tpu-8: not cached"
    assert lines[2] == f"{NAME}: ok, sha256 {hashlib.sha256(ARCHIVE).hexdigest()}"
    with pytest.raises(
        InputError, match=r"not in .*; `zoo fetch ssd_mobilenet_v1_fpn_640x640` gets"
    ):
        zoo.verify("ssd_mobilenet_v1_fpn_640x640", cache_dir=cache)
