from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ssd import evaluate as module
from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.evaluate import evaluate

# The two validation pictures: (height, width) and boxes in pixels, by id.
TRUTH = {
    (130, 210): [(1, (6, 5, 44, 60)), (3, (20, 90, 120, 170)), (2, (60, 8, 99, 80))],
    (220, 150): [(2, (44, 33, 97, 110))],
}


class Perfect:
    """Finds what is there, by the size of the picture; `shift` moves boxes, `score` is given."""

    image_size, batch_size = None, 1

    def __init__(self, label_map, shift: float = 0.0) -> None:
        self.label_map, self.shift = label_map, shift
        self.sizes: list[tuple[int, ...]] = []

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        assert images.dtype == np.uint8
        self.sizes.append(images.shape)
        size = images.shape[1:3]
        found = TRUTH[size]
        boxes = np.zeros((1, 5, 4), np.float32)
        boxes[0, : len(found)] = [np.array(box) / (2 * size) + self.shift for _, box in found]
        classes = np.ones((1, 5), np.int64)
        classes[0, : len(found)] = [class_id for class_id, _ in found]
        scores = np.zeros((1, 5), np.float32)
        scores[0, : len(found)] = 0.9
        return {
            "detection_boxes": boxes,
            "detection_classes": classes,
            "detection_scores": scores,
            "num_detections": np.array([len(found)]),
        }


class Batched:
    """Takes resized batches and finds nothing."""

    image_size, batch_size, label_map = (64, 96), 8, None

    def __init__(self) -> None:
        self.images: list[np.ndarray] = []

    def __call__(self, images):
        self.images.append(images)
        n = len(images)
        return {
            "detection_boxes": np.zeros((n, 3, 4), np.float32),
            "detection_classes": np.ones((n, 3), np.int64),
            "detection_scores": np.zeros((n, 3), np.float32),
            "num_detections": np.zeros(n, np.int64),
        }


@pytest.fixture
def records(tiny_data: Path) -> list[str]:
    return [f"{tiny_data}/val-*.tfrecord"]


def test_perfect_detections_score_one(records, tiny_label_map):
    predictor = Perfect(tiny_label_map)
    summary = evaluate(predictor, records, tiny_label_map, progress=False)
    assert summary["AP"] == pytest.approx(1.0)
    assert summary["AP50"] == pytest.approx(1.0)
    # One object a picture is found when one is allowed: bolt, nut (2 pictures) and washer: all.
    assert summary["AR1"] == pytest.approx(1.0)
    assert set(summary["per_class"]) == {"bolt", "nut", "washer"}
    assert sorted(predictor.sizes) == [(1, 130, 210, 3), (1, 220, 150, 3)]


def test_displaced_detections_score_less(records, tiny_label_map):
    assert (
        evaluate(Perfect(tiny_label_map, 0.5), records, tiny_label_map, progress=False)["AP"] == 0.0
    )


def test_batches_are_resized_and_nothing_found_scores_zero(records, tiny_label_map):
    predictor = Batched()
    summary = evaluate(predictor, records, tiny_label_map, progress=False)
    assert summary["AP"] == 0.0
    (images,) = predictor.images
    assert (images.shape, images.dtype) == ((2, 64, 96, 3), np.float32)
    assert images.max() > 200.0


def test_the_observer_sees_every_image_in_order(records, tiny_label_map):
    images = []
    found = evaluate(
        Perfect(tiny_label_map), records, tiny_label_map, observer=images.append, progress=False
    )
    assert found == evaluate(Perfect(tiny_label_map), records, tiny_label_map, progress=False)
    assert [image.number for image in images] == [0, 1]
    for image in images:
        truth = TRUTH[image.image_size]
        assert image.groundtruth_classes.tolist() == [class_id for class_id, _ in truth]
        assert image.detection_classes.tolist() == [class_id for class_id, _ in truth]
        assert image.detection_scores == pytest.approx([0.9] * len(truth))
        np.testing.assert_allclose(image.detection_boxes, image.groundtruth_boxes, atol=1e-6)
        assert not image.groundtruth_is_crowd.any()
    assert len({image.source_id for image in images}) == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["bolt", "nut"], r"2 classes against 3"),
        (["nut", "bolt", "washer"], r"id 1 is 'nut' against 'bolt'"),
    ],
)
def test_models_of_other_classes_are_refused(records, tiny_label_map, names, message):
    predictor = Perfect(label_maps.from_names(names))
    with pytest.raises(
        InputError, match=rf"label map: the model's and the data's differ: {message}"
    ):
        evaluate(predictor, records, tiny_label_map, progress=False)


class TestVerb:
    @pytest.fixture(autouse=True)
    def _predictor(self, monkeypatch, tiny_label_map):
        monkeypatch.setattr(
            module, "load_predictor", lambda model, **flags: Perfect(tiny_label_map)
        )

    def run(self, **changes) -> None:
        flags = {
            "data": None,
            "split": "val",
            "records": [],
            "label_map": None,
            "output": None,
            "as_json": True,
            "threads": 2,
        }
        module.run(**({"model": "model"} | flags | changes))

    def test_json_is_all_there_is_on_stdout(self, tiny_data, capsys):
        self.run(data=str(tiny_data))
        summary = json.loads(capsys.readouterr().out)
        assert set(summary) >= {
            "AP",
            "AP50",
            "AP75",
            "APs",
            "APm",
            "APl",
            "AR1",
            "AR10",
            "AR100",
            "ARs",
            "ARm",
            "ARl",
            "per_class",
        }
        assert "step" not in summary
        assert summary["AP"] == pytest.approx(1.0)
        # Nothing to measure is null: 38 x 55 = 2,090 square pixels is the smallest box.
        assert summary["APs"] is None

    def test_table_and_file(self, tiny_data, capsys, tmp_path):
        self.run(data=str(tiny_data), as_json=False, output=str(tmp_path / "made/here"))
        out = capsys.readouterr().out
        assert out.startswith(f"model on {tiny_data}/val-*.tfrecord\n")
        assert "AP50" in out
        written = json.loads((tmp_path / "made/here/metrics.json").read_text())
        assert written["AP50"] == pytest.approx(1.0)
        files = {path.name for path in (tmp_path / "made/here").iterdir()}
        assert files == {"metrics.json", "report.html", "report"}
        page = (tmp_path / "made/here/report.html").read_text()
        assert "Evaluation of model" in page
        assert "2 images of" in page

    def test_a_report_that_cannot_be_written_is_one_line(self, tiny_data, capsys, tmp_path):
        (tmp_path / "report").write_text("")
        self.run(data=str(tiny_data), as_json=False, output=str(tmp_path))
        captured = capsys.readouterr()
        assert "AP50" in captured.out
        assert captured.err.splitlines()[-1].startswith(
            f"no report: {tmp_path}/report.html: cannot"
        )
        assert (tmp_path / "metrics.json").is_file()

    def test_records_and_label_map(self, records, tiny_data, capsys):
        self.run(records=records, label_map=f"{tiny_data}/label_map.pbtxt")
        assert json.loads(capsys.readouterr().out)["AP"] == pytest.approx(1.0)

    @pytest.mark.parametrize(
        ("has_manifest", "message"),
        [
            (
                True,
                r"val-00000-of-00001.tfrecord: 600 bytes; conversion_report.json beside it says",
            ),
            (False, r"val-00000-of-00001.tfrecord: the record at byte 0 is cut off by the end"),
        ],
    )
    def test_damaged_records_are_found_before_the_model_is_loaded(
        self, tiny_data, tmp_path, monkeypatch, has_manifest, message
    ):
        data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
        os.truncate(data / "val-00000-of-00001.tfrecord", 600)
        if not has_manifest:
            (data / "conversion_report.json").unlink()
        monkeypatch.setattr(module, "load_predictor", None)
        with pytest.raises(InputError, match=message):
            self.run(data=str(data))

    def test_other_classes_than_those_of_the_records(self, records, tmp_path):
        path = tmp_path / "mine.pbtxt"
        label_maps.save(label_maps.from_names(["bolt", "nut", "ring"]), path)
        with pytest.raises(InputError, match=rf"^{path}: class id 3 is 'ring', but 'washer' in"):
            self.run(records=records, label_map=str(path))

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ({"records": ["x.tfrecord"]}, r"--records: which classes are these\? give --label-map"),
            ({"data": "nowhere"}, r"nowhere"),
            ({}, r"model: no pipeline\.config"),
            ({"model": "a/x.tflite"}, r"^a/x\.tflite: names no records; give --data DIR"),
            ({"data": "somewhere", "records": ["x.tfrecord"]}, r"--data.*--records"),
        ],
        ids=["no label map", "no folder", "nothing given", "a file", "both given"],
    )
    def test_flags_that_do_not_fit(self, in_temporary_folder, flags, message):
        with pytest.raises(InputError, match=message):
            self.run(**flags)
