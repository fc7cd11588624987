"""Servers, mirrors and networks as they are: cut, changed, deaf, absent."""

from __future__ import annotations

import socket
import time

import pytest

from ssd import zoo
from ssd.zoo import catalogue, download


@pytest.fixture
def part(cache, model):
    cache.mkdir()
    return cache / f"{model.name}.tar.gz.part"


@pytest.fixture
def obtain(part, model):
    return lambda: download.obtain(catalogue.find(model.name), part)


def test_the_archive_and_its_address(server, part, obtain, model):
    assert obtain() == f"{server.url}/{model.path}"
    assert part.read_bytes() == model.archive
    # All of it is here: nobody is asked again.
    obtain()
    assert server.asked == [None]
    download.forget(part)
    assert list(part.parent.iterdir()) == []


def test_a_mirror_without_the_zoos_folders(server, part, obtain, model, monkeypatch):
    server.files = {f"/models/{model.name}.tar.gz": model.archive}
    monkeypatch.setenv("ZOO_MIRROR", f"{server.url}/models/")
    assert obtain() == f"{server.url}/models/{model.name}.tar.gz"
    assert part.read_bytes() == model.archive


@pytest.mark.parametrize("as_url", [False, True], ids=["folder", "file url"])
def test_a_folder_as_mirror(tmp_path, part, obtain, model, monkeypatch, as_url):
    file = tmp_path / "a mirror" / f"{model.name}.tar.gz"
    file.parent.mkdir()
    file.write_bytes(model.archive)
    monkeypatch.setenv("ZOO_MIRROR", file.parent.as_uri() if as_url else str(file.parent))
    assert obtain() == file.as_uri()
    assert part.read_bytes() == file.read_bytes() == model.archive


def test_plain_http_where_nobody_speaks_https(server, part, obtain, model, monkeypatch):
    monkeypatch.delenv("ZOO_MIRROR")
    secure = server.url.replace("http:", "https:")
    monkeypatch.setattr(download, "ZOO_URLS", (secure, server.url))
    assert obtain() == f"{server.url}/{model.path}"
    assert part.read_bytes() == model.archive


def test_the_original_server_is_not_asked_when_a_mirror_is_set(server, obtain, monkeypatch):
    monkeypatch.setattr(download, "ZOO_URLS", (server.url,))
    monkeypatch.setenv("ZOO_MIRROR", "http://127.0.0.1:9/elsewhere")
    with pytest.raises(zoo.ZooUnavailable, match="elsewhere"):
        obtain()
    assert server.asked == []


# --- Cuts ---


def test_a_cut_connection_is_continued_at_once(server, part, obtain, model):
    busy = -1
    server.cuts = [1000, 0, busy, 4000]
    obtain()
    assert part.read_bytes() == model.archive
    assert server.asked == [None, *["bytes=1000-"] * 3, "bytes=5000-"]


def test_a_later_call_goes_on_where_the_first_gave_up(server, part, obtain, model):
    server.cuts = [1000, 0, 0, 0]
    with pytest.raises(zoo.ZooUnavailable, match=r"cut off at 1000 bytes \(the same command"):
        obtain()
    assert part.read_bytes() == model.archive[:1000]
    server.asked.clear()
    obtain()
    assert part.read_bytes() == model.archive
    assert server.asked == ["bytes=1000-"]


@pytest.mark.parametrize("change", ["no ranges", "other file", "no validator", "other url"])
def test_a_part_that_does_not_fit_is_started_again(
    server, part, obtain, model, monkeypatch, change
):
    server.files[f"/{model.path}"] = b"old" * 20_000
    server.etag = None if change == "no validator" else server.etag
    server.cuts = [9000, 0, 0, 0]
    with pytest.raises(zoo.ZooUnavailable):
        obtain()
    server.files = {f"/{model.path}": model.archive}
    if change == "no ranges":
        server.has_ranges = False
    elif change == "other file":
        server.etag = '"two"'
    elif change == "other url":
        server.files = {f"/models/{model.path}": model.archive}
        monkeypatch.setenv("ZOO_MIRROR", f"{server.url}/models")
    obtain()
    assert part.read_bytes() == model.archive


def test_a_server_without_ranges_that_always_cuts_ends(server, obtain):
    server.has_ranges = False
    server.cuts = [2000] * 50
    with pytest.raises(zoo.ZooUnavailable, match="cut off at 2000 bytes"):
        obtain()
    assert len(server.asked) == 1 + download.FRUITLESS_TRIES


def test_a_server_that_tells_no_length(server, part, obtain, model):
    server.has_length = False
    obtain()
    assert part.read_bytes() == model.archive


# --- Nobody there ---


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("http://127.0.0.1:9/zoo", r"http://127.0.0.1:9/zoo/tf2/\S+: Connection refused; "),
        ("https://zoo.invalid", r"https://zoo.invalid/\S+: .*[Nn]ame"),
        ("http://me:secret@127.0.0.1", r"http://\*\*\*@127.0.0.1/\S+: nonnumeric port: '\*\*\*@"),
        ("s3://bucket", r"s3://bucket/\S+: unknown url type: s3"),
        ("/no/such", r"file:///no/such/tf2/\S+: No such file .*/such/ssd_\S+: No such file"),
    ],
    ids=["refused", "no such name", "password", "scheme", "no folder"],
)
def test_a_mirror_that_gives_nothing(part, obtain, model, monkeypatch, mirror, message):
    monkeypatch.setenv("ZOO_MIRROR", mirror)
    start = rf"^{model.name}: not in the cache \({part.parent}\), and "
    with pytest.raises(zoo.ZooUnavailable, match=start + message) as caught:
        obtain()
    assert str(caught.value).endswith("Give a local folder or archive, or set ZOO_MIRROR")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_not_found(server, obtain, model):
    server.files = {}
    with pytest.raises(zoo.ZooUnavailable, match=rf"{model.path}: .*404.*{model.name}.*404"):
        obtain()


def test_a_name_that_does_not_resolve_is_looked_up_once(obtain, monkeypatch):
    monkeypatch.setattr(download, "ZOO_URLS", ("https://zoo.invalid", "http://zoo.invalid"))
    with pytest.raises(zoo.ZooUnavailable, match=r"https://zoo.invalid/") as caught:
        obtain()
    assert "http://" not in str(caught.value)


def test_a_dead_name_server_is_given_up(obtain, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1) or [])
    start = time.monotonic()
    with pytest.raises(zoo.ZooUnavailable, match="no answer in time"):
        obtain()
    assert time.monotonic() - start < 0.9


def test_a_server_that_never_answers(obtain, monkeypatch):
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("ZOO_MIRROR", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(zoo.ZooUnavailable, match="timed out"):
            obtain()


# --- Lines ---


def test_progress_on_a_terminal(server, obtain, model, monkeypatch, capsys):
    obtain()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(download.sys.stderr, "isatty", lambda: True)
    server.etag = '"two"'
    server.files[f"/{model.path}"] = bytes(1_500_000)
    download.forget(zoo.cache_folder() / f"{model.name}.tar.gz.part")
    obtain()
    lines = capsys.readouterr().err
    assert lines.startswith(f"{model.name}: 0.0 of 1.5 MB\r")
    assert lines.endswith(f"{model.name}: 1.5 of 1.5 MB\n")
