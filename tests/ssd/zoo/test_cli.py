"""The lines of `zoo list` and `zoo verify`."""

from __future__ import annotations

import hashlib

import pytest

from ssd import zoo
from ssd.errors import InputError


def test_list(server, cache, model, capsys, monkeypatch):
    zoo.fetch(model.name)
    (cache / "ssd_mobilenet_v2_320x320_coco17_tpu-8.tar.gz.part").write_bytes(bytes(2_500_000))
    monkeypatch.setenv("ZOO_MIRROR", "https://me:secret@example.org/zoo")
    zoo.list_models()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "ssd_mobilenet_v2_320x320_coco17_tpu-8          320x320  COCO AP 20.2  "
        "2.5 MB of it are here; fetch goes on from there"
    )
    assert lines[1].endswith("640x640  COCO AP 29.1  not cached")
    assert lines[2].endswith(f"COCO AP 22.2  cached (0.0 MB): {cache / model.name}")
    assert lines[4:] == [
        f"cache:  {cache} (ZOO_CACHE)",
        "source: https://***@example.org/zoo (ZOO_MIRROR)",
    ]


def test_verify(server, cache, model, capsys):
    zoo.fetch(model.name)
    zoo.verify()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ssd_mobilenet_v2_320x320_coco17_tpu-8: not cached"
    assert lines[2] == f"{model.name}: ok, sha256 {hashlib.sha256(model.archive).hexdigest()}"
    (cache / model.name / "pipeline.config").write_text("changed")
    with pytest.raises(InputError, match=r"pipeline.config: SHA-256 is \w+, expected"):
        zoo.verify()
    assert f"{model.name}: DAMAGED" in capsys.readouterr().out
    (cache / f"{model.name}.json").unlink()
    zoo.verify(model.short_name)
    assert capsys.readouterr().out == f"{model.name}: ok, no digest was recorded\n"


def test_verify_of_a_model_that_is_not_there():
    name = "ssd_mobilenet_v1_fpn_640x640"
    with pytest.raises(InputError, match=rf"{name}\S*: not there; `zoo fetch {name}` gets it"):
        zoo.verify(name)
