"""Finding the picture that an annotation means."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ssd.errors import InputError
from tfrecord_tools.annotations import RefusedError
from tfrecord_tools.readers.image_index import ImageIndex, extensions_below, stem


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_finds_by_path_base_name_and_case(tmp_path: Path):
    index = ImageIndex(touch(tmp_path, "IMG_1.JPG", "day/b c.png", "._IMG_1.JPG", ".x/d.png"))
    assert index.names == ["IMG_1.JPG", "day/b c.png"]
    assert index.by_name("img_1.jpg") == "IMG_1.JPG"
    assert index.by_name(r"C:\Users\me\photos\img_1.jpg") == "IMG_1.JPG"
    assert index.by_name("/home/pi/day/b c.png") == "day/b c.png"
    assert index.by_name("day/B C.png") == "day/b c.png"
    assert index.by_name("IMG_1") is None
    assert index.by_stem("IMG_1") == "IMG_1.JPG"
    assert index.by_stem("b c.bmp") == "day/b c.png"
    assert index.by_stem("b") is None


def test_nothing_outside_the_folder_matches(tmp_path: Path):
    touch(tmp_path, "secret.png", "images/a.png")
    index = ImageIndex(tmp_path / "images")
    assert index.by_name("../secret.png") is None
    assert index.by_name(str(tmp_path / "secret.png")) is None


def test_composed_and_decomposed_accents_are_one_name(tmp_path: Path):
    index = ImageIndex(touch(tmp_path, "cafe\u0301.png"))
    assert index.by_name("caf\u00e9.png") == "cafe\u0301.png"


def test_one_name_in_two_folders(tmp_path: Path):
    index = ImageIndex(touch(tmp_path, "a/1.png", "b/1.png"))
    assert index.by_name("1.png", near="b") == "b/1.png"
    assert index.by_name("a/1.png") == "a/1.png"
    with pytest.raises(
        RefusedError, match=r"'1\.png' fits 2 pictures: a/1\.png, b/1\.png"
    ) as caught:
        index.by_name("1.png")
    assert caught.value.rule == "image-ambiguous"


def test_spelling_decides_between_names_that_differ_by_case(tmp_path: Path):
    index = ImageIndex(touch(tmp_path, "a.png", "A.png", "A.jpg"))
    assert index.by_name("A.png") == "A.png"
    assert index.by_stem("a") == "a.png"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "a"),
        ("x/IMG.2018", "IMG.2018"),
        ("shot_jpg.rf.5b39.jpg", "shot_jpg.rf.5b39"),
        (r"D:\a\b.JPEG", "b"),
    ],
)
def test_stem_cuts_picture_extensions_alone(name: str, expected: str):
    assert stem(name) == expected


def test_folders_without_pictures(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere: no such folder; --images takes"):
        ImageIndex(tmp_path / "nowhere")
    touch(tmp_path, "a.xml", "b.XML", "notes")
    message = r"no picture below it, but 2 \.xml, 1 without extension"
    with pytest.raises(InputError, match=message):
        ImageIndex(tmp_path)
    assert extensions_below(touch(tmp_path / "empty")) == "nothing"


def test_folders_decide_between_pictures_of_one_name(tmp_path: Path):
    names = ("a/cam1/1.png", "b/cam1/1.png", "b/cam2/1.png", "1.png")
    index = ImageIndex(touch(tmp_path, *names))
    assert index.by_name("b/cam1/1.png") == "b/cam1/1.png"
    # Below a folder that --images does not show, and below one that it shows but the file does not.
    assert index.by_name(r"D:\set\b\cam2\1.png") == "b/cam2/1.png"
    assert index.by_name("cam2/1.png") == "b/cam2/1.png"
    assert index.by_name("./1.png") == "1.png"
    assert index.by_stem("1", near="labels/b/cam2") == "b/cam2/1.png"
    # A bare name is meant beside the annotation, a path as it stands.
    assert index.by_name("1.png", near="b/cam2") == "b/cam2/1.png"
    assert index.by_name("./1.png", near="c") == "1.png"
    assert index.by_name("a/cam1/1.png", near="b/cam1") == "a/cam1/1.png"
    assert index.by_stem("1", near="b/cam1") == "b/cam1/1.png"
    with pytest.raises(RefusedError, match=r"fits 2 pictures: a/cam1/1\.png, b/cam1/1\.png"):
        index.by_name("/x/cam1/1.png")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a%20b%20-%20c.jpg", "a b - c.jpg"),
        ("file:///home/me/a%20b%20-%20c.jpg", "a b - c.jpg"),
        ("https://host/photos/plain.jpg?size=large#top", "plain.jpg"),
        ("/data/local-files/?d=set/plain.jpg", "plain.jpg"),
        ("100%.jpg", "100%.jpg"),
        ("what?.jpg", "what?.jpg"),
        ("plain.jpg?size=large", None),
    ],
)
def test_names_in_the_form_of_urls(tmp_path: Path, text: str, expected: str | None):
    index = ImageIndex(touch(tmp_path, "a b - c.jpg", "plain.jpg", "100%.jpg", "what?.jpg"))
    assert index.by_name(text) == expected


def test_a_name_that_is_there_as_it_is_wins_over_what_it_would_decode_to(tmp_path: Path):
    index = ImageIndex(touch(tmp_path, "a%20b.jpg", "a b.jpg"))
    assert index.by_name("a%20b.jpg") == "a%20b.jpg"
    assert index.by_name("a b.jpg") == "a b.jpg"


def test_thousands_of_pictures_of_one_name_are_found_at_once(tmp_path: Path):
    index = ImageIndex(touch(tmp_path, *(f"shot{i}/image.png" for i in range(3000))))
    begin = time.process_time()
    for i in range(3000):
        assert index.by_name("image.png", near=f"shot{i}") == f"shot{i}/image.png"
        assert index.by_name(f"shot{i}/image.png") == f"shot{i}/image.png"
        assert index.by_stem("image", near=f"shot{i}") == f"shot{i}/image.png"
    # A look at all of them each time would take a minute.
    assert time.process_time() - begin < 3
