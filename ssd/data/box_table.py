"""The boxes of records, without their pictures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from PIL import Image

from ssd.data import record_faults
from ssd.data.decoder import UNKNOWN_CLASS_ID, Decoder
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.standard_fields import LABEL_ID_OFFSET, TfExampleFields

_F = TfExampleFields
_SIDES = (_F.object_bbox_ymin, _F.object_bbox_xmin, _F.object_bbox_ymax, _F.object_bbox_xmax)
_BATCH_RECORDS, _BATCH_BYTES = 256, 1 << 25


@dataclass(frozen=True)
class BoxTable:
    """Boxes of many images.

    Attributes:
      boxes: float32 [M, 4], yxyx normalized.
      class_ids: int64 [M], 1..C.
      image_sizes: int32 [M, 2], (height, width) of the picture of each box; zeros where they were
        not asked for.
      num_images: records read, those without boxes too.
      num_dropped: boxes that training leaves out, because a coordinate is NaN.
    """

    boxes: np.ndarray
    class_ids: np.ndarray
    image_sizes: np.ndarray
    num_images: int
    num_dropped: int


def read(
    index: RecordIndex,
    label_map: LabelMap,
    *,
    with_sizes: bool = False,
    progress: Iterable[int] | None = None,
) -> BoxTable:
    """Returns the boxes that training on these records would see, in the order of the index.

    Class ids are those of `Decoder`.

    Args:
      index: the records.
      label_map: of the records.
      with_sizes: whether to look up the size of every picture, in its header.
      progress: the numbers of the records to read, such as a progress bar; None for all.

    Raises:
      InputError: a record is damaged or unusable; the message says which and why.
    """
    decode = Decoder(label_map)
    parts, num_images, num_dropped = [_no_boxes()], 0, 0
    for numbers in _batches(index, range(len(index)) if progress is None else progress):
        records = [index.read(number) for number in numbers]
        try:
            boxes, class_ids, counts = _parse(records, decode)
        except (tf.errors.OpError, ValueError):
            raise _fault(index, numbers, decode, label_map.num_classes) from None
        is_kept = ~np.isnan(boxes).any(axis=1)
        boxes, class_ids = boxes[is_kept], class_ids[is_kept]
        is_known = (class_ids >= LABEL_ID_OFFSET) & (class_ids <= label_map.num_classes)
        if not (_are_usable(boxes) and is_known.all()):
            raise _fault(index, numbers, decode, label_map.num_classes)
        sizes = np.zeros((len(records), 2), np.int32)
        if with_sizes:
            sizes = _picture_sizes(index, numbers, records, decode, label_map.num_classes)
        parts.append((boxes, class_ids, np.repeat(sizes, counts, axis=0)[is_kept]))
        num_images += len(records)
        num_dropped += int(np.count_nonzero(~is_kept))
    boxes, class_ids, sizes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return BoxTable(boxes, class_ids, sizes, num_images, num_dropped)


def _no_boxes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros((0, 2), np.int32)


def _batches(index: RecordIndex, numbers: Iterable[int]) -> Iterator[list[int]]:
    """Yields numbers of records that are small enough to be held together."""
    batch: list[int] = []
    size = 0
    for number in numbers:
        batch.append(number)
        size += int(index.lengths[number])
        if len(batch) == _BATCH_RECORDS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _parse(records: list[bytes], decode: Decoder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns boxes [N, 4] and class ids [N] of all records, and N of each.

    Raises:
      ValueError: per-box lists of a record have different lengths.
    """
    spec = {key: tf.io.RaggedFeature(tf.float32) for key in _SIDES}
    spec[_F.object_class_text] = tf.io.RaggedFeature(tf.string)
    spec[_F.object_class_label] = tf.io.RaggedFeature(tf.int64)
    parsed = tf.io.parse_example(records, spec)
    counts = parsed[_SIDES[0]].row_lengths().numpy()
    columns = []
    for side in _SIDES:
        _require(np.array_equal(parsed[side].row_lengths(), counts))
        columns.append(parsed[side].flat_values.numpy())
    texts, labels = parsed[_F.object_class_text], parsed[_F.object_class_label]
    num_texts, num_labels = texts.row_lengths().numpy(), labels.row_lengths().numpy()
    _require(np.all((num_texts == counts) | (num_texts == 0)))
    _require(np.all((num_labels == counts) | (num_texts > 0)))
    features = {
        _F.object_class_text: _per_box(texts, counts, b""),
        _F.object_class_label: _per_box(labels, counts, UNKNOWN_CLASS_ID),
    }
    class_ids = decode.class_ids(features).numpy()
    return np.stack(columns, axis=-1), class_ids, counts


def _per_box(values: tf.RaggedTensor, counts: np.ndarray, absent: int | bytes) -> tf.Tensor:
    """Returns one value per box, `absent` for those of records that have not one for each."""
    is_there = values.row_lengths().numpy() == counts
    flat = np.full(int(counts.sum()), absent, object if values.dtype == tf.string else np.int64)
    flat[np.repeat(is_there, counts)] = tf.ragged.boolean_mask(values, is_there).flat_values.numpy()
    return tf.constant(flat, values.dtype)


def _require(is_true: bool | np.bool_) -> None:
    if not is_true:
        raise ValueError("lists of different lengths")


def _are_usable(boxes: np.ndarray) -> bool:
    low, high = record_faults.BOX_LIMITS
    is_near = (boxes >= low) & (boxes <= high)
    return bool(is_near.all() and (boxes[:, :2] <= boxes[:, 2:]).all())


def _picture_sizes(
    index: RecordIndex, numbers: list[int], records: list[bytes], decode: Decoder, num_classes: int
) -> np.ndarray:
    spec = {_F.image_encoded: tf.io.FixedLenFeature([], tf.string, "")}
    encoded = tf.io.parse_example(records, spec)
    sizes = []
    for number, picture in zip(numbers, encoded[_F.image_encoded].numpy(), strict=True):
        try:
            with Image.open(io.BytesIO(picture)) as image:
                sizes.append((image.height, image.width))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            raise _fault(index, [number], decode, num_classes) from None
    return np.array(sizes, np.int32).reshape(-1, 2)


def _fault(index: RecordIndex, numbers: list[int], decode: Decoder, num_classes: int) -> InputError:
    """Returns what is wrong with the first unusable one of these records."""
    for number in numbers:
        fault = record_faults.find(index.read(number), decode, num_classes)
        if fault:
            return InputError(f"{index.place(number)}: {fault}")
    return InputError(
        f"{index.place(numbers[0])}: this or one of the next {len(numbers) - 1} records could not "
        "be used, yet a second look finds nothing wrong; free some memory and start again"
    )
