"""Detections on disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd.run_report import detection_store


def test_there_and_back(tmp_path: Path, random_images):
    path = tmp_path / "best/detections.npz"
    detection_store.save(path, random_images, 40)
    found = detection_store.load(path, 40)
    assert len(found) == len(random_images)
    for one, other in zip(found, random_images, strict=True):
        assert (one.number, one.source_id, one.image_size) == (
            other.number,
            other.source_id,
            other.image_size,
        )
        for name in ("boxes", "classes", "is_crowd"):
            field = f"groundtruth_{name}"
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        for name in ("boxes", "classes", "scores"):
            field = f"detection_{name}"
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert [p.name for p in path.parent.iterdir()] == ["detections.npz"]


def test_no_images_and_names_in_any_script(tmp_path: Path, make_image):
    detection_store.save(tmp_path / "a.npz", [], 7)
    assert detection_store.load(tmp_path / "a.npz", 7) == []
    image = make_image(3, [], [])
    object.__setattr__(image, "source_id", "写真/ä.jpg")
    detection_store.save(tmp_path / "b.npz", [image], 7)
    assert detection_store.load(tmp_path / "b.npz", 7)[0].source_id == "写真/ä.jpg"


@pytest.mark.parametrize("damage", ["absent", "other step", "cut", "empty", "text"])
def test_nothing_is_made_of_what_is_not_whole(tmp_path: Path, random_images, damage):
    path = tmp_path / "detections.npz"
    if damage != "absent":
        detection_store.save(path, random_images, 40)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif damage in ("empty", "text"):
        path.write_text("" if damage == "empty" else "no archive")
    assert detection_store.load(path, 41 if damage == "other step" else 40) is None
