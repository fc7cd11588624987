from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ssd.demo import val_pictures
from ssd.errors import InputError


def test_the_pictures_of_the_validation_records(tiny_data, tiny_voc, tmp_path):
    paths = val_pictures.write(tiny_data, tmp_path)
    assert [path.name for path in paths] == ["p5_0.png", "p4_1.png"]
    for path, name in zip(paths, ("p5", "p4"), strict=True):
        with Image.open(path) as ours, Image.open(tiny_voc / f"images/{name}.png") as original:
            np.testing.assert_array_equal(ours.convert("RGB"), original.convert("RGB"))


def test_a_few_of_many(tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr(val_pictures, "MOST_PICTURES", 1)
    assert [path.name for path in val_pictures.write(tiny_data, tmp_path)] == ["p5_0.png"]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        pytest.param("nowhere", r"--data: .*nowhere is no folder; one made by `convert`", id="no"),
        pytest.param(".", r"--data: .*val-\*\.tfrecord", id="empty"),
    ],
)
def test_no_records(folder, message, tmp_path):
    with pytest.raises(InputError, match=message):
        val_pictures.write(tmp_path / folder, tmp_path)
