from __future__ import annotations

import pytest

import export.tflite_files
from ssd.errors import GateError, InputError
from ssd.model_maker import metrics, object_detector
from ssd.model_maker.config import ExportFormat, QuantizationConfig
from ssd.model_maker.object_detector import DataLoader, ObjectDetector


@pytest.fixture
def data(tiny_data) -> DataLoader:
    return DataLoader.from_cache(str(tiny_data))


@pytest.fixture
def detector(data) -> ObjectDetector:
    """Not trained; its weights would be those of RUN."""
    spec = object_detector.EfficientDetSpec("demo", checkpoint="RUN")
    return object_detector.create(data, spec, validation_data=data, do_train=False)


@pytest.fixture
def asked(monkeypatch):
    """The TfliteOptions that `export` asks for; the file itself is made of four bytes."""
    seen = []

    def run(options):
        seen.append(options)
        name = {"none": "float32"}.get(options.quantize, options.quantize)
        (export.tflite_files.Path(options.output) / f"model_{name}.tflite").write_bytes(b"file")

    monkeypatch.setattr(export.tflite_files, "run", run)
    return seen


def test_names_of_metrics(monkeypatch, data):
    ours = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
    values = {name: number / 100 for number, name in enumerate(ours)} | {"APs": None}
    found = {**values, "per_class": {"nut": {"AP": 0.5}, "bolt": {"AP": None}}}
    monkeypatch.setattr(metrics, "evaluate", lambda *_: found)
    assert metrics.metrics_of(object(), data) == {
        **{"AP": 0.0, "AP50": 0.01, "AP75": 0.02, "APs": -1.0, "APm": 0.04, "APl": 0.05},
        **{"ARmax1": 0.06, "ARmax10": 0.07, "ARmax100": 0.08, "ARs": 0.09, "ARm": 0.1, "ARl": 0.11},
        **{"AP_/nut": 0.5, "AP_/bolt": -1.0},
    }


def test_the_default_is_int8_with_the_training_pictures(detector, asked, tmp_path, data, capsys):
    detector.export(tmp_path / "new")
    (options,) = asked
    assert (options.run, options.quantize, options.max_detections) == ("RUN", "int8", 25)
    assert (options.calibration, options.val_records) == (data.patterns, data.patterns)
    assert (options.calibration_images, options.force_calibration) == (None, True)
    assert options.max_map_drop == 1.0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.tflite"]
    assert "4 pictures set the int8 ranges; 50 or more are better" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config", "quantize"),
    [
        (None, "none"),
        (QuantizationConfig.for_float16(), "float16"),
        (QuantizationConfig.for_dynamic(), "dynamic"),
    ],
)
def test_other_quantizations(config, quantize, detector, asked, tmp_path):
    detector.export(tmp_path, "m.tflite", quantization_config=config, max_map_drop=3)
    assert (asked[0].quantize, asked[0].calibration, asked[0].max_map_drop) == (quantize, None, 3)
    assert (tmp_path / "m.tflite").read_bytes() == b"file"


def test_representative_data_and_steps(detector, asked, tmp_path, tiny_data):
    val = DataLoader.from_cache(f"{tiny_data}/val")
    detector.export(tmp_path, quantization_config=QuantizationConfig.for_int8(val, 1))
    assert (asked[0].calibration, asked[0].calibration_images) == (val.patterns, 1)


def test_labels_alone(detector, asked, tmp_path):
    detector.export(tmp_path, label_filename="l.txt", export_format=[ExportFormat.LABEL])
    assert (tmp_path / "l.txt").read_text() == "bolt\nnut\nwasher\n"
    assert asked == []


def test_a_failed_gate_says_how_to_go_on(detector, monkeypatch, tmp_path):
    def run(options):
        raise GateError("model_int8.tflite: AP 0.1 is 9 points below")

    monkeypatch.setattr(export.tflite_files, "run", run)
    (tmp_path / "model.tflite").write_bytes(b"earlier")
    with pytest.raises(GateError, match=r"9 points below\. In a script: export\(max_map_drop="):
        detector.export(tmp_path)
    assert (tmp_path / "model.tflite").read_bytes() == b"earlier"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"with_metadata": False}, r"export\(with_metadata=False\): only with_metadata=True"),
        ({"export_metadata_json_file": True}, "export_metadata_json_file=True"),
        ({"batch_size": 2}, r"export\(batch_size=2\): no such option here; beside Model Maker's"),
        ({"export_format": ExportFormat.TFJS}, "export_format=TFJS: a detector is exported to"),
        ({"quantization_config": "int8"}, "quantization_config='int8': a QuantizationConfig"),
        (
            {"export_format": ExportFormat.LABEL, "max_map_drop": 1},
            "belongs to ExportFormat.TFLITE",
        ),
    ],
)
def test_what_would_be_ignored_is_refused(given, message, detector, asked, tmp_path):
    with pytest.raises(InputError, match=message):
        detector.export(tmp_path, **given)
    assert asked == []


def test_before_training(data, tmp_path):
    untrained = object_detector.create(data, "demo", do_train=False)
    with pytest.raises(InputError, match=r"not trained yet: call train\(\)"):
        untrained.evaluate(data)
    with pytest.raises(InputError, match="not trained yet"):
        untrained.export(tmp_path)
    without = ObjectDetector("demo", {1: "nut"})
    with pytest.raises(InputError, match="export: int8 needs pictures"):
        without._quantization("default")
