"""An Apache Beam pipeline writes the same bytes as this machine's processes."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools import beam_pipeline
from tfrecord_tools.beam_pipeline import SplitJob
from tfrecord_tools.convert import convert

MULTI_PROCESS = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


def run(data_set: Path, output: str, **choices) -> dict[str, bytes]:
    convert(
        "voc",
        images=data_set / "images",
        annotations=data_set / "annotations",
        output=data_set / output,
        say=lambda line: None,
        **choices,
    )
    return {p.name: p.read_bytes() for p in (data_set / output).iterdir()}


def test_elements_hold_the_images_of_one_shard_in_order():
    job = SplitJob("val", list(range(150)), 2)
    elements = list(beam_pipeline._elements(job))
    assert [(e.shard, e.first, len(e.images)) for e in elements] == [
        (0, 0, 64), (0, 64, 11), (1, 75, 64), (1, 139, 11),
    ]  # fmt: skip
    assert [*itertools.chain(*(e.images for e in elements))] == list(range(150))


@pytest.mark.parametrize("shards", [1, 3])
def test_with_the_local_multi_process_runner(data_set: Path, shards: int):
    pytest.importorskip("apache_beam", reason="needs requirements/beam.txt")
    (data_set / "images" / "p2.jpg").write_bytes(b"no picture")
    here = run(data_set, "here", shards=shards, val_fraction=0.4)
    there = run(
        data_set,
        "there",
        shards=shards,
        val_fraction=0.4,
        runner="beam",
        pipeline_options=MULTI_PROCESS,
    )
    assert there == here
    assert any(name.startswith("train") for name in there)


def test_a_flag_that_beam_refuses(data_set: Path):
    pytest.importorskip("apache_beam", reason="needs requirements/beam.txt")
    message = r"^Apache Beam refuses --direct_running_mode=x: argument --direct_running_mode: inv"
    with pytest.raises(InputError, match=message):
        run(data_set, "out", runner="beam", pipeline_options=["--direct_running_mode=x"])
    assert not (data_set / "out").exists()


def test_without_beam_it_says_what_to_install(data_set: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(InputError, match=r"^--runner beam needs Apache Beam: pip install -r req"):
        run(data_set, "out", runner="beam")
    assert not (data_set / "out").exists()


def test_flags_for_beam_alone(data_set: Path):
    with pytest.raises(
        InputError, match=r"^--num_workers=2: what stands behind -- is for --runner"
    ):
        run(data_set, "out", pipeline_options=["--num_workers=2"])


def test_the_data_tools_need_what_the_kit_needs():
    folder = Path(__file__).resolve().parents[2]
    lines = (folder / "requirements" / "data.txt").read_text().splitlines()
    wanted = {line for line in lines if not line.startswith("#")}
    assert wanted <= set((folder / "requirements.txt").read_text().splitlines())
