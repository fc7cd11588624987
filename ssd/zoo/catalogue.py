"""The SSD-MobileNet models of the TensorFlow 2 detection zoo, and their names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from ssd.errors import InputError

_SUFFIX = "_coco17_tpu-8"


@dataclass(frozen=True)
class ZooModel:
    """One archive of the zoo.

    Attributes:
      name: as in the zoo; `short_name`, without data set and device, is accepted as well.
      date: of the release, yyyymmdd, part of the address.
      image_size: (height, width) of the model's input.
      coco_ap: AP on COCO 2017 as the zoo's own table quotes it, in percent.
    """

    name: str
    date: str
    image_size: tuple[int, int]
    coco_ap: float

    @property
    def short_name(self) -> str:
        return self.name.removesuffix(_SUFFIX)

    @property
    def path(self) -> str:
        """Where the archive lies below the server's base."""
        return f"tf2/{self.date}/{self.name}.tar.gz"


CATALOGUE = (
    ZooModel("ssd_mobilenet_v2_320x320_coco17_tpu-8", "20200711", (320, 320), 20.2),
    ZooModel("ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8", "20200711", (640, 640), 29.1),
    ZooModel("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", "20200711", (320, 320), 22.2),
    ZooModel("ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8", "20200711", (640, 640), 28.2),
)


def is_known(name: str) -> bool:
    """Returns whether `name` is a catalogue name, full or short."""
    return any(name in (model.name, model.short_name) for model in CATALOGUE)


def find(name: str) -> ZooModel:
    """Returns the catalogue's model of that full or short name.

    Raises:
      InputError: there is none; the message suggests the nearest name.
    """
    for model in CATALOGUE:
        if name in (model.name, model.short_name):
            return model
    raise InputError(f"{name}: not a model of the zoo{suggestion(name)}; `zoo list` prints them")


def suggestion(name: str) -> str:
    """Returns ", did you mean ...?" with the nearest name, or "" where none is near."""
    names = [text for model in CATALOGUE for text in (model.short_name, model.name)]
    near = difflib.get_close_matches(name, names, n=1)
    return f", did you mean {near[0]}?" if near else ""
