"""The 12 COCO numbers: by hand, and against pycocotools on random pictures."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from ssd.coco_categories import CategoryMetrics
from ssd.coco_metrics import METRIC_NAMES, CocoMetrics, format_table
from ssd.errors import InputError
from ssd.label_map import LabelMap, LabelMapItem, from_names
from ssd.metric_names import COCO_NAMES

LABELS = from_names(["bird", "cat", "dog"])
NOTHING = {
    "detection_boxes": np.zeros((0, 4), np.float32),
    "detection_scores": np.zeros(0, np.float32),
    "detection_classes": np.zeros(0, np.int64),
}


def add_one(metrics, **changes):
    """Adds a 120x200 picture with one cat, found exactly."""
    box = [0.10, 0.20, 0.35, 0.60]
    image = {
        "source_id": "img_1",
        "image_size": (120, 200),
        "groundtruth_boxes": [box],
        "groundtruth_classes": [2],
        "detection_boxes": [box],
        "detection_scores": [0.9],
        "detection_classes": [2],
    }
    metrics.add(**{**image, **changes})


def random_images(seed, class_ids, count=30):
    """Yields `add` arguments: N and D from 0 on, sizes of every kind, crowds, given areas."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        n, extra = int(rng.integers(0, 9)), int(rng.integers(0, 30))
        if number == 3:
            n = 0
        corner = rng.uniform(0, 0.7, (n, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0.01, 0.5, (n, 2))], 1)
        found = boxes[rng.random(n) < 0.8]
        found = found + rng.normal(0, 0.02, found.shape)
        corner = rng.uniform(-0.05, 0.8, (extra, 2))
        wrong = np.concatenate([corner, corner + rng.uniform(0, 0.4, (extra, 2))], 1)
        detections = np.concatenate([found, wrong])
        if number % 7 == 5:
            detections = detections[:0]
        yield {
            # Repeated and empty source_ids: every `add` is an image of its own.
            "source_id": ["", "same", f"img_{number}"][number % 3],
            "image_size": [(120, 200), (480, 333), (37, 64)][number % 3],
            "groundtruth_boxes": boxes.astype(np.float32),
            "groundtruth_classes": rng.choice(class_ids, n),
            "groundtruth_is_crowd": rng.random(n) < 0.15,
            "groundtruth_area": None if number % 4 == 0 else rng.uniform(-500, 12000, n),
            "detection_boxes": detections.astype(np.float32),
            # Rounded, so that many scores are equal.
            "detection_scores": rng.random(len(detections)).round(1).astype(np.float32),
            "detection_classes": rng.choice(class_ids, len(detections)),
        }


def pycocotools_evaluation(images, class_ids, only=None):
    """Returns the finished COCOeval of pycocotools on the same images."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    groundtruth, results = [], []
    for number, image in enumerate(images, start=1):
        height, width = image["image_size"]
        areas = image["groundtruth_area"]
        for i, (ymin, xmin, ymax, xmax) in enumerate(image["groundtruth_boxes"].astype(float)):
            w, h = (xmax - xmin) * width, (ymax - ymin) * height
            area = w * h if areas is None or areas[i] <= 0 else areas[i]
            annotation = {"image_id": number, "category_id": int(image["groundtruth_classes"][i])}
            annotation |= {"bbox": [xmin * width, ymin * height, w, h], "area": float(area)}
            crowd = int(image["groundtruth_is_crowd"][i])
            groundtruth.append({**annotation, "id": len(groundtruth) + 1, "iscrowd": crowd})
        for i, (ymin, xmin, ymax, xmax) in enumerate(image["detection_boxes"].astype(float)):
            w, h = (xmax - xmin) * width, (ymax - ymin) * height
            result = {"image_id": number, "category_id": int(image["detection_classes"][i])}
            result |= {"bbox": [xmin * width, ymin * height, w, h]}
            results.append({**result, "score": float(image["detection_scores"][i])})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": number + 1} for number in range(len(images))],
            "annotations": groundtruth,
            "categories": [{"id": class_id} for class_id in class_ids],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        if only is not None:
            evaluation.params.catIds = [only]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "label_map",
    [LABELS, LabelMap((LabelMapItem(2, "bird"), LabelMapItem(5, "cat"), LabelMapItem(90, "dog")))],
    ids=["contiguous ids", "ids with gaps"],
)
def test_equals_pycocotools(seed, label_map):
    class_ids = [item.id for item in label_map.items]
    images = list(random_images(seed, class_ids))
    metrics = CocoMetrics(label_map, CategoryMetrics(all_metrics_per_category=True))
    for image in images:
        metrics.add(**image)
    summary = metrics.summarize()
    oracle = pycocotools_evaluation(images, class_ids)

    assert [summary[name] for name in METRIC_NAMES] == pytest.approx(list(oracle.stats), abs=1e-9)
    for k, item in enumerate(label_map.items):
        precision = oracle.eval["precision"][:, :, k, 0, 2]
        row = summary["per_class"][item.name]
        assert row["AP"] == pytest.approx(precision[precision > -1].mean(), abs=1e-9)
        assert row["AP50"] == pytest.approx(precision[0][precision[0] > -1].mean(), abs=1e-9)
        ordinary = sum(
            np.count_nonzero(
                image["groundtruth_classes"][~image["groundtruth_is_crowd"]] == item.id
            )
            for image in images
        )
        assert row["boxes"] == ordinary
        # All 12 numbers of a class are those of an evaluation of this class alone.
        found = [
            summary[f"DetectionBoxes_{original} ByCategory/{item.name}"]
            for original in COCO_NAMES.values()
        ]
        alone = pycocotools_evaluation(images, class_ids, only=item.id).stats
        assert found == pytest.approx(list(alone), abs=1e-9)


def test_names_are_exactly_those_that_scripts_read():
    metrics = CocoMetrics(LABELS)
    add_one(metrics)
    assert " ".join(metrics.summarize()) == (
        "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl per_class"
    )


def test_one_box_found_with_a_known_overlap():
    # The detection has the same corner and height, and 0.62 of the width, so IoU = 0.62:
    # a hit at thresholds 0.50, 0.55 and 0.60 of the ten. AP = AR = 3 / 10.
    # 0.25 * 120 by 0.40 * 200 pixels = 30 x 80 = 2,400: medium (1,024 to 9,216).
    metrics = CocoMetrics(LABELS)
    add_one(metrics, detection_boxes=[[0.10, 0.20, 0.35, 0.20 + 0.40 * 0.62]])
    summary = metrics.summarize()
    expected = {"AP": 0.3, "AP50": 1.0, "AP75": 0.0, "APm": 0.3, "AR1": 0.3, "ARm": 0.3}
    assert {name: summary[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert [summary[name] for name in ("APs", "APl", "ARs", "ARl")] == [None] * 4
    assert summary["per_class"] == {
        "bird": {"AP": None, "AP50": None, "boxes": 0},
        "cat": {"AP": pytest.approx(0.3), "AP50": 1.0, "boxes": 1},
        "dog": {"AP": None, "AP50": None, "boxes": 0},
    }


def test_the_best_scored_detection_counts_first():
    # Two detections of one box: a miss at 0.9, then the hit at 0.4: precision 1/2 at recall 1.
    box, elsewhere = [0.10, 0.20, 0.35, 0.60], [0.50, 0.20, 0.75, 0.60]
    both = {"detection_boxes": [box, elsewhere], "detection_classes": [2, 2]}
    metrics = CocoMetrics(LABELS)
    add_one(metrics, **both, detection_scores=[0.4, 0.9])
    summary = metrics.summarize()
    assert summary["AP50"] == pytest.approx(0.5, abs=1e-12)
    assert summary["AR1"] == 0.0
    assert summary["AR10"] == 1.0


@pytest.mark.parametrize(
    ("image_size", "area", "measured"),
    [
        ((120, 200), None, "APm"),  # 30 x 80 pixels = 2,400
        ((60, 100), None, "APs"),  # 15 x 40 = 600
        ((480, 800), None, "APl"),  # 120 x 320 = 38,400
        ((120, 200), [0.0], "APm"),  # no area given: that of the box
        ((120, 200), [-1.0], "APm"),
        ((120, 200), [900.0], "APs"),  # the object's own area stands above the box's
        ((120, 200), [9300.0], "APl"),
    ],
)
def test_size_of_an_object(image_size, area, measured):
    metrics = CocoMetrics(LABELS)
    add_one(metrics, image_size=image_size, groundtruth_area=area)
    summary = metrics.summarize()
    assert {name: summary[name] for name in ("APs", "APm", "APl")} == {
        **dict.fromkeys(("APs", "APm", "APl")),
        measured: pytest.approx(1.0),
    }


def test_a_crowd_is_neither_a_miss_nor_a_false_positive():
    metrics = CocoMetrics(LABELS)
    two = {"groundtruth_boxes": [[0.1, 0.2, 0.35, 0.6], [0.5, 0.1, 0.9, 0.8]]}
    two |= {"detection_boxes": [[0.1, 0.2, 0.35, 0.6], [0.6, 0.2, 0.8, 0.5]]}
    two |= {"detection_scores": [0.5, 0.9], "detection_classes": [2, 2]}
    add_one(metrics, **two, groundtruth_classes=[2, 2], groundtruth_is_crowd=[False, True])
    summary = metrics.summarize()
    assert summary["AP"] == pytest.approx(1.0)
    assert summary["per_class"]["cat"]["boxes"] == 1


def test_difficult_and_group_of_have_no_influence():
    plain, marked = CocoMetrics(LABELS), CocoMetrics(LABELS)
    add_one(plain, **NOTHING)
    add_one(marked, **NOTHING, groundtruth_difficult=[True], groundtruth_group_of=[True])
    assert marked.summarize() == plain.summarize()
    assert plain.summarize()["AP"] == 0.0


def test_nothing_detected_is_zero_and_nothing_to_measure_is_none():
    metrics = CocoMetrics(LABELS)
    add_one(metrics, groundtruth_boxes=[], groundtruth_classes=[])
    assert {metrics.summarize()[name] for name in METRIC_NAMES} == {None}
    add_one(metrics, **NOTHING)
    assert metrics.summarize()["AP"] == 0.0
    assert metrics.num_images == 2


def test_classes_are_named_as_people_call_them_unless_that_is_ambiguous():
    items = (
        LabelMapItem(1, "/m/01yrx", "Cat"),
        LabelMapItem(2, "/m/0bt9lr", "Pet"),
        LabelMapItem(3, "/m/015p6", "Pet"),
    )
    assert list(CocoMetrics(LabelMap(items)).summarize()["per_class"]) == [
        "Cat",
        "/m/0bt9lr",
        "/m/015p6",
    ]


def test_no_image_at_all():
    summary = CocoMetrics(LABELS).summarize()
    assert {summary[name] for name in METRIC_NAMES} == {None}
    assert set(summary["per_class"]) == {"bird", "cat", "dog"}


def test_summarize_again_after_more_images():
    once, twice = CocoMetrics(LABELS), CocoMetrics(LABELS)
    images = list(random_images(11, [1, 2, 3], count=8))
    for image in images[:4]:
        twice.add(**image)
    twice.summarize()
    for image in images[4:]:
        twice.add(**image)
    for image in images:
        once.add(**image)
    assert once.summarize() == twice.summarize() == twice.summarize()


def test_input_is_copied_and_unchanged():
    image = next(random_images(2, [1, 2, 3], count=1))
    before = {key: np.copy(value) for key, value in image.items() if isinstance(value, np.ndarray)}
    metrics = CocoMetrics(LABELS)
    metrics.add(**image)
    first = metrics.summarize()
    for key, value in before.items():
        np.testing.assert_array_equal(image[key], value)
        image[key][...] = 0
    assert metrics.summarize() == first


def test_a_detection_of_an_unknown_class_is_left_out_and_counted():
    metrics = CocoMetrics(LABELS)
    same = [[0.1, 0.2, 0.35, 0.6]] * 2
    add_one(metrics, detection_boxes=same, detection_scores=[0.9, 0.8], detection_classes=[77, 2])
    assert metrics.num_unknown_detections == 1
    assert metrics.summarize()["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groundtruth_classes": [4]}, r"^image img_1: groundtruth class id 4, .* \[1, 2, 3\]"),
        ({"groundtruth_classes": [0]}, r"^image img_1: groundtruth class id 0"),
        ({"detection_scores": [np.nan]}, r"^image img_1: a detection's box or score is NaN"),
        ({"detection_boxes": [[0, 0, np.inf, 1]]}, r"^image img_1: a detection's box or score"),
        ({"source_id": "", "detection_scores": [np.nan]}, r"^image 1: "),
    ],
    ids=["class above", "background", "NaN score", "infinite box", "no source_id"],
)
def test_bad_input(changes, message):
    metrics = CocoMetrics(LABELS)
    with pytest.raises(InputError, match=message):
        add_one(metrics, **changes)
    assert metrics.num_images == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groundtruth_boxes": [[0, 0, 1]]}, r"img_1: groundtruth_boxes has shape \(1, 3\)"),
        ({"groundtruth_classes": [1, 2]}, r"groundtruth_classes has shape \(2,\), expected \(1,\)"),
        ({"detection_scores": []}, r"detection_scores has shape \(0,\), expected \(1,\)"),
        ({"groundtruth_area": [1.0, 2.0]}, r"groundtruth_area has shape \(2,\)"),
    ],
)
def test_wrong_shapes(changes, message):
    with pytest.raises(ValueError, match=message):
        add_one(CocoMetrics(LABELS), **changes)


def test_nothing_is_printed(capfd):
    metrics = CocoMetrics(LABELS)
    add_one(metrics)
    metrics.summarize()
    assert capfd.readouterr() == ("", "")


def test_table_for_a_screen():
    metrics = CocoMetrics(LABELS)
    add_one(metrics, detection_boxes=[[0.10, 0.20, 0.35, 0.20 + 0.40 * 0.62]])
    lines = format_table(metrics.summarize()).splitlines()
    assert lines[0] == "AP     0.3000  average precision, IoU 0.50 to 0.95"
    assert lines[3] == "APs    n/a (no small objects)"
    assert lines[-4:] == [
        "class  AP      AP50    boxes",
        "bird   n/a     n/a     0",
        "cat    0.3000  1.0000  1",
        "dog    n/a     n/a     0",
    ]
    assert "-1" not in "\n".join(lines)
