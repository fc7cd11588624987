"""Records against TensorFlow's own parser, and back."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from ssd import label_map
from ssd.standard_fields import TfExampleFields as F
from tfrecord_tools import tf_example
from tfrecord_tools.annotations import ImageAnnotation

LABEL_MAP = label_map.from_names(["cat", "cow", "dog"])
PICTURE = b"\xff\xd8 not decoded here"


def annotation(n: int = 2) -> ImageAnnotation:
    boxes = np.array([[0.1, 0.2, 0.4, 0.9], [0.0, 0.25, 1.0, 0.5]], np.float32)
    return ImageAnnotation(
        source_id="day 1/zoo-é.jpg",
        filename="day 1/zoo-é.jpg",
        image_size=(120, 200),
        boxes=boxes[:n],
        class_names=("dog", "cat")[:n],
        difficult=np.array([True, False])[:n],
        truncated=np.array([False, True])[:n],
        is_crowd=np.array([False, True])[:n],
        area=np.array([5040.0, 6000.0], np.float32)[:n],
    )


def test_tensorflow_parses_every_feature():
    import tensorflow as tf

    record = tf_example.encode(annotation(), PICTURE, "png", LABEL_MAP)
    floats = [F.object_bbox_ymin, F.object_bbox_xmin, F.object_bbox_ymax, F.object_bbox_xmax]
    integers = [F.object_class_label, F.object_is_crowd, F.object_difficult, F.object_truncated]
    texts = [F.image_encoded, F.image_format, F.filename, F.source_id, F.key_sha256]
    spec = {key: tf.io.FixedLenFeature([], tf.string) for key in texts}
    spec |= {key: tf.io.FixedLenFeature([], tf.int64) for key in (F.height, F.width)}
    spec |= {key: tf.io.VarLenFeature(tf.float32) for key in [*floats, F.object_area]}
    spec |= {key: tf.io.VarLenFeature(tf.int64) for key in integers}
    spec[F.object_class_text] = tf.io.VarLenFeature(tf.string)
    parsed = tf.io.parse_single_example(record, spec)
    parsed = {
        k: tf.sparse.to_dense(v) if isinstance(v, tf.SparseTensor) else v for k, v in parsed.items()
    }
    found = {key: value.numpy() for key, value in parsed.items()}
    assert found[F.image_encoded] == PICTURE
    assert found[F.image_format] == b"png"
    assert found[F.filename] == found[F.source_id] == "day 1/zoo-é.jpg".encode()
    assert found[F.key_sha256] == hashlib.sha256(PICTURE).hexdigest().encode()
    assert (found[F.height], found[F.width]) == (120, 200)
    boxes = np.stack([found[key] for key in floats], axis=-1)
    np.testing.assert_array_equal(boxes, annotation().boxes)
    assert found[F.object_class_text].tolist() == [b"dog", b"cat"]
    assert found[F.object_class_label].tolist() == [3, 1]
    assert found[F.object_is_crowd].tolist() == [0, 1]
    assert found[F.object_difficult].tolist() == [1, 0]
    assert found[F.object_truncated].tolist() == [0, 1]
    assert found[F.object_area].tolist() == [5040.0, 6000.0]
    example = tf.train.Example.FromString(record)
    assert set(example.features.feature) == set(spec)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_decode_undoes_encode(n: int):
    before = annotation(n)
    record = tf_example.encode(before, PICTURE, "jpeg", LABEL_MAP)
    after, picture, image_format, class_ids = tf_example.decode(record)
    assert (picture, image_format) == (PICTURE, "jpeg")
    assert class_ids == (3, 1)[:n]
    for name, value in vars(before).items():
        np.testing.assert_array_equal(getattr(after, name), value, err_msg=name)
    assert tf_example.encode(after, picture, image_format, LABEL_MAP) == record


def test_empty_features_keep_their_kind():
    record = tf_example.encode(annotation(0), PICTURE, "png", LABEL_MAP)
    features = tf_example.example_class().FromString(record).features.feature
    kinds = {key: features[key].WhichOneof("kind") for key in features}
    assert kinds[F.object_bbox_ymin] == kinds[F.object_area] == "float_list"
    assert kinds[F.object_class_label] == kinds[F.object_truncated] == "int64_list"
    assert kinds[F.object_class_text] == "bytes_list"


def test_groups_and_weights_are_written_only_where_known():
    plain = tf_example.parse_features(tf_example.encode(annotation(), PICTURE, "png", LABEL_MAP))
    assert F.object_group_of not in plain
    assert F.object_weight not in plain
    rich = replace(
        annotation(),
        group_of=np.array([False, True]),
        weights=np.array([0.25, 1.0], np.float32),
    )
    decoded, *_ = tf_example.decode(tf_example.encode(rich, PICTURE, "png", LABEL_MAP))
    assert decoded.group_of.tolist() == [False, True]
    assert decoded.weights.tolist() == [0.25, 1.0]


def test_a_display_name_becomes_the_name_of_the_label_map():
    machine = label_map.LabelMapItem(7, "/m/01yrx", "dog")
    ids = label_map.LabelMap((label_map.LabelMapItem(2, "cat"), machine))
    features = tf_example.parse_features(tf_example.encode(annotation(), PICTURE, "png", ids))
    assert features[F.object_class_text] == [b"/m/01yrx", b"cat"]
    assert features[F.object_class_label] == [7, 2]


def test_same_bytes_as_tensorflow_serializes():
    import tensorflow as tf

    record = tf_example.encode(annotation(), PICTURE, "png", LABEL_MAP)
    again = tf.train.Example.FromString(record).SerializeToString(deterministic=True)
    assert again == record


def test_records_of_other_converters_may_lack_the_optional_features():
    example = tf_example.example_class()()
    feature = example.features.feature
    feature[F.image_encoded].bytes_list.value.append(PICTURE)
    feature[F.height].int64_list.value.append(120)
    feature[F.width].int64_list.value.append(200)
    for key, value in {"ymin": 0.5, "xmin": 0.25, "ymax": 0.75, "xmax": 1.0}.items():
        feature[f"image/object/bbox/{key}"].float_list.value.append(value)
    decoded, _, image_format, class_ids = tf_example.decode(example.SerializeToString())
    assert image_format == "jpeg"
    assert class_ids == (0,)
    assert decoded.class_names == ("",)
    # 0.25 * 120 rows by 0.75 * 200 columns.
    assert decoded.area.tolist() == [30.0 * 150.0]
    assert not decoded.difficult.any()


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        (F.object_class_text, [b"cat"], "image/object/class/text has 1 values for 2 boxes"),
        (F.object_bbox_xmax, [0.5], "image/object/bbox/xmax has 1 values for 2 boxes"),
        (F.object_difficult, [1, 0, 1], "image/object/difficult has 3 values for 2 boxes"),
        (F.image_encoded, [b""], "no image/encoded"),
    ],
)
def test_records_that_contradict_themselves(key: str, values: list, message: str):
    record = tf_example.encode(annotation(), PICTURE, "png", LABEL_MAP)
    example = tf_example.example_class().FromString(record)
    feature = example.features.feature[key]
    changed = getattr(feature, feature.WhichOneof("kind")).value
    del changed[:]
    changed.extend(values)
    with pytest.raises(ValueError, match=message):
        tf_example.decode(example.SerializeToString())


def test_bytes_that_are_no_example():
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        tf_example.parse_features(b"\x0a\xff\xff\xff\xffgarbage")


def test_a_sequence_example_is_named():
    # Field 1 of both messages is a Features message; field 2 of a SequenceExample its lists.
    sequence = b"\x0a\x00" + b"\x12\x00"
    with pytest.raises(ValueError, match=r"^a tf\.train\.SequenceExample \(video or"):
        tf_example.decode(sequence)
    with pytest.raises(ValueError, match=r"^no image/encoded; its features are: none$"):
        tf_example.decode(b"\x0a\x00")
