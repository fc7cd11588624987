"""One model in the cache: filled once, checked every time, whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading

import pytest

from ssd import zoo
from ssd.errors import InputError
from ssd.zoo import archive, records


def test_fetch_downloads_once(server, cache, model, visible):
    folder = zoo.fetch(model.short_name)
    assert folder == cache / model.name
    assert model.read(folder) == model.files
    assert visible() == [model.name, f"{model.name}.json", f"{model.name}.tar.gz"]
    assert json.loads((cache / f"{model.name}.json").read_text()) == {
        "sha256": hashlib.sha256(model.archive).hexdigest(),
        "origin": f"{server.url}/{model.path}",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in model.files.items()},
    }
    assert zoo.fetch(model.name) == folder
    assert len(server.asked) == 1


def test_two_at_the_same_time_download_once(server, cache, model):
    folders = []
    threads = [
        threading.Thread(target=lambda: folders.append(zoo.fetch(model.name))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [cache / model.name] * 4
    assert len(server.asked) == 1


def test_a_filled_cache_may_be_write_protected(server, cache, model, monkeypatch):
    zoo.fetch(model.name)
    # No lock is taken: its file could not be made.
    monkeypatch.setattr(zoo.cache, "_locked", None)
    assert zoo.fetch(model.name) == cache / model.name


# --- Digests ---


def test_a_download_that_differs_from_the_record_is_refused(server, cache, model, pack, visible):
    zoo.fetch(model.name)
    shutil.rmtree(cache / model.name)
    (cache / f"{model.name}.tar.gz").unlink()
    other = pack({"m/pipeline.config": b"!"})
    server.files[f"/{model.path}"] = other
    first, second = (hashlib.sha256(data).hexdigest() for data in (model.archive, other))
    with pytest.raises(InputError, match=f"SHA-256 is {second}, expected {first}") as caught:
        zoo.fetch(model.name)
    assert not isinstance(caught.value, zoo.ZooUnavailable)
    assert visible() == [f"{model.name}.json"]
    server.files[f"/{model.path}"] = model.archive
    assert model.read(zoo.fetch(model.name)) == model.files


@pytest.mark.parametrize("damage", [".tar.gz", "/pipeline.config", "/checkpoint/ckpt-0.index"])
def test_a_changed_file_is_refused(server, cache, model, damage, capsys):
    zoo.fetch(model.name)
    file = cache / f"{model.name}{damage}"
    file.write_bytes(b"changed")
    message = rf"^{file}: SHA-256 is \w+, expected \w+ as recorded; delete {cache}/{model.name}"
    with pytest.raises(InputError, match=message) as caught:
        zoo.fetch(model.name)
    assert not isinstance(caught.value, zoo.ZooUnavailable)


def test_a_lost_file_is_named_and_mended_as_the_message_says(server, cache, model):
    folder = zoo.fetch(model.name)
    (folder / "pipeline.config").unlink()
    with pytest.raises(InputError, match=rf"pipeline.config: missing, .*delete {folder} and ask"):
        zoo.fetch(model.name)
    shutil.rmtree(folder)
    server.files = {}  # The archive is still here, and the record says where it came from.
    record = (cache / f"{model.name}.json").read_text()
    assert model.read(zoo.fetch(model.name)) == model.files
    assert (cache / f"{model.name}.json").read_text() == record


def test_an_archive_laid_into_the_cache_by_hand(cache, model):
    cache.mkdir()
    (cache / f"{model.name}.tar.gz").write_bytes(model.archive)
    assert model.read(zoo.fetch(model.name)) == model.files
    assert (cache / f"{model.name}.json").is_file()


def test_a_bad_archive_laid_into_the_cache_is_not_deleted(cache, model):
    cache.mkdir()
    (cache / f"{model.name}.tar.gz").write_bytes(b"mine")
    with pytest.raises(InputError, match=rf"{model.name}.tar.gz: not a whole tar archive"):
        zoo.fetch(model.name)
    assert (cache / f"{model.name}.tar.gz").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "give",
    [
        lambda whole: b"<html>sign in</html>",
        lambda whole: b"",
        lambda whole: whole[:-4000],
        lambda whole: whole[:9000] + bytes([whole[9000] ^ 4]) + whole[9001:],
    ],
    ids=["portal", "empty", "short", "a bit that fell over"],
)
def test_a_server_that_gives_something_else(server, model, visible, give):
    server.files[f"/{model.path}"] = give(model.archive)
    with pytest.raises(
        zoo.ZooUnavailable, match=rf"^{model.name}: http.* gave no such archive: .*whole tar"
    ):
        zoo.fetch(model.name)
    # Neither a digest nor a part of it is kept.
    assert visible() == []


# --- Disk ---


def test_a_full_disk_is_one_line_and_nothing_is_lost(server, cache, model, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(archive.shutil, "copyfileobj", refuse)
        with pytest.raises(InputError, match=rf"^{cache}: No space left on device; .*ZOO_CACHE"):
            zoo.fetch(model.name)
    assert zoo.statuses()[2]["state"] == "partial"
    assert model.read(zoo.fetch(model.name)) == model.files
    assert len(server.asked) == 1


def test_a_cache_that_cannot_be_made(server, tmp_path, model, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match=r"file/cache: Not a directory; .*ZOO_CACHE names another"):
        zoo.fetch(model.name)


def test_an_interrupted_unpack_leaves_nothing_under_the_final_name(
    server, model, monkeypatch, visible
):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_model_folder", interrupt)
        with pytest.raises(KeyboardInterrupt):
            zoo.fetch(model.name)
    assert visible() == [f"{model.name}.tar.gz.part", f"{model.name}.tar.gz.part.json"]
    assert model.read(zoo.fetch(model.name)) == model.files
    assert len(server.asked) == 1


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 1'])
def test_a_record_that_is_not_whole_counts_as_none(tmp_path, text):
    (tmp_path / "record.json").write_text(text)
    assert records.read(tmp_path / "record.json") == {}
