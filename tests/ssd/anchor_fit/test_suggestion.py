"""Other anchors for given boxes: better ones, or none; always ones that a config may have."""

from __future__ import annotations

import numpy as np
import pytest

from ssd.anchor_fit import search, suggestion
from ssd.anchor_fit.recall import AnchorModel, load_model
from ssd.anchor_fit.suggestion import class_weights, figures, suggest, to_text
from ssd.config import cli, pipeline
from ssd.errors import InputError
from ssd.models import anchor_builder
from ssd.shipped_configs import find_config

FPNLITE = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
SSD = "ssd_mobilenet_v2_320x320_coco17_tpu-8"
VARYING = (
    "model.ssd.image_resizer.keep_aspect_ratio_resizer={ min_dimension: 192 max_dimension: 320 }",
    "model.ssd.feature_extractor.pad_to_multiple=32",
)
THRESHOLD = (
    "model.ssd.matcher.argmax_matcher.matched_threshold=0.7",
    "model.ssd.matcher.argmax_matcher.unmatched_threshold=0.3",
)


def boxes_of(height: float, width: float, count: int = 200) -> np.ndarray:
    """Boxes of nearly one shape, in shares of the picture, all over it."""
    random = np.random.default_rng(6)
    sides = np.array([height, width]) * random.uniform(0.85, 1.15, (count, 2))
    low = random.uniform(0, 1 - sides)
    return np.concatenate([low, low + sides], axis=1).astype(np.float32)


def placed_and_present(model: AnchorModel, found: np.ndarray):
    sizes = np.array([[200, 300], [150, 400]] * len(found), np.int32)[: len(found)]
    placed = model.place(found, sizes)
    return placed, model.best_iou(placed)


def lines_and_points(name: str, section: str, tmp_path):
    """A shipped config with another anchor_generator section, as somebody would paste it."""
    text = find_config(name).read_text()
    begin = text.index("anchor_generator {")
    depth, end = 0, begin
    for end in range(text.index("{", begin), len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            break
    path = tmp_path / "pasted.config"
    path.write_text(text[:begin] + section + text[end + 1 :])
    return path


@pytest.mark.parametrize(
    ("name", "shape", "overrides"),
    [
        (FPNLITE, (0.05, 0.3), ()),
        (FPNLITE, (0.03, 0.02), THRESHOLD),
        (FPNLITE, (0.08, 0.4), VARYING),
        (SSD, (0.06, 0.5), ()),
        (SSD, (0.4, 0.07), THRESHOLD),
    ],
)
def test_better_in_no_figure_worse_and_accepted(name, shape, overrides, tmp_path, capsys):
    model = load_model(name, overrides)
    placed, present = placed_and_present(model, boxes_of(*shape))
    found = suggest(model, placed, present, np.ones(len(present), int))
    assert found is not None
    # What is printed is what was measured: read again, with the real generators.
    section = to_text(found.anchor_generator)
    path = lines_and_points(name, section, tmp_path)
    loaded = pipeline.load(path, overrides)
    pipeline.require_obeyed(loaded, for_training=False)
    again = AnchorModel(loaded.message.model.ssd)
    then = again.best_iou(again.place(boxes_of(*shape), _sizes(len(present))))
    np.testing.assert_array_equal(then, found.best_iou)
    now, better = (figures(v, model.matched_threshold) for v in (present, then))
    assert len(now) == (3 if overrides == THRESHOLD else 2)
    assert all(b >= a for a, b in zip(now, better, strict=True))
    assert max(b - a for a, b in zip(now, better, strict=True)) >= 0.02
    # As many anchors, so that the heads keep their form.
    assert again.num_anchors() == model.num_anchors()
    assert cli.check([path]) is True
    assert f"{path}: obeyed" in capsys.readouterr().out
    # The same by --set.
    value = " ".join(section.removeprefix("anchor_generator ").split())
    by_flag = load_model(name, [*overrides, f"model.ssd.anchor_generator={value}"])
    assert by_flag.ssd.anchor_generator == again.ssd.anchor_generator


def _sizes(count: int) -> np.ndarray:
    return np.array([[200, 300], [150, 400]] * count, np.int32)[:count]


def test_the_same_boxes_give_the_same_suggestion(monkeypatch):
    monkeypatch.setattr(suggestion, "_MAX_COMPARED", 60)
    model = load_model(FPNLITE)
    placed, present = placed_and_present(model, boxes_of(0.05, 0.3))
    first, again = (
        suggest(model, placed, present, np.ones(len(present), int), seed=2) for _ in range(2)
    )
    assert first.anchor_generator == again.anchor_generator
    # Found with a few, measured with all.
    assert first.best_iou.shape == present.shape


def test_nothing_better():
    model = load_model(FPNLITE)
    placed, present = placed_and_present(model, _own_anchors(model))
    assert present.min() > 0.99
    assert suggest(model, placed, present, np.ones(len(present), int)) is None


def _own_anchors(model: AnchorModel) -> np.ndarray:
    """Some of the anchors themselves, at their places."""
    generator = anchor_builder.build(model.ssd.anchor_generator)
    shapes = [(40, 40), (20, 20), (10, 10), (5, 5), (3, 3)]
    anchors = generator.generate(shapes, (320, 320))
    is_inside = ((anchors >= 0) & (anchors <= 1)).all(axis=1)
    return anchors[is_inside][::37]


def test_no_boxes_and_no_search():
    model = load_model(FPNLITE)
    placed, present = placed_and_present(model, np.zeros((0, 4), np.float32))
    assert suggest(model, placed, present, np.ones(len(present), int)) is None
    grids = " ".join(
        f"anchor_grid {{ base_sizes: [{size}.0] aspect_ratios: [1.0] height_stride: {stride} "
        f"width_stride: {stride} }}"
        for size, stride in ((20, 8), (40, 16), (80, 32), (160, 64), (300, 128))
    )
    overrides = [f"model.ssd.anchor_generator.flexible_grid_anchor_generator={{ {grids} }}"]
    model = load_model(FPNLITE, overrides)
    placed, present = placed_and_present(model, boxes_of(0.05, 0.3))
    assert suggest(model, placed, present, np.ones(len(present), int)) is None


def test_it_is_never_worse(monkeypatch):
    # Whatever the search returns: the last word have the figures of all boxes.
    model = load_model(FPNLITE)
    placed, present = placed_and_present(model, boxes_of(0.2, 0.2))
    wrong = type(model.ssd.anchor_generator)()
    wrong.CopyFrom(model.ssd.anchor_generator)
    wrong.multiscale_anchor_generator.aspect_ratios[:] = [8.0, 6.0, 7.0]
    monkeypatch.setattr(suggestion, "_walk", lambda space, objective: (9.0, wrong))
    assert suggest(model, placed, present, np.ones(len(present), int)) is None


@pytest.mark.parametrize(
    ("then", "is_better"),
    [((0.7, 0.6), True), ((0.9, 0.59), False), ((0.49, 0.9), False), ((0.51, 0.61), False)],
)
def test_no_figure_is_traded_for_another(monkeypatch, then, is_better):
    model = load_model(FPNLITE)
    placed, present = placed_and_present(model, boxes_of(0.2, 0.2))
    own = model.ssd.anchor_generator
    monkeypatch.setattr(suggestion, "_walk", lambda space, objective: (9.0, own))
    # Of all boxes: 200 with the present anchors, then with the others; a part is compared first.
    results = iter([(0.5, 0.6), *[(0.5, 0.6), then] * 4])
    monkeypatch.setattr(suggestion, "figures", lambda *arguments: next(results))
    assert (suggest(model, placed, present, np.ones(len(present), int)) is not None) is is_better


@pytest.mark.parametrize("name", [FPNLITE, SSD])
def test_every_point_has_as_many_anchors(name):
    own = load_model(name).ssd.anchor_generator
    sides = np.array([[20.0, 60.0], [50.0, 50.0], [90.0, 40.0]])
    counts = anchor_builder.build(own).num_anchors_per_location(6)
    spaces = search.spaces(own, sides)
    assert len(spaces) == (3 if name == FPNLITE else 1)
    for space in spaces:
        for start in space.starts:
            message = space.message(start)
            assert anchor_builder.build(message).num_anchors_per_location(6) == counts
    # Twice the same ratio, a ratio of 9:1 or a falling list of scales is no setting.
    for point in ((0, 4, 4, 1), (0, 13, 2, 1), (60, 1, 2, 3)):
        if name == FPNLITE:
            assert spaces[1].message(point) is None
    if name == SSD:
        assert spaces[0].message((-8, -16, 0, 1, 2, 3, 4, 5)) is None
        assert spaces[0].message((-16, -8, 0, 1, 2, 3, 4, 5)) is not None


def test_figures_at_the_threshold_that_was_written():
    # float32 of 0.7 is less than 0.7: it still reaches a threshold of 0.7.
    best = np.array([0.7, 0.5, 0.4, 0.8], np.float32)
    assert figures(best, 0.7)[:2] == (0.75, 0.5)
    assert figures(best, float(np.float32(0.7)))[:2] == (0.75, 0.5)
    assert figures(best, None) == figures(best, 0.5) == (0.75, pytest.approx(0.6))


def test_text_of_a_section():
    message = load_model(SSD).ssd.anchor_generator
    assert to_text(message).splitlines()[:3] == [
        "anchor_generator {",
        "  ssd_anchor_generator {",
        "    num_layers: 6",
    ]
    assert "    aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333]" in to_text(message).splitlines()


def test_ratios_keep_their_rank():
    assert search._in_order_of([1.0, 2.0, 0.5], [3.0, 0.25, 0.71]) == [0.71, 3.0, 0.25]
    assert search._in_order_of([1.0, 2.0], [3.0, 0.25, 0.71]) == [0.25, 0.71, 3.0]


def test_typical_ratios_are_different():
    # All boxes four times as wide as high: 2^(8/4), and its neighbours.
    assert search._typical_ratios(np.full(9, 2.0), 3) == [8, 7, 9]
    # The first quarter's end lies between 1:2 and 2:1. Nothing goes beyond 8 to 1.
    assert search._typical_ratios(np.array([-1.0, 1.0, 1.0]), 2) == [0, 4]
    assert search._typical_ratios(np.array([-9.0] * 3), 1) == [-12]


def test_scales_rise_evenly_or_by_a_factor():
    assert search._scales(0.1, 0.9, 0.0, 3) == [0.1, 0.5, 0.9]
    assert search._scales(0.1, 0.9, 1.0, 3) == [0.1, 0.3, 0.9]


def test_a_bad_section_is_refused_where_it_stands(tmp_path):
    path = lines_and_points(FPNLITE, "anchor_generator { ssd_anchor_generator { } }", tmp_path)
    with pytest.raises(InputError, match="anchor_generator"):
        load_model(str(path))


def test_every_class_counts_the_same():
    """Of four boxes in three classes: 1/3, 1/3, and 1/6 for each of two."""
    np.testing.assert_allclose(class_weights(np.array([7, 2, 9, 2])), [1 / 3, 1 / 6, 1 / 3, 1 / 6])
    assert class_weights(np.zeros(0, int)).shape == (0,)
    best = np.array([0.5, 0.2, 0.9, 0.4], np.float32)
    weights = class_weights(np.array([1, 2, 2, 2]))
    np.testing.assert_allclose(figures(best, 0.3, weights), [2 / 3, 1 / 2 + 1 / 3, 0.5])


def test_a_rare_class_of_small_boxes_is_heard():
    model = load_model(FPNLITE)
    common, rare = boxes_of(0.2, 0.2), boxes_of(0.03, 0.03)[:6]
    placed, present = placed_and_present(model, np.concatenate([common, rare]))
    class_ids = np.repeat([1, 2], [len(common), len(rare)])
    found = suggest(model, placed, present, class_ids)
    assert found is not None
    assert (present[-6:] >= 0.5).mean() < 0.5 <= (found.best_iou[-6:] >= 0.5).mean()
