"""report.html of a run or an evaluation, with its pictures as files beside it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.run_report import confusion_plot, detection_plots, page, pictures, training_plots
from ssd.run_report.analysis import DEFAULT_THRESHOLD, Analysis
from ssd.run_report.page import Column, PageContent, WorstPicture
from ssd.run_report.page_parts import Picture
from ssd.run_report.plot_style import png, styled
from ssd.run_report.worst import worst_images

PAGE, FOLDER = "report.html", "report"
_NUM_WORST = 12
_MANY_CLASSES = 12  # whose bars are too tall to stand beside another figure
_JPEG_QUALITY = 86


@dataclass(frozen=True)
class Training:
    """What happened over the steps.

    Attributes:
      losses: lines of losses.jsonl.
      evaluations: lines of metrics.jsonl.
      best_step: of the best weights; None for none.
      metric: which one decided.
    """

    losses: Sequence[Mapping[str, Any]]
    evaluations: Sequence[Mapping[str, Any]]
    best_step: int | None
    metric: str


@dataclass(frozen=True)
class Contents:
    """What a report is made of.

    Attributes:
      title, status, facts: see `PageContent`.
      columns: evaluations; the first is the one that `analysis` is of.
      training: None for an evaluation alone.
      analysis: None where no images were evaluated, or they are not at hand.
      records: those that were evaluated; None leaves the worst images out.
    """

    title: str
    status: str
    facts: Sequence[tuple[str, str]]
    columns: Sequence[Column] = ()
    training: Training | None = None
    analysis: Analysis | None = None
    records: RecordIndex | None = None


def write(folder: Path, contents: Contents) -> Path:
    """Writes report.html and report/*; returns the page's path. Each file is whole or absent.

    Raises:
      InputError: a file cannot be written, or a record not be read any more.
    """
    with styled():
        training = list(_training_figures(contents.training)) if contents.training else []
        detection = list(_detection_figures(contents))
    worst = _worst_pictures(contents)
    text = page.render(
        PageContent(
            contents.title,
            contents.status,
            contents.facts,
            contents.columns,
            training,
            detection,
            contents.analysis,
            worst,
        )
    )
    halves = [half for one in worst for half in (one.detections, one.groundtruth)]
    try:
        _write_all(folder, [*training, *detection, *halves], text)
    except OSError as error:
        raise InputError(
            f"{folder / PAGE}: cannot be written ({error.strerror or error})"
        ) from error
    return folder / PAGE


def _write_all(folder: Path, drawn: Sequence[Picture], text: str) -> None:
    """Writes the pictures, removes those of the worst images of an earlier page, then the page."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for picture in drawn:
        _replace(folder / FOLDER / picture.file, picture.data)
    files = {picture.file for picture in drawn}
    for stale in (folder / FOLDER).glob("worst_*.jpg"):
        if stale.name not in files:
            stale.unlink()
    _replace(folder / PAGE, text.encode("utf-8", "replace"))


def _training_figures(training: Training) -> Iterator[Picture]:
    lines = [dict(line) for line in training.losses]
    yield Picture("losses.png", png(training_plots.losses(lines)), "losses over the steps")
    figure = training_plots.metrics(
        [dict(line) for line in training.evaluations], training.best_step, training.metric
    )
    yield Picture("metrics.png", png(figure), "AP and AP50 over the steps")
    figure = training_plots.learning_rate(lines)
    yield Picture("learning_rate.png", png(figure), "learning rate over the steps")


def _detection_figures(contents: Contents) -> Iterator[Picture]:
    analysis = contents.analysis
    if analysis:
        for file, draw, alt in (
            ("precision_recall.png", detection_plots.precision_recall, "precision over recall"),
            ("f1.png", detection_plots.f1_over_threshold, "F1 over the score threshold"),
            ("scores.png", detection_plots.scores, "scores of hits and false detections"),
        ):
            yield Picture(file, png(draw(analysis)), alt)
    bars = list(_bars(contents))
    is_tall = analysis is not None and len(analysis.names) > _MANY_CLASSES
    if not is_tall:
        yield from bars
    if analysis:
        names = list(analysis.names.values())
        for file, title, thresholds in (
            (
                "confusion.png",
                f"Confusion at score {DEFAULT_THRESHOLD}",
                dict.fromkeys(analysis.names, DEFAULT_THRESHOLD),
            ),
            (
                "confusion_recommended.png",
                "Confusion at the recommended thresholds",
                analysis.best_thresholds,
            ),
        ):
            figure = confusion_plot.confusion(analysis.confusion(thresholds), names, title)
            yield Picture(file, png(figure), title, confusion_plot.is_wide(len(names)))
    if is_tall:
        yield from bars


def _bars(contents: Contents) -> Iterator[Picture]:
    per_class = contents.columns[0].summary.get("per_class") if contents.columns else None
    if per_class:
        figure = detection_plots.average_precision(per_class)
        yield Picture("ap_per_class.png", png(figure), "AP and AP50 of each class")


def _worst_pictures(contents: Contents) -> list[WorstPicture]:
    analysis, records = contents.analysis, contents.records
    if analysis is None or records is None:
        return []
    drawn = []
    for place, worst in enumerate(worst_images(analysis, _NUM_WORST), 1):
        image = analysis.images[worst.row]
        halves = pictures.mistakes(
            pictures.read_picture(records, image.number), image, worst.judged, analysis.names
        )
        detections, groundtruth = (
            Picture(f"worst_{place:02d}_{name}.jpg", _jpeg(half), f"{image.source_id}: {name}")
            for name, half in zip(("detections", "groundtruth"), halves, strict=True)
        )
        drawn.append(WorstPicture(image.source_id, worst.what(), worst.f1, detections, groundtruth))
    return drawn


def _jpeg(picture: pictures.Picture) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
