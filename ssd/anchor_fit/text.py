"""The report of `anchors` for a screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_LONGEST_NAME = 32
_SIZES = {
    "small": "small (area under 32 x 32)",
    "medium": "medium",
    "large": "large (96 x 96 and more)",
}


def to_text(report: dict[str, Any]) -> str:
    """Returns the lines of the object that `report.run` makes."""
    return "\n".join(_lines(report))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    size = report["input_size"]
    shown = f"input {size[0]} x {size[1]} (height x width)" if size else "input of varying size"
    number = f"{report['anchors']:,} anchors" if report["anchors"] else "anchors"
    cell = "/".join(map(str, dict.fromkeys(report["anchors_per_location"])))
    kind = report["anchor_generator"]
    yield f"{report['config']}: {kind}, {number}, {cell} a location, {shown}"
    yield f"{', '.join(report['records'])}: {report['images']:,} images, {report['boxes']:,} boxes"
    for name, what in (
        ("boxes_without_area", "without area: not in the figures"),
        ("boxes_left_out", "with a coordinate that is no number: left out"),
    ):
        if report[name]:
            yield f"{report[name]:,} more boxes {what}"
    yield ""
    yield from _table(report)
    yield ""
    yield _below(report)
    yield ""
    yield from _clusters(report["clusters"], report["input_size"])
    yield ""
    yield from _suggestion(report)


def _table(report: dict[str, Any]) -> Iterator[str]:
    """Rows of all boxes, by size and by class; two blocks of columns where there is a suggestion.

    Recall is the share of boxes that an anchor overlaps with such an IoU or more.
    """
    blocks = [report] + ([report["suggestion"]] if report["suggestion"] else [])
    threshold = report["matched_threshold"]
    columns = [("recall_50", "IoU 0.5")]
    if threshold not in (None, 0.5):
        columns.append(("recall_matched", f"IoU {threshold:g}"))
    columns.append(("mean_best_iou", "mean IoU"))
    names = [_short(name) for name in report["per_class"]]
    width = max(map(len, [*_SIZES.values(), *names]))
    block_width = sum(10 for _ in columns)
    if len(blocks) > 1:
        yield " " * (width + 10) + "".join(
            f"{title:>{block_width}}" for title in ("these anchors", "suggested")
        )
    heads = "".join(f"{head:>10}" for head in [h for _, h in columns] * len(blocks))
    yield f"{'boxes that reach':<{width}}{'boxes':>10}{heads}"
    rows: list[tuple[str, str, str | None]] = [("all", "all", None)]
    rows += [(shown, "per_size", name) for name, shown in _SIZES.items()]
    rows += [
        (_short(name), "per_class", name)
        for name, own in report["per_class"].items()
        if own["boxes"]
    ]
    for shown, group, name in rows:
        own = [block[group] if name is None else block[group][name] for block in blocks]
        values = "".join(f"{_number(each[key]):>10}" for each in own for key, _ in columns)
        yield f"{shown:<{width}}{own[0]['boxes']:>10,}{values}"
    without = [name for name, own in report["per_class"].items() if not own["boxes"]]
    if without:
        yield f"no boxes: {len(without)} of {len(report['per_class'])} classes"


def _below(report: dict[str, Any]) -> str:
    threshold, below = report["matched_threshold"], report["below_matched_threshold"]
    if threshold is None:
        return "The matcher of this config gives boxes their anchors without an IoU threshold."
    share = below / report["boxes"]
    boxes = "1 box reaches" if below == 1 else f"{below:,} boxes ({share:.1%}) reach"
    line = f"{boxes} matched_threshold {threshold:g} with no anchor: "
    if report["force_match_for_each_row"]:
        return line + "learnt by one anchor each, which force_match_for_each_row forces."
    return line + "never learnt, because force_match_for_each_row is false."


def _clusters(clusters: dict[str, Any], input_size: list[int] | None) -> Iterator[str]:
    where = "at the input" if input_size else "of the resized pictures"
    shapes = clusters["shapes"]
    yield (
        f"{len(shapes)} shapes that the boxes have (k-means by IoU), mean IoU "
        f"{clusters['mean_iou']:.3f}; pixels {where}"
    )
    yield f"{'height':>10}{'width':>10}{'w / h':>10}{'of boxes':>10}{'mean IoU':>10}"
    for shape in shapes:
        yield (
            f"{shape['height']:>10.1f}{shape['width']:>10.1f}{shape['aspect_ratio']:>10.2f}"
            f"{shape['share']:>10.1%}{shape['mean_iou']:>10.3f}"
        )


def _suggestion(report: dict[str, Any]) -> Iterator[str]:
    found = report["suggestion"]
    if found is None:
        if report["anchor_generator"].startswith(("multiscale", "ssd")):
            yield "Nothing that was tried is better by two hundredths: keep these anchors."
        else:
            yield f"No suggestion: {report['anchor_generator']} is not searched."
        return
    yield "Suggested in place of model.ssd.anchor_generator, as many anchors:"
    yield found["text"]
    yield f"To try it: ./run.sh train ... --set '{found['set']}'"
    yield "A checkpoint was trained with its own anchors and has to learn others first."


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
