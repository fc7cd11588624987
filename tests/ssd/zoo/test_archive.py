"""What is unpacked, where the model is found, and what is refused."""

from __future__ import annotations

import gzip
import tarfile

import pytest

from ssd.errors import InputError
from ssd.zoo import archive


def special(kind, linkname=""):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, linkname
    return info


@pytest.fixture
def write(tmp_path):
    """bytes -> path of a file with them."""

    def write(data):
        (tmp_path / "model.tar.gz").write_bytes(data)
        return tmp_path / "model.tar.gz"

    return write


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_files_come_out_as_they_went_in(tmp_path, pack, model, write, mode):
    path = write(pack({f"m/{name}": data for name, data in model.files.items()}, mode))
    with archive.unpacked(path, tmp_path / "work") as folder:
        assert folder == tmp_path / "work/m"
        assert model.read(folder) == model.files
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"pipeline.config": b"a"}, "."),
        ({"./": special(tarfile.DIRTYPE), "./pipeline.config": b"a"}, "."),
        ({"some/where/else/pipeline.config": b"a", "notes.txt": b""}, "some/where/else"),
        ({"m/saved_model/saved_model.pb": b"a"}, "m"),
        ({"m/ckpt-3.index": b"a", "m/old/pipeline.config": b"a"}, "m"),
        ({**{f"{i}/x/checkpoint": b"a" for i in range(9)}, "b/checkpoint": b"a"}, "b"),
    ],
    ids=["flat", "dot", "deep", "saved model", "checkpoint", "two"],
)
def test_the_model_is_found_in_the_archive(tmp_path, pack, write, files, place):
    with archive.unpacked(write(pack(files)), tmp_path / "work") as folder:
        assert folder == tmp_path / "work" / place


REFUSED = {
    "absolute": ({"/tmp/evil": b"x"}, r"member '/tmp/evil' leads out of its folder; refused"),
    "parent": ({"m/../../evil": b"x"}, r"member 'm/../../evil' leads out"),
    "ends in parent": ({"m/..": b"x"}, r"member 'm/..' leads out"),
    "backslash": ({"..\\evil": b"x"}, r"member '..\\\\evil' leads out"),
    "drive": ({"C:evil": b"x"}, r"member 'C:evil' leads out"),
    "unprintable": ({"m/a\nb": b"x"}, r"member 'm/a\\nb' leads out"),
    "symbolic link": (
        {"m/a": special(tarfile.SYMTYPE, "/etc"), "m/a/evil": b"x"},
        r"'m/a' is a link or device; refused, pack it with `tar --dereference",
    ),
    "hard link": ({"m/a": special(tarfile.LNKTYPE, "/etc/passwd")}, r"'m/a' is a link or device"),
    "device": ({"m/a": special(tarfile.CHRTYPE)}, r"'m/a' is a link or device"),
    "pipe": ({"m/a": special(tarfile.FIFOTYPE)}, r"'m/a' is a link or device"),
    "no model": ({"m/readme": b"x"}, r"no model in it; expected a folder with pipeline.config"),
    "nothing": ({}, r"no model in it"),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_archives(tmp_path, pack, write, files, message):
    refuse(tmp_path, write(pack(files)), message)


def refuse(tmp_path, path, message):
    with (
        pytest.raises(archive.BadArchive, match=rf"^{path}: .*{message}") as caught,
        archive.unpacked(path, tmp_path / "work"),
    ):
        pass
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("limit", "value"), [("MAX_UNPACKED_BYTES", 10_000), ("MAX_MEMBERS", 2)])
def test_archives_that_are_too_large(tmp_path, model, write, monkeypatch, limit, value):
    monkeypatch.setattr(archive, limit, value)
    refuse(tmp_path, write(model.archive), r"unpacks to more than .* that is no model")


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:20_000],
        lambda whole: whole[:-1],
        # The first byte of gzip's checksum, which stands 8 bytes before the end.
        lambda whole: whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
        lambda _: b"",
        lambda _: b"version https://git-lfs.github.com/spec/v1\n" * 30,
        lambda _: gzip.compress(b"not a tar" * 200),
        lambda _: b"PK\x03\x04" + bytes(600),
    ],
    ids=["cut", "last byte", "checksum", "empty", "text", "gzip of text", "zip"],
)
def test_damaged_archives(tmp_path, model, write, damage):
    refuse(tmp_path, write(damage(model.archive)), r"not a whole tar archive .*expected .tar.gz")
