"""Every recorded operation of the original (`ops/*.npz`), as rows of docs/parity.md.

The unit tests of each module look closer; here is the largest difference of a whole file.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd import image_resizer_builder
from ssd.config.messages import message_class
from ssd.core import boxes as box_ops
from ssd.core import classification_losses, localization_losses, matcher, target_assigner
from ssd.core.box_coder import FasterRcnnBoxCoder
from ssd.core.hard_example_miner import HardExampleMiner
from ssd.core.post_processing import multiclass_nms
from ssd.data.augmentation import crop_to_window
from ssd.models import anchor_builder
from ssd.models.feature_pyramid import upsample_nearest_2x
from ssd.models.padding import pad_for_kernel
from ssd.optimizer import build_optimizer, rate_function
from ssd.standard_fields import InputFields

# (what, ours, theirs)
Comparison = tuple[str, Any, Any]
Golden = Any
MATCHERS = {
    "zoo": (0.5, 0.5, True, True),
    "noforce": (0.5, 0.5, True, False),
    "band": (0.7, 0.3, True, True),
    "band_inverted": (0.7, 0.3, False, False),
    "nothreshold": (None, None, True, True),
}
_MINER_TYPES = {"cls": "CLASSIFICATION", "loc": "LOCALIZATION", "both": "BOTH"}


def parsed(name: str, text: Any) -> Any:
    return text_format.Parse(str(text), message_class(name)())


def cases(golden: Golden) -> list[str]:
    return [key[: -len("_config")] for key in golden if key.endswith("_config")]


def anchors(golden: Golden) -> Iterator[Comparison]:
    for case in cases(golden):
        message = parsed("AnchorGenerator", golden[f"{case}_config"])
        generator = anchor_builder.build(message)
        shapes = [tuple(shape) for shape in golden[f"{case}_feature_maps"].tolist()]
        size = golden[f"{case}_image"].tolist()
        found, theirs = generator.generate(shapes, tuple(size)), golden[f"{case}_anchors"]
        if not message.multiscale_anchor_generator.normalize_coordinates:  # refused here
            theirs = theirs / np.array(size * 2, np.float32)
        yield "anchors", found, theirs
        counts = generator.num_anchors_per_location(len(shapes))
        yield "anchors per location", counts, golden[f"{case}_per_location"]


def argmax_matcher(golden: Golden) -> Iterator[Comparison]:
    names = ("matched_threshold", "unmatched_threshold", "negatives_lower_than_unmatched")
    names += ("force_match_for_each_row",)
    for number in range(5):
        for kind, values in MATCHERS.items():
            settings: dict[str, Any] = dict(zip(names, values, strict=True))
            found = matcher.match(golden[f"sim{number}"], golden[f"valid{number}"], **settings)
            yield "matches", found, golden[f"match_{kind}_{number}"]


def box_similarity(golden: Golden) -> Iterator[Comparison]:
    yield "IoU", box_ops.iou(golden["boxes1"], golden["boxes2"]), golden["iou"]
    yield "IoA", box_ops.ioa(golden["boxes1"], golden["boxes2"]), golden["ioa"]
    yield "area", box_ops.area(golden["boxes2"]), golden["area2"]


def losses_of_classes(golden: Golden) -> Iterator[Comparison]:
    logits, targets = golden["logits"], golden["targets"]
    weights = golden["weights_anchor"]
    for name, gamma, alpha in (("g2_a25", 2.0, 0.25), ("g2_a75", 2.0, 0.75), ("g0_anone", 0, None)):
        found = classification_losses.sigmoid_focal(
            logits, targets, golden["weights"], gamma=gamma, alpha=alpha
        )
        yield "focal", found, golden[f"focal_{name}"]
    found = classification_losses.sigmoid(logits, targets, golden["weights"])
    yield "sigmoid", found, golden["sigmoid_ce"]
    yield "softmax", classification_losses.softmax(logits, targets, weights), golden["softmax_ce"]


def losses_of_boxes(golden: Golden) -> Iterator[Comparison]:
    pred, target, weights = golden["pred"], golden["target"], golden["weights"]
    for name, delta in (("1.0000", 1.0), ("0.5000", 0.5)):
        found = localization_losses.smooth_l1(pred, target, weights, delta=delta)
        yield "smooth L1", found, golden[f"smooth_l1_delta{name}"]
    found = localization_losses.smooth_l1(pred, golden["target_with_nan"], weights)
    yield "smooth L1, NaN targets", found, golden["smooth_l1_nan_ignored"]
    yield "L2", localization_losses.l2(pred, target, weights), golden["l2"]
    found = localization_losses.iou(golden["iou_pred"], golden["iou_target"], weights)
    yield "IoU", tf.reshape(found, [-1]), golden["weighted_iou"]


def box_coder(golden: Golden) -> Iterator[Comparison]:
    for name, scales in (("none", (1.0,) * 4), ("10_10_5_5", (10.0, 10.0, 5.0, 5.0))):
        coder = FasterRcnnBoxCoder(scales)
        encoded = coder.encode(golden["boxes"], golden["anchors"])
        theirs = golden[f"encoded_{name}"]
        yield "encode (relative to the largest)", *scaled(encoded, theirs)
        decoded = coder.decode(golden[f"code_in_{name}"], golden["anchors"])
        yield "decode", *scaled(decoded, golden[f"code_decoded_{name}"])


def scaled(ours: Any, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    largest = max(1.0, float(np.max(np.abs(theirs))))
    return np.asarray(ours) / largest, theirs / largest


def hard_example_miner(golden: Golden) -> Iterator[Comparison]:
    for case in cases(golden):
        config = ast.literal_eval(str(golden[f"{case}_config"]))
        miner = HardExampleMiner(
            num_hard_examples=config["num_hard_examples"] or 0,
            iou_threshold=config["iou_threshold"],
            loss_type=_MINER_TYPES[config["loss_type"]],
            classification_weight=config.get("cls_loss_weight", 1.0),
            localization_weight=config.get("loc_loss_weight", 1.0),
            max_negatives_per_positive=config.get("max_negatives_per_positive") or 0,
            min_negatives_per_image=config.get("min_negatives_per_image", 0),
        )
        inputs = (golden[key] for key in ("location_losses", "cls_losses", "boxes", "match"))
        mined = miner.mine(*inputs)
        yield "sums", *scaled(mined.localization_loss, golden[f"{case}_mined_loc"])
        yield "sums", *scaled(mined.classification_loss, golden[f"{case}_mined_cls"])
        if f"{case}_num_pos" in golden:
            yield "counts", mined.num_positives, golden[f"{case}_num_pos"]
            yield "counts", mined.num_negatives, golden[f"{case}_num_neg"]


def image_resizers(golden: Golden) -> Iterator[Comparison]:
    for case in cases(golden):
        message = parsed("ImageResizer", golden[f"{case}_config"])
        kind = message.WhichOneof("image_resizer_oneof")
        if getattr(getattr(message, kind), "convert_to_grayscale", False):
            continue  # refused: the backbones take three channels
        resizer = image_resizer_builder.build(message)
        for number in (0, 1):
            image, true_shape = resizer(golden[f"image{number}"])
            height, width, _ = true_shape.numpy()
            theirs = golden[f"{case}_image{number}"]
            # Padding is another number here: that of the unscaled image.
            yield "pixels 0..255", image[:height, :width], theirs[:height, :width]
            yield "true_image_shape", true_shape, golden[f"{case}_shape{number}"]


def learning_rates(golden: Golden) -> Iterator[Comparison]:
    for case in cases(golden):
        rate = rate_function(parsed("LearningRate", golden[f"{case}_config"]), "learning_rate")
        found = [float(rate(tf.constant(float(step)))) for step in golden["steps"]]
        yield "rates", found, golden[f"{case}_lr"]


def multiclass_suppression(golden: Golden) -> Iterator[Comparison]:
    renamed = {
        "score_thresh": "score_threshold",
        "iou_thresh": "iou_threshold",
        "max_size_per_class": "max_detections_per_class",
        "max_total_size": "max_total_detections",
    }
    ignored = ("use_hard_nms", "use_cpu_nms", "max_classes_per_detection")
    for case in cases(golden):
        config = ast.literal_eval(str(golden[f"{case}_config"]))
        settings = {renamed.get(k, k): v for k, v in config.items() if k not in ignored}
        boxes, scores = golden[f"{case}_boxes"][:, :, 0], golden[f"{case}_scores"]
        found = multiclass_nms(boxes, scores, **settings)
        yield "boxes", found.detection_boxes, golden[f"{case}_out_boxes"]
        yield "scores", found.detection_scores, golden[f"{case}_out_scores"]
        yield "classes", found.detection_classes, golden[f"{case}_out_classes"]
        yield "counts", found.num_detections, golden[f"{case}_out_num"]


def nearest_upsample(golden: Golden) -> Iterator[Comparison]:
    yield "doubled", upsample_nearest_2x(golden["x"]), golden["up2"]
    yield "padded", pad_for_kernel(golden["x"], 3), golden["fixed_padding_k3"]


def optimizers(golden: Golden) -> Iterator[Comparison]:
    import keras

    for case in cases(golden):
        optimizer = build_optimizer(parsed("Optimizer", golden[f"{case}_config"]))
        variable = keras.Variable(golden["w0"])
        optimizer.build([variable])
        for gradient, theirs in zip(golden["grads"], golden[f"{case}_trajectory"], strict=True):
            optimizer.apply([tf.constant(gradient)], [variable])
            yield "variables", variable.numpy(), theirs


def random_crop(golden: Golden) -> Iterator[Comparison]:
    height, width = golden["image_hw"].tolist()
    example = {
        InputFields.image: tf.zeros([height, width, 3]),
        InputFields.groundtruth_boxes: tf.constant(golden["boxes"]),
        InputFields.groundtruth_classes: tf.constant(golden["labels"]),
        InputFields.groundtruth_weights: tf.constant(golden["weights"]),
    }
    windows = golden["random_crop_zoo/windows_yxhw"]
    for number in range(40):
        found = crop_to_window(example, tf.constant(windows[number], tf.int32), overlap_thresh=0.0)
        theirs = f"random_crop_zoo/draw{number}"
        yield "boxes", found[InputFields.groundtruth_boxes], golden[f"{theirs}/boxes"]
        yield "labels", found[InputFields.groundtruth_classes], golden[f"{theirs}/labels"]


def targets(golden: Golden) -> Iterator[Comparison]:
    for case in range(3):
        boxes, labels, weights = (
            tf.constant(golden[f"case{case}_{name}"][np.newaxis])
            for name in ("boxes", "labels", "weights")
        )
        for name, unmatched in (("zoo", 0.5), ("band", 0.3)):

            def match(similarity: Any, rows: Any, unmatched: float = unmatched) -> tf.Tensor:
                return matcher.match(
                    similarity,
                    rows,
                    matched_threshold=0.5,
                    unmatched_threshold=unmatched,
                    force_match_for_each_row=True,
                )

            found = target_assigner.assign(
                golden["anchors"], boxes, labels[..., 1:], weights, match=match
            )
            theirs = f"case{case}_{name}"
            yield "matches", found.match[0], golden[f"{theirs}_match"]
            yield "class targets", found.cls_targets[0], golden[f"{theirs}_cls_targets"]
            yield "codes", *scaled(found.reg_targets[0], golden[f"{theirs}_reg_targets"])
            yield "weights", found.reg_weights[0], golden[f"{theirs}_reg_weights"]


# File -> what compares it, and the largest difference that is allowed.
OPERATIONS: dict[str, tuple[Callable[[Golden], Iterator[Comparison]], float]] = {
    "anchors": (anchors, 1e-6),
    "argmax_matcher": (argmax_matcher, 0.0),
    "box_similarity": (box_similarity, 1e-6),
    "classification_losses": (losses_of_classes, 1e-4),
    "faster_rcnn_box_coder": (box_coder, 1e-6),
    "hard_example_miner": (hard_example_miner, 1e-6),
    "image_resizers": (image_resizers, 1e-4),
    "learning_rates": (learning_rates, 1e-8),
    "localization_losses": (losses_of_boxes, 1e-5),
    "multiclass_nms": (multiclass_suppression, 1e-6),
    "nearest_upsample": (nearest_upsample, 0.0),
    "optimizers": (optimizers, 1e-6),
    "random_crop": (random_crop, 1e-6),
    "target_assigner": (targets, 1e-6),
}


def largest_differences(file: Path) -> dict[str, float]:
    """What was compared -> largest absolute difference; NaN equals NaN."""
    compare, _ = OPERATIONS[file.stem]
    found: dict[str, float] = {}
    for what, ours, theirs in compare(np.load(file)):
        ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        assert ours.shape == theirs.shape, (what, ours.shape, theirs.shape)
        both_nan = np.isnan(ours) & np.isnan(theirs)
        gap = np.where(both_nan, 0.0, np.abs(ours - theirs))
        found[what] = max(found.get(what, 0.0), float(np.max(gap, initial=0.0)))
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_equals_the_recording(oracle: Path, name: str) -> None:
    found = largest_differences(oracle / f"ops/{name}.npz")
    assert found
    allowed = OPERATIONS[name][1]
    assert all(difference <= allowed for difference in found.values()), found


def table(oracle: Path) -> Iterator[str]:
    """Yields the lines of the table of docs/parity.md."""
    yield "\n## Single operations (ops/*.npz)\n"
    yield "| file | compared | largest difference | tolerance |"
    yield "|---|---|---|---|"
    for name, (_, allowed) in OPERATIONS.items():
        for what, difference in largest_differences(oracle / f"ops/{name}.npz").items():
            yield f"| {name} | {what} | {difference:.2g} | {allowed:.2g} |"
