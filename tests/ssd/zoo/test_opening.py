"""What a person may say instead of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ssd import zoo
from ssd.errors import InputError


def test_local_things_are_themselves(tmp_path, cache):
    folder = tmp_path / "m" / "checkpoint"
    folder.mkdir(parents=True)
    prefix = folder / "ckpt-0"
    for ending in (".index", ".data-00000-of-00001"):
        Path(f"{prefix}{ending}").touch()
    assert zoo.open_model(tmp_path / "m") == tmp_path / "m"
    for ending in ("", ".index", ".data-00000-of-00001"):
        assert zoo.open_model(f"{prefix}{ending}") == prefix
    assert not cache.exists()


def test_a_name_is_fetched_unless_a_folder_has_it(server, tmp_path, cache, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert zoo.open_model(model.short_name) == cache / model.name
    Path(model.short_name).mkdir()
    assert zoo.open_model(model.short_name) == Path(model.short_name)


@pytest.mark.parametrize(
    ("name", "mode"), [("m.tar.gz", "w:gz"), ("m.tgz", "w:gz"), ("m.tar", "w")]
)
def test_a_local_archive_is_unpacked_once_by_content(tmp_path, cache, model, pack, name, mode):
    data = pack({f"m/{name}": content for name, content in model.files.items()}, mode)
    (tmp_path / name).write_bytes(data)
    folder = zoo.open_model(tmp_path / name)
    assert folder == cache / "archives" / hashlib.sha256(data).hexdigest()
    assert model.read(folder) == model.files
    stamp = folder.stat().st_mtime_ns
    (tmp_path / f"again_{name}").write_bytes(data)
    assert zoo.open_model(str(tmp_path / f"again_{name}")) == folder
    assert folder.stat().st_mtime_ns == stamp
    (folder / "pipeline.config").write_text("changed")
    with pytest.raises(InputError, match=r"pipeline.config: SHA-256 is"):
        zoo.open_model(tmp_path / name)
    assert (tmp_path / name).read_bytes() == data


def test_a_damaged_local_archive_leaves_nothing(tmp_path, cache, model):
    (tmp_path / "m.tar.gz").write_bytes(model.archive[:-1])
    with pytest.raises(InputError, match=rf"^{tmp_path}/m.tar.gz: not a whole tar archive"):
        zoo.open_model(tmp_path / "m.tar.gz")
    assert [path.suffix for path in (cache / "archives").iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", r"^an empty name: nothing there"),
        ("no/such/model", r"^no/such/model: nothing there, and not a model of the zoo; expected"),
        ("ssd_mobilenet_v2_fpn_lite_320x320", r"did you mean ssd_mobilenet_v2_fpnlite_320x320\?"),
        ("notes.txt", r"^notes.txt: neither an archive nor a checkpoint with its .index file; exp"),
        ("ckpt-1.data-00000-of-00001", r"nor a checkpoint with its .index file"),
        ("x" * 300, r"nothing there"),
        ("a\0b", r"nothing there"),
    ],
    ids=["empty", "path", "near", "text", "no index", "long", "zero byte"],
)
def test_nothing_like_it(tmp_path, monkeypatch, value, message):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").touch()
    Path("ckpt-1.data-00000-of-00001").touch()
    with pytest.raises(InputError, match=message):
        zoo.open_model(value)
