"""The verb `anchors`: figures of a data set whose boxes are known, text, JSON, picture."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ssd.__main__ import main
from ssd.anchor_fit import report
from ssd.config import pipeline
from ssd.data import box_table
from ssd.errors import InputError
from ssd.shipped_configs import find_config

FPNLITE = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"


def run(tiny_data, *flags: str) -> None:
    main(["anchors", str(tiny_data), *flags])


def test_report_of_a_data_set(tiny_data, capsys, tmp_path):
    run(tiny_data, "--output", str(tmp_path / "new" / "a.png"), "--k", "2")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        f"{FPNLITE}: multiscale_anchor_generator, 12,804 anchors, 6 a location, "
        "input 320 x 320 (height x width)"
    )
    assert lines[1] == f"{tiny_data}/train-*.tfrecord: 4 images, 4 boxes"
    rows = {line[:20].strip(): line.split() for line in lines}
    assert rows["bolt"][:2] == ["bolt", "2"]
    # Height x width at the input: bolts 213.3 x 112 and 116.4 x 84.2, larger than 96 x 96.
    assert rows["large (96 x 96 and m"][6:8] == ["4", "1.000"]
    assert rows["medium"][:3] == ["medium", "0", "-"]
    assert any(line.startswith("0 boxes (0.0%) reach matched_threshold 0.5") for line in lines)
    assert any(line.startswith("2 shapes that the boxes have") for line in lines)
    assert lines[-1] == f"wrote {tmp_path}/new/a.png"
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height > 500
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_json_and_nothing_else(tiny_data, capsys, tmp_path):
    picture = tmp_path / "a.png"
    run(tiny_data, "--split", "val", "--json", "--seed", "3", "--output", str(picture))
    report = json.loads(capsys.readouterr().out)
    assert picture.is_file()
    assert (report["images"], report["boxes"], report["boxes_without_area"]) == (2, 4, 0)
    assert report["input_size"] == [320, 320]
    assert report["anchors_per_location"] == [6] * 5
    assert report["matched_threshold"] == 0.5
    assert report["all"]["boxes"] == 4
    classes = {name: own["boxes"] for name, own in report["per_class"].items()}
    assert classes == {"bolt": 1, "nut": 2, "washer": 1}
    assert sum(own["boxes"] for own in report["per_size"].values()) == 4
    # bolt 38 x 55 of 130 x 210: 93.5 x 83.8 pixels, under 96 x 96.
    assert report["per_size"]["medium"]["boxes"] == 1
    mean = np.average(
        [own["mean_best_iou"] for own in report["per_class"].values()],
        weights=[own["boxes"] for own in report["per_class"].values()],
    )
    assert report["all"]["mean_best_iou"] == pytest.approx(mean, rel=1e-6)
    assert [s["share"] for s in report["clusters"]["shapes"]] == [0.25] * 4
    if report["suggestion"]:
        override = report["suggestion"]["set"]
        pipeline.require_obeyed(pipeline.load(find_config(FPNLITE), [override]), False)


def test_a_config_that_fits_badly(tiny_data, capsys):
    # One small square anchor a cell: nothing reaches half of these boxes.
    section = (
        "{ multiscale_anchor_generator { min_level: 3 max_level: 7 anchor_scale: 0.1 "
        "aspect_ratios: [1.0] scales_per_octave: 1 } }"
    )
    matcher = "model.ssd.matcher.argmax_matcher"
    flags = ["--set", f"model.ssd.anchor_generator={section}"]
    flags += ["--set", f"{matcher}.matched_threshold=0.7"]
    run(tiny_data, *flags)
    out = capsys.readouterr().out
    assert "4 boxes (100.0%) reach matched_threshold 0.7 with no anchor: learnt by one" in out
    assert "these anchors" in out
    assert "   IoU 0.5   IoU 0.7  mean IoU   IoU 0.5   IoU 0.7  mean IoU" in out
    assert "Suggested in place of model.ssd.anchor_generator" in out
    assert "    scales_per_octave: 1" in out.splitlines()
    run(tiny_data, *flags, "--set", f"{matcher}.force_match_for_each_row=false")
    assert "with no anchor: never learnt, because force_match" in capsys.readouterr().out
    run(tiny_data, "--set", "model.ssd.matcher.bipartite_matcher={}")
    assert "gives boxes their anchors without an IoU threshold" in capsys.readouterr().out


def test_pictures_of_different_sizes(tiny_data, capsys):
    resizer = "{ min_dimension: 96 max_dimension: 320 }"
    flags = ["--set", f"model.ssd.image_resizer.keep_aspect_ratio_resizer={resizer}"]
    run(tiny_data, *flags, "--set", "model.ssd.feature_extractor.pad_to_multiple=32", "--json")
    report = json.loads(capsys.readouterr().out)
    assert (report["input_size"], report["anchors"]) == (None, None)
    # bolt 80 x 70 of 120 x 200, which becomes 96 x 160: 64 x 56 pixels.
    shapes = [[round(s["height"], 3), round(s["width"], 3)] for s in report["clusters"]["shapes"]]
    assert [64.0, 56.0] in shapes


def test_records_by_glob_and_a_file(tiny_data, capsys):
    labels = str(tiny_data / "label_map.pbtxt")
    main(["anchors", "--records", f"{tiny_data}/*.tfrecord", "--label-map", labels, "--json"])
    assert json.loads(capsys.readouterr().out)["images"] == 6
    (file,) = tiny_data.glob("val-*.tfrecord")
    main(["anchors", str(file), "--json"])
    assert json.loads(capsys.readouterr().out)["images"] == 2


def test_boxes_without_area_are_told(tiny_data, capsys, monkeypatch):
    read = box_table.read

    def with_a_line(*arguments, **settings):
        table = read(*arguments, **settings)
        table.boxes[0, 2] = table.boxes[0, 0]
        return table

    monkeypatch.setattr(box_table, "read", with_a_line)
    run(tiny_data)
    out = capsys.readouterr().out
    assert "4 images, 3 boxes" in out
    assert "1 more boxes without area: not in the figures" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], r"DATA and --records: neither is there; give one of them"),
        (["{data}", "--records", "x"], r"DATA and --records: both name records"),
        (["nowhere"], r"nowhere: no such file or folder; `\./run\.sh convert` makes one"),
        (["{data}", "--split", "test"], r"no test-\*\.tfrecord in it; give --split NAME"),
        (["--records", "x.tfrecord"], r"x\.tfrecord: which classes are these\? give --label-map"),
        (["{data}", "--output", "a.jpg"], r"--output a\.jpg: expected a name that ends in \.png"),
        (["{data}", "--config", "mobilenet"], r"--config mobilenet: no such file"),
        (["{data}", "--set", "model.ssd.x=1"], r"--set model\.ssd\.x=1"),
        (["{data}", "--k", "0"], r"--k: 0 is not a positive number"),
    ],
)
def test_wrong_flags(tiny_data, flags, message, capsys):
    with pytest.raises(InputError, match=message) as caught:
        main(["anchors", *(flag.format(data=tiny_data) for flag in flags)])
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_no_box_at_all(tiny_data, monkeypatch):
    nothing = box_table.BoxTable(
        np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros((0, 2), np.int32), 7, 0
    )
    monkeypatch.setattr(box_table, "read", lambda *arguments, **settings: nothing)
    with pytest.raises(InputError, match=r"train-\*\.tfrecord: 7 images and no box with an area"):
        report.run(data=str(tiny_data))
