"""What the anchors of a config are to boxes, and the verb that the data tools ask."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssd.anchor_fit import recall
from ssd.anchor_fit.recall import load_model
from ssd.config import pipeline
from ssd.core import boxes as box_ops
from ssd.errors import InputError
from ssd.models.builder import build_detector
from ssd.shipped_configs import find_config

FPNLITE = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
SSD = "ssd_mobilenet_v2_320x320_coco17_tpu-8"
SMALL = "model.ssd.feature_extractor.depth_multiplier=0.1"
RESIZER = "model.ssd.image_resizer"
FIXED = f"{RESIZER}.fixed_shape_resizer={{ height: 64 width: 96 }}"
PADDED = (
    f"{RESIZER}.keep_aspect_ratio_resizer="
    "{ min_dimension: 96 max_dimension: 128 pad_to_max_dimension: true }"
)
VARYING = f"{RESIZER}.keep_aspect_ratio_resizer={{ min_dimension: 64 max_dimension: 160 }}"
MULTIPLE = "model.ssd.feature_extractor.pad_to_multiple=32"
MATCHER = "model.ssd.matcher.argmax_matcher"
SIMILARITY = "model.ssd.similarity_calculator"


def some_boxes(count: int = 300) -> np.ndarray:
    random = np.random.default_rng(5)
    corners = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1)
    return corners.reshape(count, 4).astype(np.float32)


@pytest.mark.parametrize("name", [FPNLITE, SSD])
def test_best_of_the_detectors_own_anchors(name):
    loaded = pipeline.load(find_config(name), [SMALL, FIXED])
    anchors = build_detector(loaded.message.model, seed=1).anchors
    model = load_model(name, [SMALL, FIXED])
    found = some_boxes()
    # The size of a picture that is squeezed anyway does not count.
    placed = model.place(found, np.zeros((len(found), 2), np.int32))
    expected = box_ops.iou(found, anchors).numpy().max(axis=1)
    np.testing.assert_allclose(model.best_iou(placed), expected, atol=1e-4)
    assert model.num_anchors() == len(anchors)
    assert (model.input_size, model.needs_image_sizes) == ((64, 96), False)


def test_anchors_of_pictures_of_different_sizes():
    model = load_model(FPNLITE, [SMALL, VARYING, MULTIPLE])
    assert (model.input_size, model.num_anchors(), model.needs_image_sizes) == (None, None, True)
    found = some_boxes(60)
    sizes = np.array([[120, 200], [300, 100], [120, 200]] * 20, np.int32)
    placed = model.place(found, sizes)
    # The shorter side becomes 64, the longer one at most 160.
    assert [frame.size for frame in placed.frames] == [(64, 107), (160, 53)]
    assert [frame.true_size for frame in placed.frames] == [(64, 107), (160, 53)]
    assert placed.frame_numbers.tolist() == [0, 1, 0] * 20
    np.testing.assert_allclose(
        placed.sides_pixels[1], (found[1, 2:] - found[1, :2]) * [160, 53], rtol=1e-6
    )
    best = model.best_iou(placed)
    detector = build_detector(
        pipeline.load(find_config(FPNLITE), [SMALL, VARYING, MULTIPLE]).message.model, seed=1
    )
    for size, rows in (((64, 107), sizes[:, 0] == 120), ((160, 53), sizes[:, 0] == 300)):
        predictions = detector.predict(np.zeros((1, *size, 3), np.float32))
        anchors = detector.anchors_of(predictions)
        expected = box_ops.iou(found[rows], anchors).numpy().max(axis=1)
        np.testing.assert_allclose(best[rows], expected, atol=1e-4)


def test_boxes_of_a_padded_picture():
    model = load_model(FPNLITE, [SMALL, PADDED])
    found = np.array([[0.0, 0.25, 0.5, 1.0]], np.float32)
    # 60 x 100 becomes 77 x 128 at the top left of 128 x 128.
    placed = model.place(found, np.array([[60, 100]], np.int32))
    np.testing.assert_allclose(placed.boxes, [[0.0, 0.25, 0.5 * 77 / 128, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(placed.sides_pixels, [[38.5, 96.0]], rtol=1e-6)
    assert (model.input_size, model.needs_image_sizes) == ((128, 128), True)


@pytest.mark.parametrize(
    ("overrides", "threshold"),
    [
        ((), 0.5),
        ((f"{MATCHER}.matched_threshold=0.625", f"{MATCHER}.unmatched_threshold=0.25"), 0.625),
        ((f"{MATCHER}.ignore_thresholds=true",), None),
        (("model.ssd.matcher.bipartite_matcher={}",), None),
        ((f"{SIMILARITY}.ioa_similarity={{}}",), None),
        ((f"{SIMILARITY}.thresholded_iou_similarity={{ iou_threshold: 0.375 }}",), 0.375),
    ],
)
def test_when_an_anchor_learns_a_box(overrides, threshold):
    assert load_model(FPNLITE, overrides).matched_threshold == threshold


def test_no_boxes():
    for overrides in ((), (VARYING, MULTIPLE)):
        model = load_model(FPNLITE, overrides)
        placed = model.place(np.zeros((0, 4), np.float32), np.zeros((0, 2), np.int32))
        assert placed.sides_pixels.shape == (0, 2)
        assert model.best_iou(placed).shape == (0,)


def ask(folder: Path, *overrides: str, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    np.savez(folder / "in.npz", **arrays)
    recall.run(
        FPNLITE, boxes=str(folder / "in.npz"), output=str(folder / "out.npz"), overrides=overrides
    )
    with np.load(folder / "out.npz") as values:
        return dict(values)


def test_arrays_in_and_out(tmp_path):
    # 32 x 32 pixels around a centre of the map of stride 8: an anchor.
    found = np.array([[0.0875, 0.1125, 0.1875, 0.2125], [0.1, 0.2, 0.125, 0.6]], np.float32)
    sizes = np.array([[120, 200], [300, 70]], np.int32)
    out = ask(tmp_path, boxes=found, image_sizes=sizes)
    assert sorted(out) == ["best_iou", "input_size", "matched_threshold", "sides_pixels"]
    assert out["best_iou"][0] == pytest.approx(1.0, abs=1e-5)
    # At best 8 x 45.25 of the anchor 22.63 x 45.25: 362 of 1024 + 1024 - 362.
    assert 0.15 < out["best_iou"][1] < 0.2148
    np.testing.assert_allclose(out["sides_pixels"], [[32, 32], [8, 128]], rtol=1e-5)
    assert (out["matched_threshold"], out["input_size"].tolist()) == (0.5, [320, 320])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npz", "out.npz"]


def test_what_is_not_decided(tmp_path):
    overrides = (VARYING, MULTIPLE, "model.ssd.matcher.bipartite_matcher={}")
    out = ask(tmp_path, *overrides, boxes=np.zeros((0, 4)), image_sizes=np.zeros((0, 2)))
    assert (out["matched_threshold"], out["input_size"].tolist()) == (0.0, [0, 0])
    assert (out["best_iou"].shape, out["sides_pixels"].shape) == ((0,), (0, 2))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"boxes": np.zeros((3, 4))}, r"in\.npz: no \.npz with boxes and image_sizes"),
        (
            {"boxes": np.zeros((3, 5)), "image_sizes": np.zeros((3, 2))},
            r"in\.npz: boxes \[3, 5\] and image_sizes \[3, 2\]; expected \[M, 4\]",
        ),
        ({"boxes": np.zeros((3, 4)), "image_sizes": np.zeros((2, 2))}, r"image_sizes \[2, 2\]"),
        ({"boxes": np.float32(1), "image_sizes": np.zeros((0, 2))}, r"boxes \[\] and"),
    ],
)
def test_arrays_of_other_shapes(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message) as caught:
        ask(tmp_path, **arrays)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path):
    (tmp_path / "text.npz").write_text("boxes")
    for name in ("text.npz", "nowhere.npz"):
        with pytest.raises(InputError, match=rf"--boxes .*{name}: no \.npz with boxes"):
            recall.run(FPNLITE, boxes=str(tmp_path / name), output="x.npz")
    given, answer = str(tmp_path / "in.npz"), str(tmp_path / "nowhere" / "out.npz")
    np.savez(given, boxes=np.zeros((0, 4)), image_sizes=np.zeros((0, 2)))
    with pytest.raises(InputError, match=r"--output .*out\.npz: cannot be written: No such file"):
        recall.run(FPNLITE, boxes=given, output=answer)


@pytest.mark.parametrize(
    ("config", "override", "message"),
    [
        ("ssd_mobilenet_v3", [], r"--config ssd_mobilenet_v3: no such file and no shipped config"),
        (FPNLITE, ["model.ssd.num_clases=3"], r"--set model\.ssd\.num_clases=3"),
        (FPNLITE, ["model.ssd.feature_extractor.fpn.max_level=6"], r"max_level: .*make them equal"),
        (FPNLITE, ["model.center_net={}"], r"model\.center_net"),
    ],
)
def test_a_bad_config(config, override, message):
    with pytest.raises(InputError, match=message) as caught:
        load_model(config, override)
    assert "\n" not in str(caught.value)


def test_one_line_for_the_data_tools(tmp_path, project):
    np.savez(tmp_path / "in.npz", boxes=np.zeros((0, 4)), image_sizes=np.zeros((0, 2)))
    command = [sys.executable, "-m", "ssd", "anchor-recall", "--config", "ssd_mobilenet_v3"]
    done = subprocess.run(
        [*command, "--boxes", str(tmp_path / "in.npz"), "--output", str(tmp_path / "o.npz")],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""},
    )
    assert (done.returncode, done.stdout) == (2, "")
    # The data tools take the last line, without the name of the verb.
    assert done.stderr.splitlines()[-1].startswith("anchor-recall: --config ssd_mobilenet_v3: no ")
    assert not (tmp_path / "o.npz").exists()
