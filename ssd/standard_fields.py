"""Every dictionary key and TFRecord feature key, once.

Values that are written to records or signatures are those of the TF Object Detection API.
"""

from __future__ import annotations

# Class id of the first class; class index = class id - LABEL_ID_OFFSET. 0 is the background.
LABEL_ID_OFFSET = 1


class InputFields:
    """Keys of one decoded record and, batched, of a training batch.

    One record (between decoder and batch), N boxes:
      image: uint8 [h, w, 3] from the decoder; float32 [h, w, 3] in 0..255 from the first
        augmentation on; float32 [H, W, 3] in 0..255 after the resize.
      source_id: string. filename: string.
      original_image_size: int32 [2], (height, width) of the decoded image.
      true_image_shape: int32 [3], the part of a resized image that is not padding.
      groundtruth_boxes: float32 [N, 4], yxyx normalized.
      groundtruth_classes: int64 [N], class ids 1..C.
      groundtruth_weights: float32 [N].
      groundtruth_area: float32 [N], square pixels of the original image.
      groundtruth_is_crowd, groundtruth_difficult, groundtruth_group_of: bool [N].
    A batch has G = max_number_of_boxes padded rows and
      num_groundtruth_boxes: int32 [B].
      groundtruth_classes_one_hot: float32 [B, G, C], class indices; padded rows all zero.
    """

    image = "image"
    source_id = "source_id"
    filename = "filename"
    original_image_size = "original_image_size"
    true_image_shape = "true_image_shape"
    groundtruth_boxes = "groundtruth_boxes"
    groundtruth_classes = "groundtruth_classes"
    groundtruth_classes_one_hot = "groundtruth_classes_one_hot"
    groundtruth_weights = "groundtruth_weights"
    groundtruth_area = "groundtruth_area"
    groundtruth_is_crowd = "groundtruth_is_crowd"
    groundtruth_difficult = "groundtruth_difficult"
    groundtruth_group_of = "groundtruth_group_of"
    num_groundtruth_boxes = "num_groundtruth_boxes"


class PredictionFields:
    """Keys of what the network returns, before losses or post-processing."""

    box_encodings = "box_encodings"
    class_predictions_with_background = "class_predictions_with_background"
    feature_maps = "feature_maps"
    image_size = "image_size"


class DetectionFields:
    """Keys of post-processed detections; the names of the SavedModel's outputs."""

    detection_anchor_indices = "detection_anchor_indices"
    detection_boxes = "detection_boxes"
    detection_classes = "detection_classes"
    detection_multiclass_scores = "detection_multiclass_scores"
    detection_scores = "detection_scores"
    num_detections = "num_detections"
    raw_detection_boxes = "raw_detection_boxes"
    raw_detection_scores = "raw_detection_scores"


class TfExampleFields:
    """Feature keys of a tf.train.Example record."""

    image_encoded = "image/encoded"
    image_format = "image/format"
    filename = "image/filename"
    key_sha256 = "image/key/sha256"
    source_id = "image/source_id"
    height = "image/height"
    width = "image/width"
    image_class_text = "image/class/text"
    image_class_label = "image/class/label"
    image_class_confidence = "image/class/confidence"
    neg_category_ids = "image/neg_category_ids"
    not_exhaustive_category_ids = "image/not_exhaustive_category_ids"
    object_bbox_ymin = "image/object/bbox/ymin"
    object_bbox_xmin = "image/object/bbox/xmin"
    object_bbox_ymax = "image/object/bbox/ymax"
    object_bbox_xmax = "image/object/bbox/xmax"
    object_class_text = "image/object/class/text"
    object_class_label = "image/object/class/label"
    object_area = "image/object/area"
    object_is_crowd = "image/object/is_crowd"
    object_difficult = "image/object/difficult"
    object_truncated = "image/object/truncated"
    object_group_of = "image/object/group_of"
    object_view = "image/object/view"
    object_weight = "image/object/weight"
    object_mask = "image/object/mask"
    object_keypoint_x = "image/object/keypoint/x"
    object_keypoint_y = "image/object/keypoint/y"
    object_keypoint_visibility = "image/object/keypoint/visibility"
