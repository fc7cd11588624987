"""report.html: what was trained or evaluated, how good it is, and what to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ssd.coco_metrics import MEANINGS
from ssd.run_report import page_parts as parts
from ssd.run_report.analysis import Analysis
from ssd.run_report.detection_plots import MAX_BARS, ranked
from ssd.run_report.page_parts import Picture, fraction
from ssd.run_report.page_style import STYLE
from ssd.run_report.plot_style import color_of
from ssd.standard_fields import LABEL_ID_OFFSET

_HEAD = ("class", "boxes", "AP", "AP50", "score from", "precision", "recall", "F1")


@dataclass(frozen=True)
class Column:
    """The metrics of one evaluation.

    Attributes:
      title: such as "best, step 400".
      summary: as `DetectionMetrics.summarize` gives it.
    """

    title: str
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class WorstPicture:
    """One of the worst images, drawn twice.

    Attributes:
      source_id: of the image.
      what: is wrong, in words.
      f1: of the image.
      detections, groundtruth: see `pictures.mistakes`.
    """

    source_id: str
    what: str
    f1: float
    detections: Picture
    groundtruth: Picture


@dataclass(frozen=True)
class PageContent:
    """What the page shows; parts that are empty are left out.

    Attributes:
      title: of the page.
      status: one line below it.
      facts: (what, value) about data and training.
      columns: evaluations, the first of which the page is about.
      training: figures over the steps.
      detection: figures of the first column's evaluation.
      analysis: of that evaluation.
      worst: its worst images, worst first.
    """

    title: str
    status: str
    facts: Sequence[tuple[str, str]]
    columns: Sequence[Column] = ()
    training: Sequence[Picture] = ()
    detection: Sequence[Picture] = ()
    analysis: Analysis | None = None
    worst: Sequence[WorstPicture] = ()


def render(content: PageContent) -> str:
    """Returns the whole page; it needs no other file and no network."""
    body = [
        f"<h1>{escape(content.title)}</h1>",
        f'<p class="status">{escape(content.status)}</p>',
        _headline(content),
        parts.section(
            "What was measured" if not content.training else "What was trained",
            parts.facts(content.facts),
        ),
    ]
    if content.columns:
        body += [_metrics(content.columns), _classes(content)]
    if content.training:
        body.append(parts.section("Training", parts.figures(content.training)))
    if content.detection:
        body.append(
            parts.section(
                "Detections", parts.figures(content.detection), note=_detections_note(content)
            )
        )
    if content.worst:
        body.append(_worst(content.worst))
    body.append(
        "<footer>All pictures are files in the folder report beside this page, too.</footer>"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(content.title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(filter(None, body))}\n</main></body></html>\n"
    )


def _headline(content: PageContent) -> str:
    if not content.columns:
        return ""
    summary = content.columns[0].summary
    cards = [
        (fraction(summary.get(name)), f"{name}, {words}")
        for name, words in (
            ("AP50", "IoU 0.5"),
            ("AP", "IoU 0.5 to 0.95"),
            ("AR100", "average recall"),
        )
    ]
    if content.analysis:
        boxes = sum(content.analysis.num_boxes.values())
        cards.append((f"{len(content.analysis.images):,}", f"images, {boxes:,} boxes"))
    return parts.numbers(cards)


def _metrics(columns: Sequence[Column]) -> str:
    """COCO's 12 numbers, then the means of other sets of metrics."""
    names = {name: meaning for name, (meaning, _) in MEANINGS.items()}
    others = [name for name in columns[0].summary if "/" in name and "ByCategory/" not in name]
    rows = [
        [
            escape(name),
            escape(names.get(name, "")),
            *(fraction(column.summary.get(name)) for column in columns),
        ]
        for name in (*names, *others)
    ]
    head = ["metric", "", *(column.title for column in columns)]
    return parts.section("Metrics", parts.table(head, rows, text_columns=(1,)))


def _classes(content: PageContent) -> str:
    per_class = content.columns[0].summary.get("per_class", {})
    if not per_class:
        return ""
    rows = {
        name: _class_row(name, numbers, content.analysis) for name, numbers in per_class.items()
    }
    head = _HEAD if content.analysis else _HEAD[:4]
    shown, rest = list(rows.values()), ""
    if len(rows) > MAX_BARS:
        order = [name for name, _ in ranked(per_class)]
        kept = dict.fromkeys((*order[: MAX_BARS // 2], *order[-MAX_BARS // 2 :]))
        shown = [rows[name] for name in kept]
        everything = parts.table(head, rows.values())
        rest = f"<details><summary>All {len(rows)} classes</summary>{everything}</details>"
    note = "Boxes are those of the validation images, crowds left out."
    if len(rows) > MAX_BARS:
        note += f" The {MAX_BARS // 2} best and the {MAX_BARS // 2} worst classes by AP."
    if content.analysis:
        note += (
            " “Score from” is the recommended threshold: there F1, the harmonic mean of precision "
            "and recall at IoU 0.5, is highest on these images; where several do as well, the "
            "middle one."
        )
    return parts.section("Classes", parts.table(head, shown), rest, note=note)


def _class_row(name: str, numbers: Mapping[str, Any], analysis: Analysis | None) -> list[str]:
    row = [f"{numbers['boxes']:,}", fraction(numbers["AP"]), fraction(numbers["AP50"])]
    swatch = ""
    if analysis:
        class_id = next(k for k, other in analysis.names.items() if other == name)
        color = color_of(class_id - LABEL_ID_OFFSET)
        swatch = f'<span class="swatch" style="background:{color}"></span>'
        point = analysis.best_points[class_id]
        row.append(fraction(point.threshold if point else None, 2))
        row += [
            fraction(value)
            for value in ((point.precision, point.recall, point.f1) if point else (None,) * 3)
        ]
    return [swatch + escape(name), *row]


def _detections_note(content: PageContent) -> str:
    title = content.columns[0].title
    return (
        f"{title[:1].upper()}{title[1:]}. A detection is a hit when it is of the right class and "
        "its IoU with a box that is still free is 0.5 or more. Dots are the recommended "
        "thresholds. Confusions: rows are groundtruth, columns what it was detected as; colours "
        "are shares of the row."
    )


def _worst(images: Sequence[WorstPicture]) -> str:
    note = (
        "Lowest F1 of the single image first, at the recommended thresholds of the classes; of "
        "equal ones more mistakes first. Detections are on the left (above), groundtruth is on the "
        "right (below)."
    )
    key = (
        '<p class="note key"><i style="border-color:#00be5a;margin-left:0"></i>found'
        '<i style="border-color:#fa3c58"></i>false detection, with its score'
        '<i style="border-color:#ff7010"></i>missed box</p>'
    )
    cards = "".join(
        f'<figure><div class="pair">{parts.image(one.detections)}{parts.image(one.groundtruth)}'
        f"</div><figcaption>{escape(one.source_id)}: <b>{escape(one.what)}</b> "
        f"<span>F1 {one.f1:.2f}</span></figcaption></figure>"
        for one in images
    )
    return parts.section("Worst images", key, f'<div class="worst">{cards}</div>', note=note)
