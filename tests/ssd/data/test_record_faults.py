"""What is wrong with a record, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from ssd.data.decoder import ANY_NUMBER_OF_CLASSES, Decoder
from ssd.data.record_faults import find
from ssd.label_map import from_names
from ssd.standard_fields import TfExampleFields

NAN, INF = float("nan"), float("inf")
TWO_BOXES = ((0.1, 0.2, 0.4, 0.7), (0.2, 0.3, 0.5, 0.6))

_T = TfExampleFields


def test_nothing_wrong(record: Callable[..., bytes]) -> None:
    assert find(record(boxes=TWO_BOXES, classes=(1, 3)), Decoder(None), 3) is None
    assert find(record(boxes=(), classes=()), Decoder(None), 3) is None
    # Boxes that are dropped and counted are no fault, even when they are inverted too.
    dropped = record(boxes=((0.9, NAN, 0.1, 0.7), (0.1, 0.2, 0.9, 0.7)), classes=(9, 3))
    assert find(dropped, Decoder(None), 3) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"boxes": ((0.1, 0.2, 0.4, 0.7), (0.5, 0.3, 0.2, 0.6)), "classes": (1, 1)},
            "source_id 'one.png': box 1: ymax 0.2 < ymin 0.5; swap them in the annotation",
        ),
        (
            {"boxes": ((0.1, 0.7, 0.4, 0.2),)},
            "source_id 'one.png': box 0: xmax 0.2 < xmin 0.7; swap them in the annotation",
        ),
        (
            {"boxes": ((0.1, 0.2, 0.4, INF),)},
            "source_id 'one.png': box 0: xmax is inf; expected a number, 0 to 1 of the image",
        ),
        (
            {"boxes": ((10, 20, 40, 70),)},
            "source_id 'one.png': box 0: ymin is 10; expected 0 to 1 of the image: pixels are to "
            "be divided",
        ),
        (
            {"classes": (-1,)},
            "source_id 'one.png': box 0: class id -1; num_classes is 3, so 1..3 are allowed: "
            "correct num_classes, the label map or the records",
        ),
        (
            {"classes": (4,)},
            "source_id 'one.png': box 0: class id 4; num_classes is 3, so 1..3 are allowed: "
            "correct num_classes, the label map or the records",
        ),
        (
            {"classes": (0,)},
            "source_id 'one.png': box 0: class id 0 (0 is the background); num_classes is 3, so "
            "1..3 are allowed: correct num_classes, the label map or the records",
        ),
        (
            {"boxes": TWO_BOXES, "classes": (1,)},
            "source_id 'one.png': image/object/class/label has 1 values for 2 boxes",
        ),
        (
            {"boxes": TWO_BOXES, "classes": (1, 2), "more": {_T.object_bbox_xmax: [0.5]}},
            "source_id 'one.png': image/object/bbox/xmax has 1 values for 2 boxes",
        ),
        (
            {"boxes": TWO_BOXES, "classes": (1, 2), "more": {_T.object_weight: [1.0, 1.0, 0.0]}},
            "source_id 'one.png': image/object/weight has 3 values for 2 boxes",
        ),
        (
            {"more": {_T.object_class_label: None, _T.object_class_text: ["cat"]}},
            "source_id 'one.png': image/object/class/label has 0 values for 1 boxes; the record "
            "names its classes by class/text only: give a label map",
        ),
        (
            {"more": {_T.image_encoded: None}},
            "source_id 'one.png': holds no image: image/encoded is empty or absent; its features "
            "are: image/format, image/object/bbox/xmax, image/object/bbox/xmin, "
            "image/object/bbox/ymax, image/object/bbox/ymin, image/object/class/label, "
            "image/source_id",
        ),
        (
            {"more": {_T.object_class_label: ["1"]}},
            "source_id 'one.png': image/object/class/label is a bytes_list; expected int64_list",
        ),
        (
            {"more": {_T.height: [120, 200]}},
            "source_id 'one.png': image/height holds 2 values; expected one",
        ),
        (
            {"more": {_T.image_encoded: [b"no image at all"]}},
            "source_id 'one.png': image/encoded does not decode: 15 bytes beginning b'no image': "
            "Unknown image file format. One of JPEG, PNG, GIF, BMP, WebP required; expected a "
            "whole JPEG or PNG",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[23:50],
)
def test_faults(record: Callable[..., bytes], changes: dict[str, Any], message: str) -> None:
    assert find(record(**changes), Decoder(None), 3) == message
    with pytest.raises((tf.errors.OpError, AssertionError)):
        # The graph must stumble over the same records.
        _decode_and_check(record(**changes))


def _decode_and_check(serialized: bytes) -> None:
    example = Decoder(None)(serialized)
    boxes = example["groundtruth_boxes"].numpy()
    classes = example["groundtruth_classes"].numpy()
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
    assert (abs(boxes) < INF).all()
    assert ((classes > 0) & (classes <= 3)).all()
    assert (abs(boxes) <= 2).all()


def test_a_damaged_image(record: Callable[..., bytes], png: bytes) -> None:
    half = record(more={_T.image_encoded: [png[: len(png) // 2]]})
    assert "image/encoded does not decode" in str(find(half, Decoder(None), 3))


def test_texts_count_with_a_label_map(record: Callable[..., bytes]) -> None:
    decode = Decoder(from_names(["cat", "cow", "dog", "emu"]))
    texts = record(boxes=TWO_BOXES, classes=(), more={_T.object_class_text: ["cat", "emu"]})
    assert find(texts, decode, 4) is None
    assert "box 1: class id 4; num_classes is 3" in str(find(texts, decode, 3))
    one = record(boxes=TWO_BOXES, classes=(1, 1), more={_T.object_class_text: ["cat"]})
    assert "image/object/class/text has 1 values for 2 boxes" in str(find(one, decode, 4))


def test_what_is_no_example() -> None:
    assert str(find(b"\xff\xff\xff", Decoder(None), 3)).startswith("no tf.train.Example; expected")


def test_a_sequence_example_is_refused_by_name(png: bytes) -> None:
    frames = tf.train.FeatureList(
        feature=[tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))]
    )
    sequence = tf.train.SequenceExample(
        context=tf.train.Features(
            feature={
                _T.source_id: tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"clip 3"]))
            }
        ),
        feature_lists=tf.train.FeatureLists(feature_list={_T.image_encoded: frames}),
    )
    fault = find(sequence.SerializeToString(), Decoder(None), 3)
    assert str(fault).startswith("source_id 'clip 3': a tf.train.SequenceExample (video or")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("horse", ""),
        ("Cat ", "did you mean 'cat'? "),
        ("cows", "did you mean 'cow'? "),
    ],
)
def test_texts_that_the_label_map_does_not_know(
    record: Callable[..., bytes], text: str, hint: str
) -> None:
    decode = Decoder(from_names(["cat", "cow", "dog"]))
    # The ids would do, but a label map asks for the texts.
    more = {_T.object_class_text: ["dog", text]}
    serialized = record(boxes=TWO_BOXES, classes=(3, 1), more=more)
    assert find(serialized, decode, 3) == (
        f"source_id 'one.png': box 1: class text {text!r} is not in the label map (cat, cow, dog); "
        f"{hint}add it there, or give the label map of these records"
    )
    assert find(serialized, decode, ANY_NUMBER_OF_CLASSES) is None
    assert find(serialized, Decoder(None), 3) is None


def test_an_empty_text_leaves_the_id(record: Callable[..., bytes]) -> None:
    decode = Decoder(from_names(["cat", "cow", "dog"]))
    for ids, fault in (((3, 1), None), ((3, 0), "box 1: class id 0 (0 is the background)")):
        more = {_T.object_class_text: ["dog", ""]}
        found = find(record(boxes=TWO_BOXES, classes=ids, more=more), decode, 3)
        assert (fault or "None") in str(found)
    # Lists of texts and ids need not be as long while only one of them is read.
    more = {_T.object_class_text: ["dog"]}
    assert find(record(boxes=TWO_BOXES, classes=(2, 1), more=more), Decoder(None), 3) is None
