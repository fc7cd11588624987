"""Images per second from TFRecords to training batches, beside the shortest tf.data pipeline.

    python benchmarks/input_pipeline.py [--images 400] [--batch-size 16] [--repeats 3]

The reference reads, decodes and resizes the same records and does nothing else: no boxes, no
shuffling, no augmentation, no exact resume. Each row is the best of the repeats, which take turns.
"of reference" is what to compare between machines; on a busy one trust images per CPU second, since
the other processes do not count there.
"""

from __future__ import annotations

import argparse
import functools
import io
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf
from PIL import Image

from ssd.core.image_resizer import FixedShapeResizer
from ssd.data import augmentation, input_pipeline, record_index
from ssd.standard_fields import TfExampleFields

_IMAGE_SIZE = (320, 320)
_BOXES_PER_IMAGE = 8
_PIXELS = (480, 640)
_SETTLE_SECONDS = 0.2


def main() -> None:
    """Writes records into a temporary folder, measures, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "benchmark.tfrecord")
        write_records(path, arguments.images)
        kilobytes = os.path.getsize(path) / arguments.images / 1000
        print(
            f"{arguments.images} JPEGs {_PIXELS[1]}x{_PIXELS[0]}, {kilobytes:.0f} kB each -> "
            f"{_IMAGE_SIZE[1]}x{_IMAGE_SIZE[0]}, batch {arguments.batch_size}, "
            f"{os.cpu_count()} CPUs"
        )
        report(measure(pipelines(path, arguments.batch_size), arguments))


def write_records(path: str, count: int) -> None:
    """Writes `count` records of smooth random pictures, which compress about like photos."""
    random = np.random.default_rng(0)
    with tf.io.TFRecordWriter(path) as writer:
        for _ in range(count):
            writer.write(_record(random))


def _record(random: np.random.Generator) -> bytes:
    coarse = random.integers(0, 256, (48, 64, 3), np.uint8)
    picture = Image.fromarray(coarse).resize(_PIXELS[::-1], Image.Resampling.BICUBIC)
    grain = random.integers(-12, 13, (*_PIXELS, 3))
    picture = Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=85)
    low, sides = random.uniform(0.0, 0.6, (2, _BOXES_PER_IMAGE, 2))
    high = np.minimum(low + 0.1 + sides / 2, 1.0)
    fields = TfExampleFields
    bytes_list, floats, ints = tf.train.BytesList, tf.train.FloatList, tf.train.Int64List
    feature = {
        fields.image_encoded: tf.train.Feature(bytes_list=bytes_list(value=[jpeg.getvalue()])),
        fields.object_bbox_ymin: tf.train.Feature(float_list=floats(value=low[:, 0])),
        fields.object_bbox_xmin: tf.train.Feature(float_list=floats(value=low[:, 1])),
        fields.object_bbox_ymax: tf.train.Feature(float_list=floats(value=high[:, 0])),
        fields.object_bbox_xmax: tf.train.Feature(float_list=floats(value=high[:, 1])),
        fields.object_class_label: tf.train.Feature(
            int64_list=ints(value=random.integers(1, 4, _BOXES_PER_IMAGE))
        ),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def pipelines(path: str, batch_size: int) -> dict[str, tf.data.Dataset]:
    """Returns the endless datasets to compare; the first one is the reference."""
    flip = augmentation.random_horizontal_flip
    zoo_crop = functools.partial(
        augmentation.random_crop_image,
        min_object_covered=0.0,
        max_aspect_ratio=3.0,
        min_area=0.75,
        overlap_thresh=0.0,
    )
    train = functools.partial(
        input_pipeline.train_dataset,
        record_index=record_index.index_records(path),
        label_map=None,
        num_classes=3,
        image_resizer=FixedShapeResizer(*_IMAGE_SIZE),
        batch_size=batch_size,
        max_number_of_boxes=100,
        seed=0,
    )
    return {
        "reference: read, decode, resize": _reference(path, batch_size),
        "train, no augmentation": train(augmentations=()),
        "train, flip and crop": train(augmentations=(flip, zoo_crop)),
        "train, flip and ssd crop": train(augmentations=(flip, augmentation.ssd_random_crop)),
    }


def _reference(path: str, batch_size: int) -> tf.data.Dataset:
    spec = {TfExampleFields.image_encoded: tf.io.FixedLenFeature([], tf.string)}

    def image(serialized: tf.Tensor) -> tf.Tensor:
        encoded = tf.io.parse_single_example(serialized, spec)[TfExampleFields.image_encoded]
        return tf.image.resize(tf.io.decode_jpeg(encoded, channels=3), _IMAGE_SIZE)

    records = tf.data.TFRecordDataset(path).repeat()
    images = records.map(image, num_parallel_calls=os.cpu_count())
    return images.batch(batch_size, drop_remainder=True).prefetch(2)


def measure(
    datasets: dict[str, tf.data.Dataset], arguments: argparse.Namespace
) -> dict[str, tuple[float, float]]:
    """Returns images per second and per CPU second, by name; the best of the repeats."""
    batches = max(arguments.images // arguments.batch_size, 1)
    iterators = {name: iter(dataset) for name, dataset in datasets.items()}
    for iterator in iterators.values():
        next(iterator)
    best = dict.fromkeys(datasets, (0.0, 0.0))
    for _ in range(arguments.repeats):
        for name, iterator in iterators.items():
            # Whoever is not asked fills its buffer and then rests.
            time.sleep(_SETTLE_SECONDS)
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(batches):
                next(iterator)
            wall = time.perf_counter() - wall
            time.sleep(_SETTLE_SECONDS)
            cpu = time.process_time() - cpu
            images = batches * arguments.batch_size
            best[name] = max(best[name][0], images / wall), max(best[name][1], images / cpu)
    return best


def report(speeds: dict[str, tuple[float, float]]) -> None:
    """Prints one line per dataset: both speeds and their ratios to those of the first."""
    reference = next(iter(speeds.values()))
    for name, (wall, cpu) in speeds.items():
        print(
            f"{name:<32}{wall:6.0f} images/s {wall / reference[0]:5.2f} of reference"
            f"{cpu:8.0f} per CPU second {cpu / reference[1]:5.2f} of reference"
        )


if __name__ == "__main__":
    main()
