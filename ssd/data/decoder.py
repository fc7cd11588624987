"""Serialized tf.train.Example -> the tensors of one image and its groundtruth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from ssd.standard_fields import InputFields, TfExampleFields

if TYPE_CHECKING:
    from ssd.label_map import LabelMap

Example = dict[str, tf.Tensor]

# int32 []: boxes of the record that are left out because a coordinate is NaN.
NUM_DROPPED_BOXES = "num_dropped_boxes"

# The class id of a text that the label map does not know.
UNKNOWN_CLASS_ID = -1

# As num_classes: only images are wanted, so that a box may be of any class, or of none.
ANY_NUMBER_OF_CLASSES = 2**31 - 1

# Keys of a decoded record with one row per box; whoever drops or reorders boxes does it to all.
PER_BOX_FIELDS = (
    InputFields.groundtruth_boxes,
    InputFields.groundtruth_classes,
    InputFields.groundtruth_weights,
    InputFields.groundtruth_area,
    InputFields.groundtruth_is_crowd,
    InputFields.groundtruth_difficult,
    InputFields.groundtruth_group_of,
)

_F = TfExampleFields
_BOX_SIDES = (
    _F.object_bbox_ymin,
    _F.object_bbox_xmin,
    _F.object_bbox_ymax,
    _F.object_bbox_xmax,
)


def _list_of(dtype: tf.DType) -> tf.io.FixedLenSequenceFeature:
    return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)


# Every key that the TF Object Detection API's decoder reads, so that a record whose feature has
# another type is refused here as there. Absent keys are empty lists.
PARSE_SPEC: dict[str, Any] = {
    _F.image_encoded: tf.io.FixedLenFeature([], tf.string, ""),
    _F.image_format: tf.io.FixedLenFeature([], tf.string, "jpeg"),
    _F.filename: tf.io.FixedLenFeature([], tf.string, ""),
    _F.key_sha256: tf.io.FixedLenFeature([], tf.string, ""),
    _F.source_id: tf.io.FixedLenFeature([], tf.string, ""),
    _F.height: tf.io.FixedLenFeature([], tf.int64, 1),
    _F.width: tf.io.FixedLenFeature([], tf.int64, 1),
    _F.image_class_text: _list_of(tf.string),
    _F.image_class_label: _list_of(tf.int64),
    _F.image_class_confidence: _list_of(tf.float32),
    _F.neg_category_ids: _list_of(tf.int64),
    _F.not_exhaustive_category_ids: _list_of(tf.int64),
    **{side: _list_of(tf.float32) for side in _BOX_SIDES},
    _F.object_class_text: _list_of(tf.string),
    _F.object_class_label: _list_of(tf.int64),
    _F.object_area: _list_of(tf.float32),
    _F.object_is_crowd: _list_of(tf.int64),
    _F.object_difficult: _list_of(tf.int64),
    _F.object_group_of: _list_of(tf.int64),
    _F.object_weight: _list_of(tf.float32),
    _F.object_mask: _list_of(tf.string),
    _F.object_keypoint_x: _list_of(tf.float32),
    _F.object_keypoint_y: _list_of(tf.float32),
    _F.object_keypoint_visibility: _list_of(tf.int64),
}


def keep_boxes(example: Example, is_kept: tf.Tensor) -> Example:
    """Returns the example with only those rows of its per-box fields where bool [N] says so."""
    rows = tf.where(is_kept)[:, 0]
    return {
        key: tf.gather(value, rows) if key in PER_BOX_FIELDS else value
        for key, value in example.items()
    }


class Decoder:
    """Decodes records by one rule for class ids; calls are pure and work inside tf.data.

    With a label map, `image/object/class/text` is looked up by name or display name, and
    `class/label` is used only for a record whose list of texts is empty, and for a box whose text
    is. Without one, the texts are ignored and `class/label` is used.

    Attributes:
      label_map: as given.
    """

    def __init__(self, label_map: LabelMap | None) -> None:
        self.label_map = label_map
        self._ids_of_texts = None
        if label_map is not None:
            ids = label_map.id_of
            entries = tf.lookup.KeyValueTensorInitializer(
                list(ids), list(ids.values()), tf.string, tf.int64
            )
            self._ids_of_texts = tf.lookup.StaticHashTable(entries, UNKNOWN_CLASS_ID)

    def __call__(self, serialized: tf.Tensor) -> Example:
        """Returns one record as tensors, keys from InputFields and NUM_DROPPED_BOXES.

        Boxes with a NaN coordinate are left out of every per-box field and counted. Nothing is
        clipped. Weights are 1 where the record has none; area is in square pixels of the decoded
        image where it has none; is_crowd, difficult and group_of are False where it has none. The
        class of a text that the label map does not know is UNKNOWN_CLASS_ID.

        Args:
          serialized: string [], a tf.train.Example.

        Returns:
          image uint8 [h, w, 3] RGB (JPEG, PNG, BMP, the first frame of a GIF; JPEG with the
          decoder's default, that is fast integer, DCT); source_id and filename string [];
          original_image_size int32 [2]; the PER_BOX_FIELDS, N rows each; NUM_DROPPED_BOXES.

        Raises:
          tf.errors.InvalidArgumentError: no Example, no image, an image that does not decode, a
            feature of another type, or per-box lists of different lengths. `record_faults.find`
            says which of these it is, in one line.
        """
        features = tf.io.parse_single_example(serialized, PARSE_SPEC)
        image = tf.io.decode_image(features[_F.image_encoded], channels=3, expand_animations=False)
        image.set_shape([None, None, 3])
        boxes = tf.stack([features[side] for side in _BOX_SIDES], axis=-1)
        fields = self._per_box_fields(features, boxes, tf.shape(image))
        is_kept = ~tf.reduce_any(tf.math.is_nan(boxes), axis=-1)
        return {
            InputFields.image: image,
            InputFields.source_id: features[_F.source_id],
            InputFields.filename: features[_F.filename],
            InputFields.original_image_size: tf.shape(image)[:2],
            NUM_DROPPED_BOXES: tf.reduce_sum(tf.cast(~is_kept, tf.int32)),
            **keep_boxes(fields, is_kept),
        }

    def class_ids(self, features: Example) -> tf.Tensor:
        """Returns int64 [N], UNKNOWN_CLASS_ID where the label map does not know the text."""
        labels = features[_F.object_class_label]
        if self._ids_of_texts is None:
            return labels
        texts = features[_F.object_class_text]
        ids = self._ids_of_texts.lookup(texts)
        # Some tools write empty texts beside the ids that count.
        is_told_by_id = tf.equal(tf.size(texts), tf.size(labels))
        ids = tf.cond(is_told_by_id, lambda: tf.where(texts == b"", labels, ids), lambda: ids)
        return tf.cond(tf.size(texts) > 0, lambda: ids, lambda: labels)

    def _per_box_fields(self, features: Example, boxes: tf.Tensor, shape: tf.Tensor) -> Example:
        count = tf.shape(boxes)[0]
        height_width = tf.cast(shape[:2], tf.float32)
        area = tf.reduce_prod((boxes[:, 2:] - boxes[:, :2]) * height_width, axis=-1)

        def or_default(key: str, default: tf.Tensor) -> tf.Tensor:
            values = features[key]
            return tf.cond(tf.size(values) > 0, lambda: values, lambda: default)

        def flag(key: str) -> tf.Tensor:
            return tf.not_equal(or_default(key, tf.zeros([count], tf.int64)), 0)

        fields = {
            InputFields.groundtruth_boxes: boxes,
            InputFields.groundtruth_classes: self.class_ids(features),
            InputFields.groundtruth_weights: or_default(_F.object_weight, tf.ones([count])),
            InputFields.groundtruth_area: or_default(_F.object_area, area),
            InputFields.groundtruth_is_crowd: flag(_F.object_is_crowd),
            InputFields.groundtruth_difficult: flag(_F.object_difficult),
            InputFields.groundtruth_group_of: flag(_F.object_group_of),
        }
        # A list of another length would otherwise be cut or stretched by the masking below.
        same = [
            tf.debugging.assert_equal(tf.shape(value)[0], count, message=key)
            for key, value in fields.items()
        ]
        with tf.control_dependencies([check for check in same if check is not None]):
            return {key: tf.identity(value) for key, value in fields.items()}
