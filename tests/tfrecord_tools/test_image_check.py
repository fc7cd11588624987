"""Every kind of picture: stored as it is, re-encoded, turned, or refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrecord_tools import image_check
from tfrecord_tools.annotations import ProblemLog, RefusedError
from tfrecord_tools.exif_view import ORIENTATION_TAG
from tfrecord_tools.image_check import ImageSettings


@pytest.fixture
def check(stated):
    def run(path: Path, objects=(), image_size=None, settings=image_check.DEFAULT_SETTINGS):
        log = ProblemLog()
        found = image_check.check(stated(objects, image_size, path), log, settings)
        return found, log

    return run


def decoded(checked: image_check.CheckedImage) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(checked.encoded)))


@pytest.mark.parametrize(
    ("name", "mode", "save"),
    [
        ("a.jpg", "RGB", {}),
        ("a.JPEG", "L", {}),
        ("a.jpg", "RGB", {"progressive": True}),
        ("a.png", "RGB", {}),
        ("a.png", "L", {}),
    ],
)
def test_clean_pictures_are_copied(tmp_path: Path, write_image, check, name, mode, save):
    path = write_image(tmp_path / name, (200, 120), mode, **save)
    checked, log = check(path)
    assert checked.encoded == path.read_bytes()
    assert checked.format == ("png" if name.endswith("png") else "jpeg")
    assert checked.size == (120, 200)
    assert log.problems == []


def test_the_extension_does_not_decide_the_format(tmp_path: Path, write_image, check):
    path = write_image(tmp_path / "a.jpg", format="PNG")
    checked, log = check(path)
    assert (checked.encoded, checked.format) == (path.read_bytes(), "png")
    assert [str(p) for p in log.problems] == [f"{path}: is PNG, not .jpg"]
    assert not log.problems[0].fails_strict


@pytest.mark.parametrize(
    ("name", "mode", "save", "stored_as", "said"),
    [
        ("a.jpg", "CMYK", {}, "jpeg", "JPEG, mode CMYK"),
        ("a.webp", "RGB", {}, "jpeg", "WEBP, mode RGB"),
        ("a.png", "RGBA", {}, "png", "PNG, mode RGBA"),
        ("a.png", "LA", {}, "png", "PNG, mode LA"),
        ("a.png", "P", {}, "png", "PNG, mode P"),
        ("a.png", "1", {}, "png", "PNG, mode 1"),
        ("a.png", "RGB", {"transparency": (1, 2, 3)}, "png", "PNG, a transparent colour"),
        ("a.gif", "P", {}, "png", "GIF, mode P"),
        ("a.bmp", "RGB", {}, "png", "BMP, mode RGB"),
        ("a.tif", "RGB", {}, "png", "TIFF, mode RGB"),
    ],
)
def test_other_pictures_become_rgb(
    tmp_path: Path, write_image, check, name, mode, save, stored_as, said
):
    path = write_image(tmp_path / name, (200, 120), mode, **save)
    checked, log = check(path)
    assert checked.format == stored_as
    assert checked.size == (120, 200)
    assert decoded(checked).shape == (120, 200, 3)
    assert [(p.rule, p.fixed, p.detail) for p in log.problems] == [("image-reencoded", True, said)]
    tolerance = 0 if stored_as == "png" else 8
    expected = np.asarray(Image.open(path).convert("RGB"), int)
    assert np.abs(decoded(checked) - expected).mean() <= tolerance


def test_16_bits_keep_the_upper_8(tmp_path: Path, check):
    values = np.linspace(0, 65535, 6 * 5).reshape(5, 6).astype(np.uint16)
    path = tmp_path / "deep.png"
    Image.fromarray(values).save(path)
    checked, log = check(path)
    expected = np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    np.testing.assert_array_equal(decoded(checked), expected)
    assert log.problems[0].detail == "PNG, mode I;16"


def test_frames_after_the_first_are_said(tmp_path: Path, check):
    first, second = Image.new("RGB", (20, 12), "red"), Image.new("RGB", (20, 12), "blue")
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    _, log = check(tmp_path / "a.gif")
    assert log.problems[0].detail == "GIF, mode P, first of 2 frames"


def write_turned(path: Path, orientation: int, size: tuple[int, int] = (200, 120)) -> Path:
    """A picture whose upper left quarter is red; width before height."""
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = (255, 0, 0)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    image.save(path, exif=exif, quality=95)
    return path


# Stored 200x120, so the view turned by orientation 6 is 120x200 (width x height).
@pytest.mark.parametrize(
    ("stated_size", "boxes", "is_turned", "why"),
    [
        ((200, 120), [("cat", 10, 20, 30, 40)], True, "stated size is that of the turned view"),
        ((120, 200), [("cat", 10, 20, 30, 40)], False, "stated size is that of the stored pixels"),
        (None, [("cat", 10, 130, 30, 190)], True, "the boxes fit the turned view alone"),
        (None, [("cat", 130, 10, 190, 30)], False, "the boxes fit the stored pixels alone"),
        (None, [("cat", 10, 20, 30, 40)], False, "neither stated size nor boxes tell"),
        ((0, 0), [("cat", 10, 130, 30, 190)], True, "the boxes fit the turned view alone"),
        ((0, 0), [], False, "neither stated size nor boxes tell"),
        (None, [("cat", 10, 130, 30, 190), ("cat", 130, 1, 190, 9)], False, "neither"),
    ],
)
def test_exif_orientation(tmp_path: Path, check, stated_size, boxes, is_turned: bool, why: str):
    path = write_turned(tmp_path / "a.jpg", 6)
    checked, log = check(path, boxes, stated_size)
    assert [(p.rule, p.fixed) for p in log.problems] == [("exif-orientation", is_turned)]
    assert "EXIF orientation 6 (turned by 90 degrees)" in log.problems[0].detail
    assert why in log.problems[0].detail
    if not is_turned:
        assert (checked.encoded, checked.size) == (path.read_bytes(), (120, 200))
        return
    assert checked.size == (200, 120)
    pixels = decoded(checked)
    assert pixels.shape == (200, 120, 3)
    # Orientation 6 is shown turned clockwise: the red quarter comes to the upper right.
    assert pixels[20, 100].tolist()[1] < 60 < pixels[20, 20].tolist()[1]
    assert Image.open(io.BytesIO(checked.encoded)).getexif().get(ORIENTATION_TAG) is None


@pytest.mark.parametrize(("exif", "size"), [("stored", (120, 200)), ("turned", (200, 120))])
def test_the_view_may_be_said(tmp_path: Path, check, exif: str, size: tuple[int, int]):
    path = write_turned(tmp_path / "a.jpg", 6)
    checked, log = check(path, [("cat", 10, 20, 30, 40)], size[::-1], ImageSettings(exif=exif))
    assert checked.size == size
    assert f"--exif {exif} says so" in log.problems[0].detail


@pytest.mark.parametrize(("orientation", "size"), [(3, (200, 120)), (2, (200, 120)), (6, (90, 90))])
def test_orientations_that_nothing_can_tell_stay_as_stored(tmp_path, check, orientation, size):
    path = write_turned(tmp_path / "a.jpg", orientation, size)
    checked, log = check(path, [], size[::-1])
    assert checked.encoded == path.read_bytes()
    assert "both views have the same size" in log.problems[0].detail
    assert not log.problems[0].fails_strict


def test_orientation_1_is_nothing_to_speak_of(tmp_path: Path, check):
    assert check(write_turned(tmp_path / "a.jpg", 1))[1].problems == []


def _flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("a.jpg", lambda c: c[: len(c) // 2], "does not decode: .*truncated"),
        ("a.jpg", lambda c: c[:-2], "does not decode: .*truncated"),
        ("a.png", lambda c: c[:-12], "does not decode: truncated PNG"),
        ("a.png", lambda c: _flip(c, len(c) // 2), "does not decode: broken PNG"),
        ("a.png", lambda c: c[:30], "no picture of a known format"),
        ("a.jpg", lambda c: b"", "the file is empty"),
        ("a.jpg", lambda c: b"<html>404</html>", "no picture of a known format"),
        ("a.jpg", lambda c: b"%!PS-Adobe-3.0 EPSF-3.0\n", "no picture of a known format"),
        ("a.gif", lambda c: c[: len(c) // 3], "does not decode"),
    ],
    ids=["half", "no-end", "no-iend", "flipped", "header", "empty", "html", "eps", "gif"],
)
def test_broken_pictures_are_refused(tmp_path, write_image, check, name, damage, message):
    path = write_image(tmp_path / name)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RefusedError, match=message) as caught:
        check(path)
    assert caught.value.rule == "image-unreadable"


def test_a_picture_that_went_away(tmp_path: Path, check):
    with pytest.raises(RefusedError, match="cannot be read: No such file"):
        check(tmp_path / "gone.jpg")


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, write_image, check):
    path = write_image(tmp_path / "a.png")
    with pytest.raises(RefusedError, match=r"200x120 is more than 0\.02 megapixels") as refused:
        check(path, settings=ImageSettings(max_megapixels=0.02))
    assert refused.value.rule == "image-too-large"
    assert check(path, settings=ImageSettings(max_megapixels=0.024))[0].size == (120, 200)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_without_decoding_a_cut_off_file_is_still_refused(tmp_path, write_image, check, name):
    path = write_image(tmp_path / name)
    headers = ImageSettings(decodes=False)
    assert check(path, settings=headers)[0].encoded == path.read_bytes()
    whole = path.read_bytes()
    path.write_bytes(whole + b"camera notes" * 100)
    assert check(path, settings=headers)[0].size == (120, 200)
    path.write_bytes(whole[:-60])
    with pytest.raises(RefusedError, match=r"(JPEG|PNG) without its end: cut off"):
        check(path, settings=headers)


def test_float_pixels_are_refused(tmp_path: Path, check):
    Image.fromarray(np.zeros((5, 6), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(RefusedError, match="32-bit float pixels have no known range"):
        check(tmp_path / "a.tif")


def test_odd_images_decode_in_tensorflow_too_or_are_refused(shared: Path, check):
    import tensorflow as tf

    refused = set()
    for path in sorted((shared / "data" / "odd_images").iterdir()):
        if path.suffix in (".xml", ".csv", ".md"):
            continue
        try:
            checked, _ = check(path)
        except RefusedError:
            refused.add(path.name)
            continue
        pixels = tf.io.decode_image(checked.encoded, channels=3, expand_animations=False)
        assert pixels.shape[:2] == checked.size, path
        is_png = checked.encoded.startswith(b"\x89PNG")
        assert checked.format == ("png" if is_png else "jpeg"), path
    assert refused == {"broken.png", "broken_data_stream.png", "terrain1.jpg"}
