from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd import detect as module
from ssd.detect import detect, draw, read_image
from ssd.errors import InputError


class Fixed:
    """Three detections, not in the order of their scores; the last row is padding."""

    batch_size = 1

    def __init__(self, label_map, image_size=None) -> None:
        self.label_map, self.image_size = label_map, image_size
        self.images: list[np.ndarray] = []

    def __call__(self, images):
        self.images.append(images)
        return {
            "detection_boxes": np.array(
                [
                    [
                        [-0.1, 0.2, 0.5, 0.75],
                        [0.25, 0.5, 0.875, 1.2],
                        [0.1, 0.2, 0.3, 0.4],
                        [0, 0, 0, 0],
                    ]
                ],
                np.float32,
            ),
            "detection_scores": np.array([[0.5, 0.75, 0.25, 0.0]], np.float32),
            "detection_classes": np.array([[1, 3, 2, 1]]),
            "num_detections": np.array([3]),
        }


@pytest.fixture
def pictures(tmp_path) -> Path:
    """b.png 120x200 and a.JPG 90x60 (height x width), and a text."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (200, 120), (10, 20, 30)).save(folder / "b.png")
    Image.new("L", (60, 90), 77).save(folder / "a.JPG")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_detections_by_score_clipped_and_named(tiny_label_map):
    image = np.zeros((120, 200, 3), np.uint8)
    predictor = Fixed(tiny_label_map)
    assert detect(predictor, image, 0.3) == [
        {"class": "washer", "class_id": 3, "score": 0.75, "box": [0.25, 0.5, 0.875, 1.0]},
        {"class": "bolt", "class_id": 1, "score": 0.5, "box": [0.0, pytest.approx(0.2), 0.5, 0.75]},
    ]
    assert predictor.images[0].shape == (1, 120, 200, 3)
    assert predictor.images[0].dtype == np.uint8
    assert [d["class_id"] for d in detect(predictor, image)] == [3, 1, 2]


def test_models_of_a_fixed_size_get_the_legacy_resize(tiny_label_map):
    columns = np.tile(np.arange(200, dtype=np.uint8)[:, np.newaxis], (120, 1, 3))
    predictor = Fixed(tiny_label_map, (64, 96))
    detect(predictor, columns)
    (images,) = predictor.images
    assert (images.shape, images.dtype) == ((1, 64, 96, 3), np.float32)
    # Column 10 takes 10 * 200 / 96 = 20.833.
    assert images[0, 5, 10, 1] == pytest.approx(20.833, abs=1e-2)


def test_without_a_label_map_classes_have_numbers():
    found = detect(Fixed(None), np.zeros((120, 200, 3), np.uint8), 0.6)
    assert found[0]["class"] == "class 3"


def test_drawing_leaves_the_picture_alone():
    image = np.full((120, 200, 3), 50, np.uint8)
    before = image.copy()
    drawn = draw(
        image, [{"class": "bolt", "class_id": 1, "score": 0.9, "box": [0.5, 0.25, 0.9, 0.5]}]
    )
    np.testing.assert_array_equal(image, before)
    assert drawn.shape == (120, 200, 3)
    changed = np.argwhere(np.any(drawn != before, -1))
    # Box rows 60..108, columns 50..100; the caption may stand above and reach to the right.
    assert changed[:, 0].max() in range(104, 113)
    assert changed[:, 1].min() in range(46, 52)
    np.testing.assert_array_equal(draw(image, []), before)


def test_read_image_turns_as_the_camera_says(tmp_path):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :20] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    image = read_image(tmp_path / "turned.png")
    assert (image.shape, image.dtype) == ((60, 40, 3), np.uint8)
    # The left third comes to the top.
    assert image[5, 20].tolist() == [255, 0, 0]
    assert image[50, 20].tolist() == [0, 0, 0]


def test_not_a_picture(pictures):
    with pytest.raises(InputError, match=r"notes\.txt: not a readable picture \(.+\)"):
        read_image(pictures / "notes.txt")


class TestVerb:
    @pytest.fixture(autouse=True)
    def _predictor(self, monkeypatch, tiny_label_map):
        monkeypatch.setattr(
            module, "load_predictor", lambda model, label_map, num_threads: Fixed(tiny_label_map)
        )

    def run(self, inputs, output, **changes) -> None:
        flags = {"score_threshold": 0.3, "as_json": False, "label_map": None, "threads": 2}
        module.run("model", [str(path) for path in inputs], output=str(output), **(flags | changes))

    def test_a_folder_is_drawn(self, pictures, tmp_path, capsys):
        self.run([pictures], tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.jpg"]
        assert Image.open(tmp_path / "out/b.jpg").size == (200, 120)
        assert capsys.readouterr().out.splitlines() == [
            f"{pictures}/a.JPG: 1 washer, 1 bolt -> {tmp_path}/out/a.jpg",
            f"{pictures}/b.png: 1 washer, 1 bolt -> {tmp_path}/out/b.jpg",
        ]

    def test_json_is_all_there_is_on_stdout(self, pictures, tmp_path, capsys):
        self.run([pictures / "b.png"], tmp_path / "out", as_json=True)
        found = json.loads(capsys.readouterr().out)
        (image,) = found["images"]
        assert (image["file"], image["height"], image["width"]) == (f"{pictures}/b.png", 120, 200)
        assert [d["class"] for d in image["detections"]] == ["washer", "bolt"]
        assert not (tmp_path / "out").exists()

    def test_equal_names_do_not_collide(self, pictures, tmp_path):
        (tmp_path / "more").mkdir()
        Image.new("RGB", (30, 20)).save(tmp_path / "more/b.bmp")
        self.run([pictures, tmp_path / "more"], tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "0001_b.jpg",
            "0002_b.jpg",
            "a.jpg",
        ]

    def test_pictures_are_never_overwritten(self, tmp_path, pictures):
        original = pictures / "c.jpg"
        Image.new("RGB", (200, 120), (1, 2, 3)).save(original)
        before = original.read_bytes()
        with pytest.raises(InputError, match=r"c\.jpg.*--output"):
            self.run([original], pictures)
        assert original.read_bytes() == before

    def test_a_threshold_nothing_reaches(self, pictures, tmp_path, capsys):
        self.run([pictures / "b.png"], tmp_path / "out", score_threshold=0.9)
        assert "b.png: nothing found -> " in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("nowhere.png", r"nowhere\.png: no such file or folder"),
            ("empty", r"empty: no pictures in this folder \(\.bmp, "),
        ],
    )
    def test_nothing_to_look_at(self, tmp_path, given, message):
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match=message):
            self.run([tmp_path / given], tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_annotations_are_written_too(self, pictures, tmp_path, capsys):
        file = tmp_path / "new/found.json"
        self.run([pictures], tmp_path / "out", annotations=str(file), as_json=True)
        captured = capsys.readouterr()
        assert json.loads(captured.out)["videos"] == []
        assert captured.err == f"4 boxes of 2 pictures -> {file}\n"
        written = json.loads(file.read_text())
        assert [image["file_name"] for image in written["images"]] == ["a.JPG", "b.png"]

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ({"frames": 3}, r"--frames is for videos and cameras; here are only pictures"),
            ({"annotations": "hand.json"}, r"hand\.json: is there already, and not a file of `det"),
        ],
    )
    def test_flags_that_do_not_fit(
        self, pictures, in_temporary_folder, monkeypatch, flags, message
    ):
        Path("hand.json").write_text('{"images": []}')
        monkeypatch.setattr(module, "load_predictor", None)  # said before a model is loaded
        with pytest.raises(InputError, match=message):
            self.run([pictures], "out", **flags)
        assert Path("hand.json").read_text() == '{"images": []}'

    def test_an_output_that_cannot_be_written(self, pictures, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(InputError, match=r"file/b\.jpg: cannot be written"):
            self.run([pictures / "b.png"], tmp_path / "file")
