from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from google.protobuf import text_format

from export import ladder, scored_files, source, tflite_files, verify
from export.options import TfliteOptions
from export.source import ExportSource
from export.tflite import TfliteConverter, TfliteModel
from export.verify import Score
from ssd.config.messages import TrainEvalPipelineConfig
from ssd.errors import GateError, InputError
from ssd.predictor import CheckpointPredictor
from ssd.tflite_predictor import TflitePredictor

FLOAT, INT8 = "model_float32.tflite", "model_int8.tflite"
LABELS = ("labels.txt", "labels_with_background.txt")


@pytest.fixture
def exported(small_detector, tiny_label_map, tiny_data, monkeypatch) -> ExportSource:
    """The small detector with records, in the place of a restored run."""
    config = text_format.Parse(
        f"""
        model {{ ssd {{ num_classes: 3 feature_extractor {{ type: "two convolutions" }} }} }}
        train_input_reader {{ tf_record_input_reader {{ input_path: "{tiny_data}/train-*" }} }}
        eval_input_reader {{ tf_record_input_reader {{ input_path: "{tiny_data}/val-*" }} }}
        """,
        TrainEvalPipelineConfig(),
    )
    predictor = CheckpointPredictor(small_detector, tiny_label_map, "runs/bolts/best/ckpt-8")
    made = ExportSource("bolts", predictor, tiny_label_map, config)
    monkeypatch.setattr(source, "load", lambda run, label_map: made)
    return made


@pytest.fixture(scope="module")
def converted() -> dict[tuple, TfliteModel]:
    """Files that were converted already, by what was asked for."""
    return {}


@pytest.fixture
def quick(exported, converted, monkeypatch) -> list[tuple[str, ...]]:
    """Converts each kind of file once and scores it at 0.5, int8 at 0.48; returns the records."""
    nms, scored_on = TfliteConverter.nms, []

    def convert_once(converter, quantize, **options):
        key = (quantize, *options.values())
        if key not in converted:
            converted[key] = nms(converter, quantize, **options)
        return converted[key]

    def score(predictor, records, label_map):
        scored_on.append(records)
        ap = 0.48 if predictor.name.endswith(INT8) else 0.5
        return Score(ap, 0.7) if records else Score()

    monkeypatch.setattr(TfliteConverter, "nms", convert_once)
    monkeypatch.setattr(verify, "score", score)
    return scored_on


def export(folder: Path, **flags: object) -> None:
    usual = {"max_map_drop": 100.0, "force_calibration": True}  # the tiny data has 4 images
    tflite_files.run(TfliteOptions(output=str(folder), **{**usual, **flags}))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("exported")
def test_everything_is_written_and_scored(tmp_path, tiny_data, capsys):
    folder = tmp_path / "exports/bolts"
    export(folder)
    assert names_in(folder) == ["export_report.json", *LABELS, FLOAT, INT8]
    assert (folder / "labels.txt").read_text() == "bolt\nnut\nwasher\n"
    background = (folder / "labels_with_background.txt").read_text()
    assert background == "???\nbolt\nnut\nwasher\n"
    report = json.loads((folder / "export_report.json").read_text())
    assert sorted(report["files"]) == [FLOAT, INT8]
    for name, quantize in ((FLOAT, "none"), (INT8, "int8")):
        file = report["files"][name]
        assert file["bytes"] == (folder / name).stat().st_size
        assert (file["form"], file["quantize"]) == ("nms", quantize)
        assert 0 <= file["AP"] <= file["AP50"] <= 1
        assert file["drop"] == pytest.approx(
            (report["files"][FLOAT]["AP"] - file["AP"]) * 100, abs=1e-9
        )
        assert file["drop_from_checkpoint"] == pytest.approx(
            (report["checkpoint"]["AP"] - file["AP"]) * 100, abs=1e-9
        )
    assert report["checkpoint"]["path"] == "runs/bolts/best/ckpt-8"
    assert report["validation"] == {"records": [f"{tiny_data}/val-*"], "not_scored": None}
    assert report["calibration"] == {
        "records": [f"{tiny_data}/train-*"],
        "images": 4,
        "available": 4,
        "seed": 0,
    }
    assert report["detection_op"]["max_detections"] == 25
    said = capsys.readouterr()
    assert "calibrated with 4 of 4 images" in said.out
    assert said.out.splitlines()[-1].endswith(
        f"Try it: ./run.sh detect --model {folder / INT8} photo.jpg"
    )


@pytest.mark.usefixtures("quick")
def test_files_carry_labels_and_names(tmp_path):
    export(tmp_path, quantize="all", max_detections=7)
    assert names_in(tmp_path) == [
        "export_report.json",
        *LABELS,
        "model_dynamic.tflite",
        "model_float16.tflite",
        FLOAT,
        INT8,
    ]
    for path in tmp_path.glob("*.tflite"):
        predictor = TflitePredictor(path)
        assert predictor.label_map.names == ("bolt", "nut", "washer")
        assert predictor.image_size == (64, 96)
        outputs = Interpreter(str(path)).get_output_details()
        assert [o["name"] for o in outputs] == ["boxes", "classes", "scores", "count"]
        assert outputs[0]["shape"].tolist() == [1, 7, 4]
        dtype = Interpreter(str(path)).get_input_details()[0]["dtype"]
        assert dtype == (np.uint8 if path.name == INT8 else np.float32)


@pytest.fixture
def rungs(monkeypatch) -> list[str]:
    """Two rungs of a ladder that change nothing; their names as they are tried."""
    tried: list[str] = []

    def climb(converter, images, exported, errors):
        def impossible():
            raise InputError("the network has a strange operator")

        yield ladder.Rung("what cannot be", impossible)
        for name in ("the first", "the second"):
            tried.append(name)
            yield ladder.Rung(name, lambda: converter)

    monkeypatch.setattr(ladder, "rungs", climb)
    monkeypatch.setattr(ladder, "diagnose", lambda converter: [])
    return tried


@pytest.mark.usefixtures("quick")
def test_gate_leaves_nothing(tmp_path, capsys, rungs):
    folder = tmp_path / "exports/bolts"
    with pytest.raises(
        GateError, match=r"^model_int8\.tflite: AP 0\.4800 is 2\.00 points .*; nothing was written$"
    ):
        export(folder, max_map_drop=1.9)
    assert not folder.exists()
    said = capsys.readouterr().out
    assert "drop from checkpoint" in said
    assert "  not possible: the network has a strange operator\n" in said
    assert rungs == ["the first", "the second"]


def test_the_first_rung_that_is_good_enough_is_written(quick, rungs, tmp_path, monkeypatch):
    """The first rung brings 0.485, the second 0.495; a point may be lost."""
    aps = iter([0.48, 0.485, 0.495])

    def score(predictor, records, label_map):
        return Score(next(aps) if predictor.name.endswith(INT8) else 0.5, 0.7)

    monkeypatch.setattr(verify, "score", score)
    export(tmp_path, max_map_drop=1.0)
    assert rungs == ["the first", "the second"]
    report = json.loads((tmp_path / "export_report.json").read_text())
    assert report["files"][INT8]["AP"] == 0.495
    assert [(tried["name"], tried["ap"]) for tried in report["ladder"]] == [
        ("the first", {INT8: 0.485}),
        ("the second", {INT8: 0.495}),
    ]
    assert report["ladder"][1]["drop"][INT8] == pytest.approx(0.5)


@pytest.mark.usefixtures("quick")
def test_gate_takes_earlier_files_from_under_their_names(tmp_path, rungs):
    (tmp_path / INT8).write_bytes(b"from before")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(GateError, match=r"earlier files in .* are now \*\.previous\)$"):
        export(tmp_path, max_map_drop=1.9)
    assert names_in(tmp_path) == [f"{INT8}.previous", "notes.txt"]
    assert (tmp_path / f"{INT8}.previous").read_bytes() == b"from before"


@pytest.mark.usefixtures("quick")
def test_no_validation_records_is_said_loudly(exported, tmp_path, capsys):
    del exported.config.eval_input_reader[:]
    export(tmp_path, max_map_drop=-100.0)
    report = json.loads((tmp_path / "export_report.json").read_text())
    for file in report["files"].values():
        assert file["AP"] is file["AP50"] is file["drop"] is file["drop_from_checkpoint"] is None
    assert report["checkpoint"]["AP"] is None
    assert report["validation"]["not_scored"] == "the config's eval_input_reader names no records"
    said = capsys.readouterr()
    assert "WARNING: the files will NOT be scored: the config's eval_input_reader" in said.err
    assert "NOT scored" in said.out.splitlines()[-1]


@pytest.mark.usefixtures("quick")
def test_no_calibration_records(exported, tmp_path):
    reader = exported.config.train_input_reader.tf_record_input_reader
    reader.input_path[:] = ["/content/train.record"]
    message = (
        r"^bolts: /content/train\.record .* is not here\. Int8 export needs calibration images"
    )
    with pytest.raises(InputError, match=message):
        export(tmp_path / "x")
    assert not (tmp_path / "x").exists()
    export(tmp_path, quantize="none")
    assert names_in(tmp_path) == ["export_report.json", *LABELS, FLOAT]
    assert json.loads((tmp_path / "export_report.json").read_text())["calibration"] is None


def test_flags_name_other_records(exported, quick, tmp_path, tiny_data):
    exported.config.train_input_reader.tf_record_input_reader.input_path[:] = []
    del exported.config.eval_input_reader[:]
    export(
        tmp_path,
        calibration=(f"{tiny_data}/val-*",),
        calibration_images=1,
        val_records=(f"{tiny_data}/train-*",),
    )
    report = json.loads((tmp_path / "export_report.json").read_text())
    assert report["validation"]["records"] == [f"{tiny_data}/train-*"]
    assert (report["calibration"]["images"], report["calibration"]["available"]) == (1, 2)
    assert quick == [(f"{tiny_data}/train-*",)] * 3


@pytest.mark.usefixtures("quick")
def test_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "score", interrupted)
    folder = tmp_path / "exports/bolts"
    with pytest.raises(KeyboardInterrupt):
        export(folder, quantize="none")
    assert not folder.exists()


@pytest.mark.usefixtures("exported")
def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/x: cannot be written \(.*\); give --output DIR"):
        export(tmp_path / "file/x", quantize="none")


@pytest.mark.usefixtures("exported")
def test_regular_nms_says_how_to_run_it(tmp_path, capsys):
    export(tmp_path, quantize="none", nms="regular")
    assert "regular NMS needs num_threads=1" in capsys.readouterr().err
    assert b"regular NMS needs num_threads=1" in (tmp_path / FLOAT).read_bytes()
    report = json.loads((tmp_path / "export_report.json").read_text())
    assert report["detection_op"]["use_regular_nms"] is True
    # Class by class is how the checkpoint itself does it.
    assert report["files"][FLOAT]["drop_from_checkpoint"] == pytest.approx(0, abs=1e-6)


@pytest.mark.usefixtures("exported")
def test_raw_files_come_with_what_decodes_them(tmp_path, photos):
    export(tmp_path, form="all")
    raw = ("model_float32_raw.tflite", "model_int8_raw.tflite")
    beside = {
        *(
            name.replace(".tflite", f"_{what}")
            for name in raw
            for what in ("decoding.json", "anchors.npy")
        ),
        "model_int8_raw_decoding.h",
        *("ssd_decode.c", "ssd_decode.h", "ssd_decode.py"),
    }
    assert set(names_in(tmp_path)) == {"export_report.json", *LABELS, FLOAT, INT8, *raw, *beside}
    report = json.loads((tmp_path / "export_report.json").read_text())
    assert {name: file["form"] for name, file in report["files"].items()} == {
        FLOAT: "nms",
        INT8: "nms",
        **dict.fromkeys(raw, "raw"),
    }
    for nms, other in ((FLOAT, raw[0]), (INT8, raw[1])):
        found = [TflitePredictor(tmp_path / name)(photos[:1]) for name in (nms, other)]
        counts = [int(detections["num_detections"][0]) for detections in found]
        assert counts[0] == counts[1] > 3
        np.testing.assert_allclose(*(d["detection_scores"] for d in found), atol=0.01)


@pytest.mark.usefixtures("exported")
def test_what_microcontrollers_run_is_scored_as_they_compute(tmp_path, monkeypatch, capsys):
    real, kernels = scored_files.TflitePredictor, {}

    def predictor(path, *, num_threads, reference_kernels):
        kernels[path.name] = reference_kernels
        return real(path, num_threads=num_threads, reference_kernels=reference_kernels)

    monkeypatch.setattr(scored_files, "TflitePredictor", predictor)
    export(tmp_path, form="raw", target="micro")
    float32, int8 = "model_float32_raw.tflite", "model_int8_raw.tflite"
    assert kernels == {float32: False, int8: True}
    report = json.loads((tmp_path / "export_report.json").read_text())
    assert report["target"]["files"][int8]["scored_with_kernels"] == "reference"
    assert "scored with LiteRT's reference kernels" in capsys.readouterr().out
