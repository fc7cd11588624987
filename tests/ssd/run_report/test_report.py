"""The page and its files, for good runs, empty ones, and names that are no HTML."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd import label_map as label_maps
from ssd.coco_metrics import CocoMetrics
from ssd.data.record_index import index_records
from ssd.errors import InputError
from ssd.evaluated_image import EvaluatedImage
from ssd.label_map import LabelMap
from ssd.run_report import plot_style, report
from ssd.run_report.analysis import Analysis
from ssd.run_report.page import Column

VOID = {"meta", "img", "br"}
NAMES = ["bolt", "nut", "washer"]
LOSSES = [
    {
        "step": 20 * n,
        "learning_rate": 0.1,
        "total_loss": 2 / n,
        "localization_loss": 1 / n,
        "classification_loss": 0.8 / n,
        "regularization_loss": 0.2 / n,
    }
    for n in range(1, 9)
]


@pytest.fixture(autouse=True)
def _small_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ninth of the pixels is enough to be looked at by nobody."""
    monkeypatch.setattr(plot_style, "_DOTS_PER_INCH", 60)


class Reader(HTMLParser):
    """Text and pictures; fails where a tag is not closed, or anything would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.pictures: list[Image.Image] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "b<")
        values = dict(attrs)
        assert "href" not in values
        if tag == "img":
            head, data = values["src"].split(",", 1)
            assert head.startswith("data:image/")
            assert values["alt"]
            self.pictures.append(Image.open(io.BytesIO(base64.b64decode(data))))
            self.pictures[-1].load()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def summary_of(images: list[EvaluatedImage], labels: LabelMap) -> dict:
    metrics = CocoMetrics(labels)
    for image in images:
        metrics.add(
            source_id=image.source_id,
            image_size=image.image_size,
            groundtruth_boxes=image.groundtruth_boxes,
            groundtruth_classes=image.groundtruth_classes,
            groundtruth_is_crowd=image.groundtruth_is_crowd,
            detection_boxes=image.detection_boxes,
            detection_scores=image.detection_scores,
            detection_classes=image.detection_classes,
        )
    return metrics.summarize()


def contents(images: list[EvaluatedImage], names: list[str], **changes) -> report.Contents:
    labels = label_maps.from_names(names)
    summary = summary_of(images, labels)
    evaluations = [{"step": 80, **summary}, {"step": 160, **summary}]
    values = {
        "title": "Training run a",
        "status": "finished",
        "facts": [("classes", ", ".join(names))],
        "columns": [Column("best, step 80", summary), Column("last, step 160", summary)],
        "training": report.Training(LOSSES, evaluations, 80, "AP"),
        "analysis": Analysis.of(images, labels),
    }
    return report.Contents(**(values | changes))


def written(folder: Path, what: report.Contents) -> Reader:
    assert report.write(folder, what) == folder / "report.html"
    assert not list(folder.rglob("*.tmp"))
    return Reader((folder / "report.html").read_text())


def test_everything_is_there(tmp_path: Path, tiny_data: Path, make_image):
    box = (0.1, 0.2, 0.5, 0.4)
    images = [
        make_image(0, [(1, box), (2, (0.6, 0.5, 0.9, 0.9))], [(1, 0.9, box)]),
        make_image(1, [(3, box)], [(3, 0.8, box)]),
    ]
    records = index_records([f"{tiny_data}/val-*.tfrecord"])
    page = written(tmp_path, contents(images, NAMES, records=records))
    files = {path.name: path for path in (tmp_path / "report").iterdir()}
    assert set(files) == {
        *("losses.png", "metrics.png", "learning_rate.png", "ap_per_class.png", "f1.png"),
        *("precision_recall.png", "scores.png", "confusion.png", "confusion_recommended.png"),
        *("worst_01_detections.jpg", "worst_01_groundtruth.jpg"),
    }
    assert len(page.pictures) == len(files)
    assert {p.size for p in page.pictures} == {Image.open(path).size for path in files.values()}
    text = " ".join(page.text)
    for part in ("best, step 80", "last, step 160", "img_0.jpg", "1 of 2 missed", "F1 0.67"):
        assert part in text
    # Two of three classes are found: AP 2/3; the third has no threshold.
    assert text.count("0.667") >= 4
    assert re.search(r"nut\s+1\s+0\.000\s+0\.000\s+–\s+–\s+–\s+–", text)
    assert re.search(r"bolt\s+1\s+1\.000\s+1\.000\s+0\.45\s+1\.000\s+1\.000\s+1\.000", text)


def test_pictures_of_an_earlier_page_go(tmp_path: Path, random_images, tiny_data: Path):
    (tmp_path / "report").mkdir()
    for name in ("worst_07_detections.jpg", "mine.jpg"):
        (tmp_path / "report" / name).write_text("")
    written(tmp_path, contents(random_images, NAMES))
    assert not (tmp_path / "report/worst_07_detections.jpg").exists()
    assert (tmp_path / "report/mine.jpg").exists()


@pytest.mark.parametrize("case", ["no detections", "no boxes", "no images", "one class"])
def test_poor_evaluations(tmp_path: Path, make_image, random_images, case):
    names = NAMES[:1] if case == "one class" else NAMES
    box = (0.1, 0.2, 0.5, 0.4)
    images = {
        "no detections": [make_image(0, [(1, box)], [])],
        "no boxes": [make_image(0, [], [(1, 0.9, box)])],
        "no images": [],
        "one class": [make_image(0, [(1, box)], [(1, 0.9, box)])],
    }[case]
    page = written(tmp_path, contents(images, names))
    assert len(page.pictures) == 9


def test_without_evaluations(tmp_path: Path):
    what = contents([], NAMES, columns=[], analysis=None)
    assert len(written(tmp_path, what).pictures) == 3


def test_two_hundred_classes(tmp_path: Path, make_image):
    random = np.random.default_rng(5)
    names = [f"part no. {k:03d}" for k in range(200)]
    images = []
    for number in range(60):
        truth = [
            (int(random.integers(1, 201)), (0.1, 0.1 * k, 0.4, 0.1 * k + 0.08)) for k in range(8)
        ]
        found = [
            (k if random.random() < 0.7 else int(random.integers(1, 201)), random.random(), box)
            for k, box in truth
        ]
        images.append(make_image(number, truth, found))
    page = written(tmp_path, contents(images, names))
    text = " ".join(page.text)
    assert "All 200 classes" in text
    assert "The 20 best and the 20 worst classes" in text
    assert all(name in text for name in names)


def test_names_are_text_not_html(tmp_path: Path, random_images):
    names = ['<script>alert("x")</script>', "a & b </td>", "写真 ☃"]
    what = contents(random_images, names, title="<i>run</i>", status="a < b & c")
    page = written(tmp_path, what)
    text = " ".join(page.text)
    assert all(name in text for name in [*names, "a < b & c"])
    assert text.count("<i>run</i>") == 2  # the page's title and its heading


@pytest.mark.parametrize("blocked", ["report", "report.html"])
def test_what_cannot_be_written_is_said(tmp_path: Path, random_images, blocked):
    """A file where the folder should be; a folder where the page should be."""
    if blocked == "report":
        (tmp_path / blocked).write_text("")
    else:
        (tmp_path / blocked).mkdir()
    with pytest.raises(
        InputError, match=r"report.html: cannot be written \((File exists|Is a dir)"
    ):
        report.write(tmp_path, contents(random_images, NAMES))
    assert not list(tmp_path.rglob("*.tmp"))
