"""Fixtures that every test may use."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from ssd.label_map import LabelMap
    from ssd.models.detector import Detector

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

PROJECT = Path(__file__).resolve().parents[1]

# Recordings and real photos lie beside the checkout; tests that need them skip without them.
SHARED = Path(os.environ.get("SSD_SHARED", Path(__file__).resolve().parents[2] / "shared"))

FPNLITE_CONFIG = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
# 64x96 with levels 3..7: maps 8x12, 4x6, 2x3, 1x2, 1x1; 129 cells, 774 anchors.
TINY_OVERRIDES = (
    "model.ssd.num_classes=3",
    "model.ssd.feature_extractor.depth_multiplier=0.25",
    "model.ssd.image_resizer.fixed_shape_resizer.height=64",
    "model.ssd.image_resizer.fixed_shape_resizer.width=96",
    "train_config.batch_size=2",
)
TINY_CLASSES = ("bolt", "nut", "washer")
_COLOURS = {"bolt": (220, 40, 30), "nut": (30, 60, 210), "washer": (240, 210, 20)}
# (width, height), then (class, xmin, ymin, xmax, ymax) of every object; the fourth holds none.
_TINY_PICTURES: tuple[tuple[tuple[int, int], tuple[tuple[str, int, int, int, int], ...]], ...] = (
    ((200, 120), (("bolt", 20, 30, 90, 110),)),
    ((190, 110), (("nut", 10, 12, 180, 60), ("bolt", 100, 65, 150, 105))),
    ((120, 200), (("washer", 15, 70, 100, 190),)),
    ((160, 100), ()),
    ((210, 130), (("bolt", 5, 6, 60, 44), ("washer", 90, 20, 170, 120), ("nut", 8, 60, 80, 99))),
    ((150, 220), (("nut", 33, 44, 110, 97),)),
)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings and real data beside the checkout; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}: recordings of the original and real photos are not here")
    return SHARED


@pytest.fixture(scope="session")
def oracle(shared: Path) -> Path:
    """The recordings of the original."""
    return shared / "oracle"


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def no_zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables under which no zoo model is cached and no server asked for one."""
    nothing = tmp_path_factory.mktemp("no_zoo")
    return {"ZOO_CACHE": str(nothing / "cache"), "ZOO_MIRROR": str(nothing / "mirror")}


@pytest.fixture(scope="session")
def golden_data() -> Path:
    """The folder of small recordings that come with the tests; origins in its README.md."""
    return PROJECT / "tests/data"


@pytest.fixture(scope="session")
def tiny_voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/ and annotations/ (Pascal VOC): six pictures, coloured rectangles of three classes."""
    folder = tmp_path_factory.mktemp("tiny_voc")
    (folder / "images").mkdir()
    (folder / "annotations").mkdir()
    for number, ((width, height), objects) in enumerate(_TINY_PICTURES):
        picture = Image.new("RGB", (width, height), (90 + 10 * number, 120, 110))
        brush = ImageDraw.Draw(picture)
        elements = []
        for name, xmin, ymin, xmax, ymax in objects:
            brush.rectangle((xmin, ymin, xmax - 1, ymax - 1), fill=_COLOURS[name])
            elements.append(
                f"<object><name>{name}</name><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
                f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
            )
        picture.save(folder / f"images/p{number}.png")
        (folder / f"annotations/p{number}.xml").write_text(
            f"<annotation><filename>p{number}.png</filename><size><width>{width}</width>"
            f"<height>{height}</height></size>{''.join(elements)}</annotation>"
        )
    return folder


@pytest.fixture(scope="session")
def tiny_data(tiny_voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `convert voc` makes of `tiny_voc`: p0 to p3 for training, p4 and p5 for validation."""
    from tfrecord_tools.convert import convert

    folder = tmp_path_factory.mktemp("tiny_data")
    splits = folder / "splits"
    splits.mkdir()
    (splits / "train.txt").write_text("p0\np1\np2\np3\n")
    (splits / "val.txt").write_text("p4\np5\n")
    convert(
        kind="voc",
        images=str(tiny_voc / "images"),
        annotations=str(tiny_voc / "annotations"),
        output=str(folder / "records"),
        split_dir=str(splits),
        shards=1,
        workers=1,
    )
    return folder / "records"


@pytest.fixture(scope="session")
def tiny_label_map() -> LabelMap:
    """bolt, nut, washer."""
    from ssd import label_map

    return label_map.from_names(TINY_CLASSES)


@pytest.fixture
def tiny_config(project: Path) -> Any:
    """The shipped FPNLite config at depth 0.25, 64x96, three classes, batches of two; a message."""
    from ssd.config import pipeline

    return pipeline.load(
        project / f"pipeline_configs/{FPNLITE_CONFIG}.config", TINY_OVERRIDES
    ).message


@pytest.fixture(scope="session")
def tiny_demo_config(project: Path) -> str:
    """The text of the demo's config at depth 0.25 and 64x96, batches of four."""
    text = (project / "pipeline_configs/demo.config").read_text()
    for old, new in (
        ("depth_multiplier: 1.0", "depth_multiplier: 0.25"),
        ("height: 192 width: 192", "height: 64 width: 96"),
        ("batch_size: 16", "batch_size: 4"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="session")
def _shared_tiny_detector(project: Path) -> tuple[Detector, dict[str, np.ndarray]]:
    from ssd.config import pipeline
    from ssd.models.builder import build_detector

    config = pipeline.load(
        project / f"pipeline_configs/{FPNLITE_CONFIG}.config", TINY_OVERRIDES
    ).message
    detector = build_detector(config.model, seed=7)
    initial = {key: v.numpy() for key, v in detector.checkpoint_variables().items()}
    return detector, initial


@pytest.fixture
def tiny_detector(
    _shared_tiny_detector: tuple[Detector, dict[str, np.ndarray]],
) -> Iterator[Detector]:
    """The detector of `tiny_config` with its initial variables; built once, set back after use."""
    detector, initial = _shared_tiny_detector
    yield detector
    for key, variable in detector.checkpoint_variables().items():
        variable.assign(initial[key])


@pytest.fixture
def in_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; what is written to relative paths goes there."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.chdir(folder)
        yield Path(folder)
