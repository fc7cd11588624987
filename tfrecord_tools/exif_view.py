"""Which view of a picture its boxes are on, where EXIF says that the stored pixels are turned."""

from __future__ import annotations

import numpy as np

from tfrecord_tools.annotations import StatedAnnotation

ORIENTATION_TAG = 0x0112
# Values of that tag that are something to speak of, in words.
TURNS = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored upside down",
    5: "mirrored and turned",
    6: "turned by 90 degrees",
    7: "mirrored and turned",
    8: "turned by 270 degrees",
}


def choose_view(
    orientation: int, stored: tuple[int, int], stated: StatedAnnotation, exif: str
) -> tuple[bool, str]:
    """Returns whether the boxes are those of the turned view, and the evidence in words.

    Args:
      orientation: a key of TURNS.
      stored: (height, width) of the stored pixels.
      stated: its size and boxes are the evidence.
      exif: "auto", or the view that a person names: "stored" or "turned".
    """
    if exif != "auto":
        return exif == "turned", f"--exif {exif} says so"
    turned = stored[::-1] if orientation >= 5 else stored
    if turned == stored:
        return False, "both views have the same size, the annotation cannot tell"
    if stated.image_size == turned:
        return True, "the stated size is that of the turned view"
    if stated.image_size == stored:
        return False, "the stated size is that of the stored pixels"
    if stated.is_normalized:
        return False, "boxes in shares of the picture do not tell the view"
    fits_stored, fits_turned = (_boxes_fit(stated.boxes_pixels, size) for size in (stored, turned))
    if fits_turned and not fits_stored:
        return True, "the boxes fit the turned view alone"
    if fits_stored and not fits_turned:
        return False, "the boxes fit the stored pixels alone"
    return False, "neither stated size nor boxes tell the view"


def _boxes_fit(boxes_pixels: np.ndarray, size: tuple[int, int]) -> bool:
    height, width = size
    slack = 1.0
    low, high = np.array([-slack] * 4), np.array([height, width, height, width]) + slack
    return bool(((boxes_pixels >= low) & (boxes_pixels <= high)).all())
