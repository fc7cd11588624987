"""TFRecords -> batches: for training again and again, augmented; for evaluation once, plain.

`train_dataset` and `eval_dataset` take plain arguments; `train_dataset_from_config` unpacks a
TrainEvalPipelineConfig message into them. An unusable record ends the iteration: iterate over
`explained(dataset)`, or hand the error to `explain`, to hear which record it is and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from ssd import image_resizer_builder
from ssd.core.image_resizer import ImageResizer, resize_bilinear_legacy
from ssd.data import augmentation, augmentation_builder, input_reader
from ssd.data.augmentation import Augmentation
from ssd.data.batch_slice import BatchSlice
from ssd.data.decoder import Decoder, Example
from ssd.data.example_source import ExampleSource
from ssd.data.groundtruth import (
    of_fixed_shape,
    truncated,
    with_class_targets,
)
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.standard_fields import InputFields

if TYPE_CHECKING:
    from ssd.label_map import LabelMap

# Batches made ready ahead. A fixed number: a buffer that grows by itself takes what memory it
# finds whenever the input is the slower side.
_PREFETCHED_BATCHES = 2

# How an InputError raised inside a Python op reads in the error of the iterator.
_CARRIED = re.compile(r"InputError: ([^\n]+)")

_F = InputFields


def train_dataset(
    *,
    record_index: RecordIndex,
    label_map: LabelMap | None,
    num_classes: int,
    augmentations: Sequence[Augmentation],
    image_resizer: ImageResizer,
    batch_size: int,
    max_number_of_boxes: int,
    seed: int,
    start_example: int = 0,
    shuffle: bool = True,
    num_epochs: int = 0,
    drop_remainder: bool = True,
    merge_multiple_label_boxes: bool = False,
    part: BatchSlice | None = None,
) -> tf.data.Dataset:
    """Returns a dataset of training batches, endless without `num_epochs`.

    Example i, counted from the beginning of the run, is the same whatever `start_example`, the
    batch size and the number of threads are: its record is position i % N of a permutation of all N
    records made of (seed, i // N), and the seed of its augmentations is made of (seed, i). A run
    that stopped after n batches goes on with start_example = n * batch_size.

    Args:
      record_index: the records; all of them are shuffled, not a window of them.
      label_map: see `Decoder`.
      num_classes: C.
      augmentations: ops of `augmentation`, applied in order.
      image_resizer: gives images the form that the network takes.
      batch_size: B; 1 for a resizer whose output size varies.
      max_number_of_boxes: G; an image with more keeps its first G boxes.
      seed: any int; decides the order of the records and all augmentations.
      start_example: number of the first example.
      shuffle: False reads the records in the order of the index, epoch after epoch.
      num_epochs: after so many passes over the records the dataset ends; 0: never.
      drop_remainder: False: a last batch may be smaller.
      merge_multiple_label_boxes: see `groundtruth.merge_equal_boxes`.
      part: the rows of every batch to read, for one of several workers; a last batch is full then.

    Returns:
      Batches: image float32 [B, H, W, 3], or 1 channel where the resizer makes it gray, in 0..255;
      true_image_shape int32 [B, 3]; source_id string [B]; original_image_size int32 [B, 2];
      groundtruth_boxes float32 [B, G, 4], relative to the image with its padding;
      groundtruth_classes_one_hot float32 [B, G, C], of several classes where boxes were merged, and
      groundtruth_weights float32 [B, G], rows from num_groundtruth_boxes int32 [B] on all zero;
      NUM_DROPPED_BOXES and NUM_TRUNCATED_BOXES int32 [B].

    Raises:
      InputError: images of different sizes cannot be one batch.
    """
    if image_resizer.output_size is None and batch_size != 1:
        raise InputError(
            f"train_config.batch_size: {batch_size}, but with this model.ssd.image_resizer every "
            "image has a size of its own; set it to 1, or take fixed_shape_resizer or "
            "keep_aspect_ratio_resizer with pad_to_max_dimension: true"
        )
    source = ExampleSource(
        record_index, Decoder(label_map), num_classes, shuffle_seed=seed if shuffle else None
    )
    # Two words, so that every seed of 64 bits is another run.
    root_seed = tf.constant([seed % 2**32, seed // 2**32 % 2**32], tf.int64)

    def make(number: tf.Tensor) -> Example:
        example_seed = tf.random.experimental.stateless_fold_in(root_seed, number)
        example = augmentation.apply(source.load(number), augmentations, example_seed)
        example = resized(example, image_resizer)
        example = with_class_targets(example, num_classes, merge_multiple_label_boxes)
        return of_fixed_shape(example, num_classes, max_number_of_boxes)

    end = len(record_index) * num_epochs if num_epochs else None
    examples = source.dataset(start_example, end, make, part)
    drops = drop_remainder or end is None
    rows = part.count if part else batch_size
    return examples.batch(rows, drop_remainder=drops).prefetch(_PREFETCHED_BATCHES)


def num_train_batches(config: Any, record_index: RecordIndex) -> int | None:
    """Returns after how many batches `train_dataset_from_config` ends; None for never."""
    reader, batch_size = config.train_input_reader, config.train_config.batch_size
    if not reader.num_epochs:
        return None
    count = len(record_index) * reader.num_epochs
    return count // batch_size if reader.drop_remainder else -(-count // batch_size)


def eval_dataset(
    *,
    record_index: RecordIndex,
    label_map: LabelMap | None,
    num_classes: int,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 1,
    max_number_of_boxes: int | None = None,
) -> tf.data.Dataset:
    """Returns each record once, in the order of the index, without augmentation.

    Args:
      record_index, label_map, num_classes: as for `train_dataset`.
      image_size: (H, W) to resize to; None leaves the images as they are, in batches of one.
      batch_size: B; the last batch may be smaller.
      max_number_of_boxes: keeps the first so many boxes of an image; None keeps all. (The TF
        Object Detection API cuts at 100 in evaluation too.)

    Returns:
      Batches: image float32 [B, H, W, 3] in 0..255, or uint8 [1, h, w, 3]; source_id string [B];
      original_image_size int32 [B, 2]; groundtruth_boxes float32 [B, G, 4]; groundtruth_classes
      int64 [B, G], class ids; groundtruth_weights and groundtruth_area float32 [B, G];
      groundtruth_is_crowd, groundtruth_difficult, groundtruth_group_of bool [B, G];
      num_groundtruth_boxes, NUM_DROPPED_BOXES and NUM_TRUNCATED_BOXES int32 [B]. G is the largest
      count of the batch; the other images have rows of zeros from num_groundtruth_boxes on.

    Raises:
      ValueError: several images of different sizes cannot be one batch.
    """
    if image_size is None and batch_size != 1:
        raise ValueError(f"batch_size {batch_size} needs an image_size; without one it is 1")
    source = ExampleSource(record_index, Decoder(label_map), num_classes)

    def make(number: tf.Tensor) -> Example:
        example = truncated(source.load(number), max_number_of_boxes)
        del example[_F.filename]
        if image_size is not None:
            example[_F.image] = _resize(example[_F.image], image_size)
        return example

    examples = source.dataset(0, len(record_index), make)
    return examples.padded_batch(batch_size).prefetch(_PREFETCHED_BATCHES)


def train_dataset_from_config(
    config: Any,
    *,
    seed: int,
    start_example: int = 0,
    record_index: RecordIndex | None = None,
    label_map: LabelMap | None = None,
    part: BatchSlice | None = None,
) -> tf.data.Dataset:
    """Returns `train_dataset` as a TrainEvalPipelineConfig message asks for it.

    Args:
      config: the message; model.ssd, train_config and train_input_reader are read.
      seed, start_example, part: as for `train_dataset`.
      record_index, label_map: what `input_reader` opens for this section; opened here when None.

    Raises:
      InputError: a file or a field is wrong; it is named.
    """
    reader, place = config.train_input_reader, "train_input_reader"
    num_classes = config.model.ssd.num_classes
    if record_index is None:
        record_index = input_reader.open_records(reader, place)
    if label_map is None:
        label_map = input_reader.open_label_map(reader, num_classes, place)
    return train_dataset(
        record_index=record_index,
        label_map=label_map,
        num_classes=num_classes,
        augmentations=augmentation_builder.build(config.train_config.data_augmentation_options),
        image_resizer=image_resizer_builder.build(config.model.ssd.image_resizer),
        batch_size=config.train_config.batch_size,
        max_number_of_boxes=reader.max_number_of_boxes,
        seed=seed,
        start_example=start_example,
        shuffle=reader.shuffle,
        num_epochs=reader.num_epochs,
        drop_remainder=reader.drop_remainder,
        merge_multiple_label_boxes=config.train_config.merge_multiple_label_boxes,
        part=part,
    )


def resized(example: Example, image_resizer: ImageResizer) -> Example:
    """Returns the example with its image resized, and boxes relative to the padded image."""
    image, true_shape = image_resizer(example[_F.image])
    size = image_resizer.output_size or (None, None)
    image = tf.ensure_shape(image, [*size, image_resizer.channels])
    boxes = example[_F.groundtruth_boxes]
    if image_resizer.has_padding:
        share = tf.cast(true_shape[:2], tf.float32) / tf.cast(tf.shape(image)[:2], tf.float32)
        boxes *= tf.tile(share, [2])
    return {
        **example,
        _F.image: image,
        _F.true_image_shape: true_shape,
        _F.groundtruth_boxes: boxes,
    }


def explained(dataset: tf.data.Dataset) -> Iterator[dict[str, tf.Tensor]]:
    """Yields the batches of a dataset of this file; an unusable record raises InputError."""
    batches = iter(dataset)
    while True:
        try:
            batch = next(batches, None)
        except tf.errors.OpError as error:
            raise explain(error) from error
        if batch is None:
            return
        yield batch


def explain(error: Exception) -> Exception:
    """Returns the InputError that an iterator's error carries, or `error` itself if it has none.

    The datasets of this file name the file, the byte and the source_id of the record that stopped
    them, but an iterator wraps that in an error of its own.
    """
    carried = _CARRIED.search(str(error))
    return InputError(carried[1]) if carried else error


def _resize(image: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    resized = resize_bilinear_legacy(tf.cast(image, tf.float32), image_size)
    return tf.ensure_shape(resized, [*image_size, 3])
