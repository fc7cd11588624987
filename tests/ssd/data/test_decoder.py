"""One record -> tensors."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ssd.data.decoder import NUM_DROPPED_BOXES, PARSE_SPEC, PER_BOX_FIELDS, Decoder, keep_boxes
from ssd.data.record_index import index_records
from ssd.label_map import LabelMap, LabelMapItem
from ssd.standard_fields import InputFields, TfExampleFields

NAN = float("nan")
# Ids with a gap, and a class that people know by its display name.
LABELS = LabelMap(
    (LabelMapItem(1, "cat"), LabelMapItem(3, "/m/01yrx", "dog"), LabelMapItem(4, "cow"))
)
BOXES = ((0.1, 0.2, 0.4, 0.7), (0.0, 0.0, 0.3, 0.9), (0.25, 0.5, 0.75, 0.6))

_F = InputFields
_T = TfExampleFields


def test_every_field_of_a_full_record(record: Callable[..., bytes], pixels: np.ndarray) -> None:
    more = {
        _T.filename: ["photos/one.png"],
        _T.height: [120],
        _T.width: [200],
        _T.object_weight: [0.5, 1.0, 2.0],
        _T.object_area: [11.0, 22.0, 33.0],
        _T.object_is_crowd: [0, 1, 0],
        _T.object_difficult: [1, 0, 0],
        _T.object_group_of: [0, 0, 1],
        _T.object_truncated: [0, 0, 1],
        _T.object_view: ["Frontal", "Left", "Unspecified"],
        _T.neg_category_ids: [7, 8],
        _T.not_exhaustive_category_ids: [9],
        _T.image_class_text: ["indoors"],
        _T.image_class_label: [5],
        _T.image_class_confidence: [0.75],
        _T.object_keypoint_x: [0.5],
        _T.object_keypoint_y: [0.5],
        _T.object_keypoint_visibility: [2],
        _T.object_mask: [b"mask one", b"mask two", b"mask three"],
    }
    example = Decoder(None)(record("img 7", BOXES, (1, 3, 2), more))
    np.testing.assert_array_equal(example[_F.image], pixels)
    assert example[_F.image].dtype == tf.uint8
    assert example[_F.source_id].numpy() == b"img 7"
    assert example[_F.filename].numpy() == b"photos/one.png"
    assert example[_F.original_image_size].numpy().tolist() == [120, 200]
    np.testing.assert_array_equal(example[_F.groundtruth_boxes], np.array(BOXES, np.float32))
    assert example[_F.groundtruth_classes].numpy().tolist() == [1, 3, 2]
    assert example[_F.groundtruth_weights].numpy().tolist() == [0.5, 1.0, 2.0]
    assert example[_F.groundtruth_area].numpy().tolist() == [11.0, 22.0, 33.0]
    assert example[_F.groundtruth_is_crowd].numpy().tolist() == [False, True, False]
    assert example[_F.groundtruth_difficult].numpy().tolist() == [True, False, False]
    assert example[_F.groundtruth_group_of].numpy().tolist() == [False, False, True]
    assert example[NUM_DROPPED_BOXES].numpy() == 0


def test_defaults_of_a_bare_record(record: Callable[..., bytes]) -> None:
    bare = {_T.image_format: None, _T.source_id: None}
    example = Decoder(None)(record("", BOXES, (1, 3, 2), bare))
    assert example[_F.source_id].numpy() == b""
    assert example[_F.filename].numpy() == b""
    assert example[_F.groundtruth_weights].numpy().tolist() == [1.0, 1.0, 1.0]
    # Sides in pixels of the 120 x 200 image: .3*120 x .5*200, .3*120 x .9*200, .5*120 x .1*200.
    np.testing.assert_allclose(
        example[_F.groundtruth_area], [36 * 100, 36 * 180, 60 * 20], rtol=1e-6
    )
    for key in (_F.groundtruth_is_crowd, _F.groundtruth_difficult, _F.groundtruth_group_of):
        assert example[key].numpy().tolist() == [False, False, False]


@pytest.mark.parametrize("labels", [None, LABELS], ids=["ids", "texts"])
def test_a_record_without_boxes(record: Callable[..., bytes], labels: LabelMap | None) -> None:
    example = Decoder(labels)(record(boxes=(), classes=()))
    assert example[_F.groundtruth_boxes].shape == (0, 4)
    assert all(example[key].shape[0] == 0 for key in PER_BOX_FIELDS)
    assert example[NUM_DROPPED_BOXES].numpy() == 0


@pytest.mark.parametrize(
    ("labels", "texts", "ids", "expected"),
    [
        (LABELS, ("cat", "cow", "cat"), (2, 2, 2), (1, 4, 1)),
        (LABELS, ("dog", "/m/01yrx", "cow"), (1, 1, 1), (3, 3, 4)),
        (LABELS, ("Cat", "cow", "cat "), (1, 1, 1), (-1, 4, -1)),
        (LABELS, ("", "cat", ""), (4, 2, 3), (4, 1, 3)),
        (LABELS, ("", "cat", "cow"), None, (-1, 1, 4)),
        (LABELS, (), (4, 3, 1), (4, 3, 1)),
        (LABELS, None, (4, 3, 1), (4, 3, 1)),
        (LABELS, ("cow", "cow", "cat"), None, (4, 4, 1)),
        (None, ("cow", "cow", "cat"), (2, 5, 1), (2, 5, 1)),
        (None, ("cow", "cow"), (2, -1, 1), (2, -1, 1)),
    ],
    ids=[
        "text wins over id",
        "display name or name",
        "letters and spaces count",
        "empty text: id",
        "empty text without id",
        "empty list of texts: id",
        "no list of texts: id",
        "text without id",
        "no label map: id",
        "no label map: texts are not even counted",
    ],
)
def test_label_rule(
    record: Callable[..., bytes],
    labels: LabelMap | None,
    texts: tuple[str, ...] | None,
    ids: tuple[int, ...] | None,
    expected: tuple[int, ...],
) -> None:
    more = {_T.object_class_text: texts}
    if ids is None:
        more[_T.object_class_label] = None
    example = Decoder(labels)(record(boxes=BOXES, classes=ids or (), more=more))
    assert example[_F.groundtruth_classes].numpy().tolist() == list(expected)
    assert example[NUM_DROPPED_BOXES].numpy() == 0


def test_dropped_boxes_leave_every_field(record: Callable[..., bytes]) -> None:
    boxes = ((0.1, 0.2, 0.4, 0.7), (0.0, NAN, 0.3, 0.9), (0.2, 0.5, 0.7, 0.6), (0.3, 0, 0.5, NAN))
    more = {
        _T.object_class_text: ["cat", "cow", "horse", "horse"],
        _T.object_weight: [0.25, 0.5, 0.75, 1.0],
        _T.object_is_crowd: [1, 0, 0, 0],
    }
    example = Decoder(LABELS)(record(boxes=boxes, more=more))
    assert example[NUM_DROPPED_BOXES].numpy() == 2
    np.testing.assert_allclose(example[_F.groundtruth_boxes], [boxes[0], boxes[2]], rtol=1e-7)
    assert example[_F.groundtruth_weights].numpy().tolist() == [0.25, 0.75]
    assert example[_F.groundtruth_is_crowd].numpy().tolist() == [True, False]
    assert all(example[key].shape[0] == 2 for key in PER_BOX_FIELDS)


def test_keep_boxes_leaves_other_fields_and_the_input_alone() -> None:
    example = {_F.groundtruth_weights: tf.constant([1.0, 2.0]), _F.source_id: tf.constant("a")}
    kept = keep_boxes(example, tf.constant([False, True]))
    assert kept[_F.groundtruth_weights].numpy().tolist() == [2.0]
    assert kept[_F.source_id].numpy() == b"a"
    assert example[_F.groundtruth_weights].numpy().tolist() == [1.0, 2.0]


def _saved(pixels: np.ndarray, kind: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("BMP", "RGB"), ("GIF", "P"), ("JPEG", "L")],
)
def test_images_of_every_kind_have_three_channels(
    record: Callable[..., bytes], pixels: np.ndarray, kind: str, mode: str
) -> None:
    more = {_T.image_encoded: [_saved(pixels, kind, mode)], _T.image_format: ["jpg"]}
    image = Decoder(None)(record(more=more))[_F.image].numpy()
    assert image.shape == (120, 200, 3)
    if mode in ("RGB", "RGBA"):
        np.testing.assert_array_equal(image, pixels)


def test_a_gif_gives_its_first_frame(record: Callable[..., bytes]) -> None:
    frames = [Image.new("P", (20, 12), color) for color in (3, 200)]
    stream = io.BytesIO()
    frames[0].putpalette([v for n in range(256) for v in (n, 0, 255 - n)])
    frames[1].putpalette([v for n in range(256) for v in (n, 0, 255 - n)])
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    image = Decoder(None)(record(more={_T.image_encoded: [stream.getvalue()]}))[_F.image].numpy()
    assert image.shape == (12, 20, 3)
    assert image[5, 5].tolist() == [3, 0, 252]


def test_jpeg_is_decoded_with_the_default_and_fast_dct(
    record: Callable[..., bytes], shared: Path
) -> None:
    encoded = (shared / "data/bccd_voc/JPEGImages/BloodImage_00000.jpg").read_bytes()
    image = Decoder(None)(record(more={_T.image_encoded: [encoded]}))[_F.image]
    np.testing.assert_array_equal(image, tf.io.decode_jpeg(encoded))
    np.testing.assert_array_equal(image, tf.io.decode_jpeg(encoded, dct_method="INTEGER_FAST"))
    assert np.any(image != tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE"))


@pytest.mark.parametrize("labels", [None, LABELS], ids=["ids", "texts"])
def test_inside_tf_data_as_outside(record: Callable[..., bytes], labels: LabelMap | None) -> None:
    more = {_T.object_class_text: ["cow", "horse", "dog"]}
    serialized = record(boxes=BOXES, classes=(1, 2, 3), more=more)
    outside = Decoder(labels)(serialized)
    inside = next(iter(tf.data.Dataset.from_tensors(serialized).map(Decoder(labels))))
    assert set(inside) == set(outside)
    for key, value in outside.items():
        np.testing.assert_array_equal(inside[key], value, err_msg=key)
        assert inside[key].dtype == value.dtype


def test_every_key_of_the_schema_is_parsed_but_those_nobody_reads() -> None:
    written_only = {_T.object_truncated, _T.object_view}
    keys = {value for name, value in vars(_T).items() if not name.startswith("_")}
    assert set(PARSE_SPEC) == keys - written_only


def test_real_records_by_others_decode(shared: Path) -> None:
    folder = shared / "data" / "tfrecords_by_others"
    count = 0
    for path in folder.glob("*record"):
        index = index_records(str(path))
        for number in range(len(index)):
            example = Decoder(None)(index.read(number))
            boxes = example[_F.groundtruth_boxes].numpy()
            assert example[_F.image].shape[2] == 3
            assert (boxes[:, :2] <= boxes[:, 2:]).all()
            assert example[NUM_DROPPED_BOXES].numpy() == 0
            count += 1
    # The last three are of a segmentation data set: images without boxes.
    assert count == 10 + 42 + 36 + 1 + 5 + 3
