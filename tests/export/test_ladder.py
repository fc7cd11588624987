from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from export import ladder
from export.quantization import calibration, diagnosis
from export.tflite import TfliteConverter
from ssd.errors import InputError


@pytest.fixture
def converter(small_detector, photos) -> TfliteConverter:
    return TfliteConverter(
        small_detector, lambda: iter((p[np.newaxis] / 127.5 - 1).astype(np.float32) for p in photos)
    )


def images(available: int) -> SimpleNamespace:
    """A calibration set, as far as the ladder looks at it."""
    return SimpleNamespace(available=available, records=("train-*",), seed=5)


def test_cheap_rungs_come_first_and_all_make_other_files(converter, monkeypatch):
    monkeypatch.setattr(ladder, "FINE_TUNE_STEPS", 2)
    monkeypatch.setattr(ladder, "_FLOAT_LAYERS", (1, 2))
    errors = ladder.diagnose(converter)
    rungs = list(ladder.rungs(converter, images(40), None, errors))
    assert [rung.name for rung in rungs] == [
        "ranges of 100 % of the images",
        "ranges of 99 % of the images",
        "ranges of 90 % of the images",
        "the 1 costliest layers in float32",
        "the 2 costliest layers in float32",
        "quantization-aware fine-tuning, 2 steps",
    ]
    files = [converter.nms("int8").data, *(rung.converter().nms("int8").data for rung in rungs)]
    assert len(set(files)) == 7
    floats = {rung.converter().nms("none").data for rung in rungs}
    assert floats == {converter.nms("none").data}  # what the others are measured against


def test_more_images_where_there_are_more(converter, monkeypatch):
    chosen = []

    def choose(records, number, **flags):
        chosen.append((records, number, flags["seed"]))
        return SimpleNamespace(index=range(61))

    monkeypatch.setattr(calibration, "choose", choose)
    monkeypatch.setattr(calibration, "batches", lambda *_: converter.images)
    exported = SimpleNamespace(detector=None, label_map=None)
    first = next(ladder.rungs(converter, images(61), exported, []))
    assert first.name == "61 calibration images instead of 40"
    assert chosen == [(("train-*",), 1000, 5)]
    assert first.converter().nms("int8").data == converter.nms("int8").data  # the same images here


def test_the_costliest_layers_are_shown(converter, capsys):
    errors = ladder.diagnose(converter)
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == [
        "layer",
        "kind",
        "SQNR",
        "own",
        "SQNR",
        "share",
        "of",
        "the",
        "noise",
    ]
    assert len(said) == 1 + len(errors)
    assert [error.share for error in errors] == sorted((e.share for e in errors), reverse=True)


def test_without_a_diagnosis_no_layers_are_left_in_float(converter, monkeypatch, capsys):
    def unknown(*_, **__):
        raise InputError("the network has a HARD_SWISH")

    monkeypatch.setattr(diagnosis, "layer_errors", unknown)
    errors = ladder.diagnose(converter)
    assert errors == []
    assert capsys.readouterr().out == "no diagnosis: the network has a HARD_SWISH\n"
    names = [rung.name for rung in ladder.rungs(converter, images(40), None, errors)]
    assert not [name for name in names if "layers" in name]
