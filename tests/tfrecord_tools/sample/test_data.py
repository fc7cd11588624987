"""The generated pictures: deterministic, soundly annotated, in four forms alike."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd.errors import InputError
from tfrecord_tools.convert import convert
from tfrecord_tools.sample import objects, scene, surfaces
from tfrecord_tools.sample.data import CLASS_NAMES, write_sample_data
from tfrecord_tools.sample.scene import MIN_INSIDE, make_scene


def quiet(line: str) -> None:
    """Says nothing."""


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "data"
    write_sample_data(folder, images=24, seed=3, say=quiet)
    return folder


def test_same_seed_same_bytes_whatever_workers_and_count(sample: Path, tmp_path: Path):
    write_sample_data(tmp_path / "again", images=24, seed=3, workers=3, say=quiet)
    assert digests(tmp_path / "again") == digests(sample)
    write_sample_data(tmp_path / "few", images=5, seed=3, say=quiet)
    one_a_picture = (".jpg", ".xml", ".txt")
    few = {n: d for n, d in digests(tmp_path / "few").items() if n.endswith(one_a_picture)}
    assert len(few) == 15
    assert few.items() <= digests(sample).items()
    write_sample_data(tmp_path / "other", images=5, seed=4, say=quiet)
    assert not few.items() & digests(tmp_path / "other").items()


def test_the_four_forms_give_the_same_bytes_and_pass_strict(sample: Path, tmp_path: Path):
    forms = {
        "voc": "annotations",
        "coco": "annotations_coco.json",
        "csv": "annotations.csv",
        "yolo": "labels",
    }
    written, reports = {}, {}
    for kind, name in forms.items():
        out = tmp_path / kind
        reports[kind] = convert(
            kind,
            images=sample / "images",
            annotations=sample / name,
            output=out,
            strict=True,
            val_fraction=0.4,
            shards=2,
            say=quiet,
        )
        files = [path for path in out.iterdir() if path.name != "conversion_report.json"]
        written[kind] = {path.name: path.read_bytes() for path in files}
    assert written["coco"] == written["csv"] == written["yolo"] == written["voc"]
    assert len(written["voc"]) == 5
    report = reports["voc"]
    assert report.classes == CLASS_NAMES == tuple(sorted(CLASS_NAMES))
    assert report.images == 24
    assert min(report.as_json()["classes"].values()) >= 4


def test_yolo_shares_keep_every_digit(sample: Path):
    """Six digits, as usual, would move corners by a thousandth of a pixel."""
    coco = json.loads((sample / "annotations_coco.json").read_text())
    name_of = {category["id"]: category["name"] for category in coco["categories"]}
    for image in coco["images"]:
        rows = (sample / "labels" / f"{Path(image['file_name']).stem}.txt").read_text().splitlines()
        boxes = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        for row, one in zip(rows, boxes, strict=True):
            index, *numbers = row.split()
            assert CLASS_NAMES[int(index)] == name_of[one["category_id"]]
            x, y, width, height = one["bbox"]
            assert [float(number) for number in numbers] == [
                (x + width / 2) / image["width"],
                (y + height / 2) / image["height"],
                width / image["width"],
                height / image["height"],
            ]


def test_objects_are_of_a_learnable_size_and_pictures_are_not_square(sample: Path):
    coco = json.loads((sample / "annotations_coco.json").read_text())
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    for image in coco["images"]:
        with Image.open(sample / "images" / image["file_name"]) as picture:
            assert picture.size == sizes[image["id"]]
            assert picture.width != picture.height
    shares = []
    for annotation in coco["annotations"]:
        x, y, width, height = annotation["bbox"]
        picture_width, picture_height = sizes[annotation["image_id"]]
        assert 0 <= x < x + width <= picture_width
        assert 0 <= y < y + height <= picture_height
        shares.append(max(width / picture_width, height / picture_height))
        assert annotation["area"] == width * height
    counts = np.bincount([a["image_id"] for a in coco["annotations"]])[1:]
    assert counts.min() >= 1
    assert counts.max() <= 5
    # Most objects take 15 to 60 % of a side.
    assert np.mean([0.15 <= share <= 0.65 for share in shares]) > 0.85


@pytest.mark.parametrize("seed", range(12))
def test_boxes_are_tight_around_what_is_visible(seed: int, monkeypatch):
    """On a black scene without shadows, light and noise, object pixels reach every box side."""

    def black(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return np.zeros((*shape, 3), np.float32)

    def develop(rng: np.random.Generator, scene: np.ndarray) -> Image.Image:
        return Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))

    monkeypatch.setattr("tfrecord_tools.sample.scene.SURFACES", (black,))
    monkeypatch.setattr("tfrecord_tools.sample.scene.photograph", develop)
    image, objects = make_scene(np.random.default_rng(seed))
    brightest = np.asarray(image).max(axis=-1)
    drawn = brightest > 0
    for one in objects:
        ymin, xmin, ymax, xmax = one.box_pixels
        for edge in (drawn[ymin, xmin:xmax], drawn[ymax - 1, xmin:xmax]):
            assert edge.any()
        for edge in (drawn[ymin:ymax, xmin], drawn[ymin:ymax, xmax - 1]):
            assert edge.any()
    # A faint remainder may lie beyond; dark ink makes a faint edge too.
    outside = brightest > 10
    for one in objects:
        ymin, xmin, ymax, xmax = one.box_pixels
        # Half transparent pixels of the rim may lie one or two beyond.
        outside[max(ymin - 2, 0) : ymax + 2, max(xmin - 2, 0) : xmax + 2] = False
    assert not outside.any()


def test_the_box_of_a_covered_object_is_that_of_its_visible_part(monkeypatch):
    def layer(name: str, rows: slice, columns: slice) -> scene._Layer:
        outline = np.zeros((120, 200), bool)
        outline[rows, columns] = True
        whole = (slice(0, 120), slice(0, 200))
        pixels = np.zeros((120, 200, 3), np.float32)
        return scene._Layer(name, whole, pixels, outline.astype(np.float32), outline, 1.0)

    below = layer("label", slice(30, 60), slice(20, 90))
    above = layer("badge", slice(10, 80), slice(70, 130))
    monkeypatch.setattr(scene, "PICTURE_SIZES", ((120, 200),))
    monkeypatch.setattr(scene, "_place", lambda rng, shape: [below, above])
    _, objects = make_scene(np.random.default_rng(0))
    assert [one.class_name for one in objects] == ["label", "badge"]
    # Columns 70 to 90 of the label lie below the badge: 30 rows by 50 columns are left.
    assert objects[0].box_pixels == (30, 20, 60, 70)
    assert objects[0].area == 30 * 50
    assert objects[1].box_pixels == (10, 70, 80, 130)


def test_an_ean_13_symbol_by_hand():
    # 5901234123457, the example in the standard's literature: parity of 5 is O E E O O E.
    # 9 odd 0001011, 0 even 0100111, 1 even 0110011, 2 odd 0010011, 3 odd 0111101, 4 even 0011101.
    left = "0001011 0100111 0110011 0010011 0111101 0011101"
    # Right-hand digits 1 2 3 4 5 7.
    right = "1100110 1101100 1000010 1011100 1001110 1000100"
    expected = f"101{left}01010{right}101".replace(" ", "")
    assert objects.with_check_digit("590123412345") == "5901234123457"
    assert objects.ean13_modules("5901234123457") == expected
    assert len(expected) == 95


def test_qr_codes_have_their_finders():
    image = objects.draw_qr_code(np.random.default_rng(1)).convert("L")
    dark = np.asarray(image) < 128
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    code = dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # The upper left finder: 7 dark modules, then a light one; its runs are 1 1 3 1 1.
    unit = int(np.flatnonzero(~code[0])[0]) // 7
    middle = code[3 * unit + unit // 2, : 8 * unit : unit]
    assert middle.tolist() == [True, False, True, True, True, False, True, False]


@pytest.mark.parametrize("name", objects.DRAWERS)
def test_every_object_fills_its_frame(name: str):
    alpha = np.asarray(objects.DRAWERS[name](np.random.default_rng(5)))[..., 3] > 127
    for side in (alpha[:4], alpha[-4:], alpha[:, :4], alpha[:, -4:]):
        assert side.any()
    assert alpha.mean() > (0.6 if name == "badge" else 0.95)


@pytest.mark.parametrize("surface", surfaces.SURFACES)
def test_every_surface_covers_its_picture(surface):
    texture = surface(np.random.default_rng(2), (36, 50))
    assert texture.shape == (36, 50, 3)
    assert np.isfinite(texture).all()
    assert texture.std() > 0.5


def test_objects_are_seldom_cut():
    assert MIN_INSIDE >= 0.75
    scenes = (make_scene(np.random.default_rng([3, index])) for index in range(24))
    cut = [one.truncated for _, objects in scenes for one in objects]
    assert 0 < sum(cut) < 0.3 * len(cut)


def test_a_second_run_replaces_the_first(tmp_path: Path):
    write_sample_data(tmp_path, images=3, say=quiet)
    (tmp_path / "notes.txt").write_text("mine")
    write_sample_data(tmp_path, images=2, say=quiet)
    assert len(list((tmp_path / "images").iterdir())) == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_with_photos_is_not_overwritten(tmp_path: Path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match=r"has images but no sample_data\.json"):
        write_sample_data(tmp_path, images=2, say=quiet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 0}, "--images is 0; expected 1 or more"),
        ({"workers": 0}, "--workers is 0; expected 1 or more"),
        ({"seed": -1}, "--seed is -1; expected 0 or more"),
    ],
)
def test_numbers_that_are_refused(tmp_path: Path, changes, message: str):
    with pytest.raises(InputError, match=message):
        write_sample_data(tmp_path / "x", **changes)
