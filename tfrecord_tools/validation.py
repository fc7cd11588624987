"""Turns the boxes that a file states into boxes that training can use, and says what it mended."""

from __future__ import annotations

import numpy as np

from tfrecord_tools.annotations import ImageAnnotation, ProblemLog, StatedAnnotation

# Sizes and sums in annotation files are rounded; so little outside is no mistake.
ROUNDING_PIXELS = 0.05


def validate(
    stated: StatedAnnotation, image_size: tuple[int, int], log: ProblemLog
) -> ImageAnnotation:
    """Returns the annotation with boxes normalized by the decoded size, sound, none without area.

    Inverted corners are swapped, what reaches outside is clipped, boxes without area and second
    copies of a box are dropped. Every such step is noted in `log`. There is no 1-pixel shift, as
    in the TF Object Detection API. The one picture whose boxes are divided by the stated size is
    one that was evidently resized after annotation: same shape, another size, and boxes that fit
    the stated size but not the picture.

    Args:
      stated: as the reader found it.
      image_size: (height, width) of the decoded picture.
    """
    boxes_size = _annotated_size(stated, image_size, log)
    limits = np.array([*boxes_size, *boxes_size], np.float64)
    # Shares are turned into pixels so that all that follows is said in one unit.
    written = stated.boxes_pixels * limits if stated.is_normalized else stated.boxes_pixels
    clipped, keep = _mend(stated, written, boxes_size, log)
    boxes = (clipped / limits).astype(np.float32)
    keep = _drop_duplicates(stated, written, boxes, keep, log)
    area = _areas(stated, clipped, boxes_size, image_size)
    if not keep.any():
        log.add("no-objects", stated.file, "no boxes; kept as a negative")
    kept = np.flatnonzero(keep)
    return ImageAnnotation(
        source_id=stated.source_id,
        filename=stated.image_name,
        image_size=image_size,
        boxes=boxes[kept],
        class_names=tuple(stated.class_names[i] for i in kept),
        difficult=stated.difficult[kept],
        truncated=stated.truncated[kept],
        is_crowd=stated.is_crowd[kept],
        area=area[kept],
        group_of=None if stated.group_of is None else stated.group_of[kept],
    )


def _annotated_size(
    stated: StatedAnnotation, image_size: tuple[int, int], log: ProblemLog
) -> tuple[int, int]:
    """Returns the (height, width) that the boxes refer to."""
    if stated.image_size is None or stated.image_size == image_size:
        return image_size
    (height, width), (stated_height, stated_width) = image_size, stated.image_size
    said = f"states {stated_width}x{stated_height}, the picture is {width}x{height}"
    has_same_shape = (
        min(stated.image_size) > 0
        and abs(stated_height * width / (stated_width * height) - 1) < 0.01
    )
    if stated.is_normalized:
        log.add("size-mismatch", stated.file, f"{said}; its boxes are shares", fixed=True)
        return image_size
    far_corners = stated.boxes_pixels[:, 2:].max(axis=0, initial=0)
    exceeds_picture = bool((far_corners > np.array(image_size) + 2).any())
    fits_stated = bool((far_corners <= np.array(stated.image_size) + 1).all())
    if has_same_shape and exceeds_picture and fits_stated:
        said += ": resized after annotation, the boxes fit the stated size alone and are scaled"
        log.add("size-mismatch", stated.file, said, fixed=True)
        return stated.image_size
    said += ", whose size is used"
    if has_same_shape:
        said += "; was it resized after annotation? Then its boxes are wrong"
    log.add("size-mismatch", stated.file, said, fixed=True)
    return image_size


def _mend(
    stated: StatedAnnotation, written: np.ndarray, size: tuple[int, int], log: ProblemLog
) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 [N, 4] pixels, swapped and clipped; and which boxes keep an area [N]."""
    height, width = size
    limits = np.array([height, width, height, width], np.float64)
    low, high = written[:, :2], written[:, 2:]
    ordered = np.concatenate([np.minimum(low, high), np.maximum(low, high)], axis=-1)
    clipped = np.minimum(np.maximum(ordered, 0.0), limits)
    shares = (clipped / limits).astype(np.float32)
    is_lost = (shares[:, 2:] <= shares[:, :2]).any(axis=-1)
    is_inverted = np.asarray((high < low).any(axis=-1))
    is_outside = np.asarray((np.abs(clipped - ordered) > ROUNDING_PIXELS).any(axis=-1))
    if not (is_lost | is_inverted | is_outside).any():
        return clipped, ~is_lost
    sides = ordered[:, 2:] - ordered[:, :2]
    has_no_area = np.asarray((sides <= 0).any(axis=-1) | (is_lost & ~is_outside))
    for i in np.flatnonzero(is_inverted | has_no_area | is_outside):
        what = f"{stated.class_names[i]} {_corners(written[i])}"
        number = stated.object_numbers[i]
        if is_inverted[i] and not has_no_area[i]:
            log.add("box-inverted", stated.file, f"{what} has max < min; swapped", number, True)
        if has_no_area[i]:
            log.add("box-zero-area", stated.file, f"{what} has no area; dropped", number, True)
        elif is_lost[i]:
            outcome = f"lies wholly outside {width}x{height}; dropped"
            log.add("box-outside", stated.file, f"{what} {outcome}", number, True)
        elif is_outside[i]:
            outcome = f"reaches outside {width}x{height}; clipped to {_corners(clipped[i])}"
            log.add("box-outside", stated.file, f"{what} {outcome}", number, True)
    return clipped, ~is_lost


def _drop_duplicates(
    stated: StatedAnnotation,
    written: np.ndarray,
    boxes: np.ndarray,
    keep: np.ndarray,
    log: ProblemLog,
) -> np.ndarray:
    rows, is_crowd = boxes.tolist(), stated.is_crowd.tolist()
    keep = keep.copy()
    first: dict[tuple[object, ...], int] = {}
    for i in np.flatnonzero(keep).tolist():
        key = (stated.class_names[i], is_crowd[i], *rows[i])
        number = stated.object_numbers[i]
        if key in first:
            detail = f"{stated.class_names[i]} {_corners(written[i])} "
            detail += f"is the box of object {first[key]} again; dropped"
            log.add("duplicate-box", stated.file, detail, number, True)
            keep[i] = False
        first.setdefault(key, number)
    return keep


def _areas(
    stated: StatedAnnotation,
    clipped: np.ndarray,
    boxes_size: tuple[int, int],
    image_size: tuple[int, int],
) -> np.ndarray:
    """Returns float32 [N] square pixels: the stated area (of a mask, in COCO), else the box's."""
    height, width = image_size
    scale = height * width / (boxes_size[0] * boxes_size[1])
    sides = clipped[:, 2:] - clipped[:, :2]
    is_stated = np.isfinite(stated.area) & (stated.area > 0)
    area = np.where(is_stated, stated.area, sides[:, 0] * sides[:, 1])
    return (area * scale).astype(np.float32)


def _corners(box: np.ndarray) -> str:
    ymin, xmin, ymax, xmax = (f"{value:g}" for value in np.round(box, 2))
    return f"(xmin {xmin}, ymin {ymin}, xmax {xmax}, ymax {ymax})"
