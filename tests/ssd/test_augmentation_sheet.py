"""The contact sheet of a config's augmentations: what is painted, counted and refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssd import augmentation_sheet, augmentation_tiles
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.standard_fields import InputFields
from ssd.visualize import class_color
from tfrecord_tools import __main__ as data_tools

_F = InputFields

CONFIG = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
OPTION = "train_config.data_augmentation_options"


def _config(folder: Path, project: Path, *steps: str) -> str:
    """A shipped config with other steps, for three classes."""
    text = (project / f"pipeline_configs/{CONFIG}.config").read_text()
    text = text.replace("num_classes: 90", "num_classes: 3")
    head, _, rest = text.partition("  data_augmentation_options")
    # The options stand one after the other; what follows them is kept.
    tail = rest.rpartition("  data_augmentation_options")[2]
    tail = tail[tail.index("\n  }\n") + 5 :]
    lines = [f"  data_augmentation_options {{ {step} }}\n" for step in steps]
    path = folder / "own.config"
    path.write_text(head + "".join(lines) + tail)
    return str(path)


def test_counts_and_sheet(
    tiny_data: Path, tmp_path: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _config(
        tmp_path,
        project,
        "random_self_concat_image { concat_vertical_probability: 1.0 "
        "concat_horizontal_probability: 0.0 }",
        "resize_image { new_height: 90 new_width: 70 }",
        "normalize_image { original_maxval: 255 }",
    )
    sheet = tmp_path / "new" / "sheet.png"
    counts = augmentation_sheet.run(
        config, data=str(tiny_data), output=str(sheet), pictures=2, draws=3, each_step=True
    )
    # Four training pictures with 1, 2, 1 and 0 boxes, 50 draws in turn: 12 or 13 times 4 boxes.
    assert 48 <= counts[0].boxes_in <= 52
    assert [count.boxes_out for count in counts] == [2 * counts[0].boxes_in] * 3
    assert counts[0].added == counts[0].boxes_in
    assert set(counts[1].sizes) == {(90, 70)}
    said = capsys.readouterr().out
    assert f"1 random_self_concat_image: boxes {counts[0].boxes_in} -> " in said
    assert "added)" in said
    assert "2 resize_image: boxes " in said
    assert "(all kept); images 90x70 (height x width)\n" in said
    assert "VALUES 0" in said
    with Image.open(sheet) as picture:
        # Two pictures and three steps; the original and three draws.
        assert picture.size == (4 * 370 + 10, 34 + 10 + 5 * (34 + 270 + 24 + 10))
        assert f"{picture.height}x{picture.width}" in said
    assert [path.name for path in sheet.parent.iterdir()] == ["sheet.png"]


def test_same_seed_same_sheet(tiny_data: Path, tmp_path: Path) -> None:
    sheets = []
    for number, seed in enumerate((5, 5, 6)):
        path = tmp_path / f"{number}.png"
        augmentation_sheet.run(CONFIG, data=str(tiny_data), output=str(path), draws=2, seed=seed)
        with Image.open(path) as picture:
            # Without the heading, which has the seed in it.
            sheets.append(np.asarray(picture)[44:])
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])


def test_records_and_places(
    tiny_data: Path, tmp_path: Path, in_temporary_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next(tiny_data.glob("val-*.tfrecord"))
    # A record file: its label map lies beside it. The output may be a folder.
    augmentation_sheet.run(CONFIG, data=str(file), output=str(tmp_path), pictures=1, draws=1)
    assert (tmp_path / "augmentation.png").is_file()
    assert "50 draws over 2 pictures" in capsys.readouterr().out
    # No run was made or looked for.
    assert list(in_temporary_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"data": "nowhere"}, r"nowhere: no such file or folder; `./run.sh convert` makes one"),
        ({"data": "."}, r"\.: no records in it; `./run.sh convert` makes some"),
        ({"output": "sheet.jpg"}, r"--output sheet.jpg: expected a name that ends in .png, or a"),
        ({"config": "ssd_mobilenet_v9"}, r"--config ssd_mobilenet_v9: no such file and no shipped"),
        ({"overrides": [f"{OPTION}=5"]}, r"data_augmentation_options"),
    ],
    ids=["no such path", "empty folder", "no png", "no such config", "override"],
)
def test_what_is_wrong_is_said_in_one_line(
    flags: dict[str, Any], message: str, tiny_data: Path, in_temporary_folder: Path
) -> None:
    arguments = {"config": CONFIG, "data": str(tiny_data), **flags}
    with pytest.raises(InputError, match=message) as caught:
        augmentation_sheet.run(**arguments)
    assert "\n" not in str(caught.value)
    assert list(in_temporary_folder.iterdir()) == []


def test_bad_configs(
    tiny_data: Path, tmp_path: Path, project: Path, in_temporary_folder: Path
) -> None:
    config = _config(tmp_path, project)
    message = r"own.config: train_config has no data_augmentation_options, so there is nothing to"
    with pytest.raises(InputError, match=message):
        augmentation_sheet.run(config, data=str(tiny_data))
    config = _config(tmp_path, project, "random_rgb_to_gray { probability: 3 }")
    message = r"own.config:\d+: train_config.data_augmentation_options\[0\].random_rgb_to_gray.prob"
    with pytest.raises(InputError, match=message):
        augmentation_sheet.run(config, data=str(tiny_data))


def _example(**fields: Any) -> dict[str, Any]:
    values = {
        _F.image: np.full([40, 100, 3], 90, np.uint8),
        _F.groundtruth_boxes: np.float32([[0.25, 0.1, 0.75, 0.5]]),
        _F.groundtruth_classes: np.int64([2]),
        _F.groundtruth_weights: np.float32([1.0]),
        _F.groundtruth_is_crowd: np.array([False]),
        _F.groundtruth_difficult: np.array([False]),
    }
    return {**values, **fields}


@pytest.mark.parametrize("is_in_pixels", [False, True])
def test_boxes_are_where_the_picture_is(is_in_pixels: bool, tiny_label_map: LabelMap) -> None:
    boxes = np.float32([[10, 10, 30, 50]] if is_in_pixels else [[0.25, 0.1, 0.75, 0.5]])
    cell = augmentation_tiles.picture(
        "original", _example(groundtruth_boxes=boxes), tiny_label_map, is_in_pixels
    )
    assert cell.caption == "original · 40x100 · 1 box"
    # 3.6 times as large: 144 of 270 rows, from (270 - 144) / 2 = 63 on.
    assert cell.pixels.shape == (270, 360, 3)
    assert (cell.pixels[64, 2:358] == 90).all()
    assert (cell.pixels[61] == cell.pixels[0]).all()
    assert (cell.pixels[0, 0] != 90).all()
    # Lower edge at .75 * 144 + 63 = 171, from .1 * 360 = 36 to 180, in the colour of class 2.
    edge = (cell.pixels[170] == class_color(1)).all(axis=-1)
    assert (np.nonzero(edge)[0].min(), np.nonzero(edge)[0].max()) == (36, 179)


@pytest.mark.parametrize(
    ("values", "note", "low", "high"),
    [
        (np.linspace(0, 255, 100), "", 0, 255),
        # A bicubic resize overshoots so far.
        (np.linspace(-30, 280, 100), "", 0, 255),
        (np.linspace(-1, 1, 100), " · -1 to 1, stretched", 0, 255),
        (np.linspace(-120, 140, 100), " · -120 to 140, stretched", 0, 255),
        (np.zeros(100), "", 0, 0),
    ],
    ids=["bytes", "overshoot", "normalized", "shifted", "black"],
)
def test_values_in_no_range_of_pictures_are_stretched(
    values: np.ndarray, note: str, low: int, high: int, tiny_label_map: LabelMap
) -> None:
    image = np.broadcast_to(values[np.newaxis, :, np.newaxis], [40, 100, 3]).astype(np.float32)
    nothing = {key: value[:0] for key, value in _example().items() if key != _F.image}
    cell = augmentation_tiles.picture("1", {**nothing, _F.image: image}, tiny_label_map)
    assert cell.caption == f"1 · 40x100 · 0 boxes{note}"
    assert cell.pixels[135, 0, 0] == low
    assert cell.pixels[135, -1, 0] == high


def test_marks_of_boxes(tiny_label_map: LabelMap, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    def spy(image: np.ndarray, boxes: Any, labels: Any, class_indices: Any) -> np.ndarray:
        said.extend(labels)
        return image

    monkeypatch.setattr(augmentation_tiles, "draw_boxes", spy)
    example = _example(
        groundtruth_boxes=np.zeros([4, 4], np.float32),
        groundtruth_classes=np.int64([1, 2, 3, 1]),
        groundtruth_weights=np.float32([1.0, 1.0, 0.25, 1.0]),
        groundtruth_is_crowd=np.array([True, False, False, False]),
        groundtruth_difficult=np.array([False, True, False, False]),
    )
    augmentation_tiles.picture("1", example, tiny_label_map)
    assert said == ["bolt*", "nut?", "washer 0.25", "bolt"]


def test_a_sheet_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    row = augmentation_tiles.Row(
        "very long " * 60, [augmentation_tiles.Picture(np.zeros([270, 360, 3], np.uint8), "x")]
    )
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/sheet.png: cannot be written: "):
        augmentation_tiles.save([row], "heading", tmp_path / "file" / "sheet.png")
    assert augmentation_tiles.save([row], "heading", tmp_path / "sheet.png") == (382, 380)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "sheet.png"]


def test_show_hands_over_to_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def run(command: list[str], check: bool) -> Any:
        commands.append(command)
        return subprocess.CompletedProcess(command, 2 if "bad" in command else 0)

    monkeypatch.setattr(subprocess, "run", run)
    flags = ["--draws", "2", "--each-step", "--seed", "-3", "--set", "a.b=1", "--set", "c=2"]
    names = ["--output", "x.png", "--pictures", "4", "--label-map", "m"]
    assert data_tools.main(["show", "data", "--augment", "c.config", *flags, *names]) == 0
    head = [sys.executable, "-m", "ssd", "augmentation-sheet", "--config", "c.config"]
    assert commands[0][:8] == [*head, "--data", "data"]
    assert commands[0][8:13] == ["--each-step", "--set", "a.b=1", "--set", "c=2"]
    words = ["--draws=2", "--label-map=m", "--output=x.png", "--pictures=4", "--seed=-3"]
    assert sorted(commands[0][13:]) == words
    assert data_tools.main(["show", "--augment", "c.config"]) == 0
    assert commands[1] == head
    with pytest.raises(SystemExit) as caught:
        data_tools.main(["show", "--augment", "bad"])
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--draws", "3", "data"], "show: --draws needs --augment CONFIG\n"),
        (["--each-step", "data"], "show: --each-step needs --augment CONFIG\n"),
        ([], "show: the following arguments are required: PATH; see show --help\n"),
        (["a", "--data", "b", "--augment", "c"], "show: PATH and --data are the same; give one"),
    ],
    ids=["draws", "each-step", "nothing", "both"],
)
def test_flags_of_show_that_do_not_fit(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data_tools.main(["show", *arguments]) == 2
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.slow
def test_from_the_command_line(tiny_data: Path, tmp_path: Path, project: Path) -> None:
    command = [sys.executable, "-m", "tfrecord_tools", "show", str(tiny_data), "--augment"]
    done = subprocess.run(
        [*command, "demo", "--set", "train_config.num_steps=oops"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(project), "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("run.sh show: --set train_config.num_steps=oops: ")
    assert done.stderr.count("\n") == 1
