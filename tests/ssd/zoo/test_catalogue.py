"""The four archives and their names."""

from __future__ import annotations

import pytest

from ssd import zoo
from ssd.errors import InputError
from ssd.zoo import catalogue


def test_the_catalogue_has_the_four_archives():
    assert {model.path: (model.image_size, model.coco_ap) for model in zoo.CATALOGUE} == {
        "tf2/20200711/ssd_mobilenet_v2_320x320_coco17_tpu-8.tar.gz": ((320, 320), 20.2),
        "tf2/20200711/ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8.tar.gz": ((640, 640), 29.1),
        "tf2/20200711/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.tar.gz": ((320, 320), 22.2),
        "tf2/20200711/ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8.tar.gz": ((640, 640), 28.2),
    }


def test_short_names_are_names(model):
    assert catalogue.find(model.short_name) is catalogue.find(model.name)
    assert zoo.is_known(model.short_name)
    assert not zoo.is_known("ssd_mobilenet")


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(
        InputError, match=r"^ssd_mobilenet_v2_fpnlite_320: .*mean ssd_mob\w*320x320\?"
    ):
        zoo.fetch("ssd_mobilenet_v2_fpnlite_320")
