"""What is shown of a picture, as rows of the page's tables and as a JSON document."""

from __future__ import annotations

from typing import Any

from ssd.demo.comparison import Choice, Detection, Differences, differences, shown
from ssd.demo.contestants import Contest, Findings

MODEL_HEADERS = ["model", "input", "ms", "boxes"]
COMPARED_HEADERS = ["in both", "only A", "only this"]
DETECTION_HEADERS = ["model", "class", "score", "ymin px", "xmin px", "ymax px", "xmax px"]
DIFFERENCE_HEADERS = ["found by", "class", "score A", "score of the other", "IoU"]

_NONE = ""  # a cell without a value

Rows = list[list[Any]]


def model_headers(contest: Contest) -> list[str]:
    """Returns the headers of `model_rows`."""
    return MODEL_HEADERS + (COMPARED_HEADERS if len(contest.contestants) > 1 else [])


def model_rows(contest: Contest, findings: Findings, choice: Choice) -> Rows:
    """Returns a row per model: its time, and how its boxes differ from those of the first."""
    rows: Rows = []
    for number, contestant in enumerate(contest.contestants):
        boxes = len(shown(findings.detections[number], choice))
        counts: list[Any] = [_NONE] * len(COMPARED_HEADERS)
        if number:
            found = differences(findings.detections[0], findings.detections[number], choice)
            counts = [len(found.matched), len(found.only_first), len(found.only_other)]
        milliseconds = f"{findings.milliseconds[number]:.1f}"
        row = [contestant.title, contestant.input, milliseconds, boxes, *counts]
        rows.append(row[: len(model_headers(contest))])
    return rows


def detection_rows(contest: Contest, findings: Findings, choice: Choice) -> Rows:
    """Returns a row per shown box under DETECTION_HEADERS; sides in pixels of the picture."""
    return [
        [contestant.letter, one["class"], f"{one['score']:.3f}", *box_pixels(one, findings.size)]
        for contestant, detections in zip(contest.contestants, findings.detections, strict=True)
        for one in shown(detections, choice)
    ]


def difference_rows(contest: Contest, findings: Findings, choice: Choice) -> Rows:
    """Returns a row per box of the first model and each other one under DIFFERENCE_HEADERS.

    What one of the two has alone comes first, then pairs by how much their scores differ.
    """
    rows: Rows = []
    for number, contestant in enumerate(contest.contestants[1:], 1):
        found = differences(findings.detections[0], findings.detections[number], choice)
        first, other = contest.contestants[0].letter, contestant.letter
        for one, hidden in found.only_first:
            scores = [f"{one['score']:.3f}", _hidden(hidden)]
            rows.append([f"only {first}, not {other}", one["class"], *scores, _NONE])
        for one, hidden in found.only_other:
            scores = [_hidden(hidden), f"{one['score']:.3f}"]
            rows.append([f"only {other}, not {first}", one["class"], *scores, _NONE])
        for pair in sorted(found.matched, key=lambda p: -abs(p.first["score"] - p.other["score"])):
            scores = [f"{pair.first['score']:.3f}", f"{pair.other['score']:.3f}"]
            rows.append([f"{first} and {other}", pair.first["class"], *scores, f"{pair.iou:.2f}"])
    return rows


def document(contest: Contest, findings: Findings, choice: Choice) -> dict[str, Any]:
    """Returns what is shown, for programs.

    Returns:
      {"file", "height", "width", "score_threshold", "max_boxes", "classes": [names, none for all],
      "models": [{"model": path, "milliseconds", "detections": as `detect --json` gives them, with
      "box_pixels": [ymin, xmin, ymax, xmax]}]}. Every model after the first has
      "compared_with_first": {"matched": [{"class", "score_first", "score", "iou"}], "only_first",
      "only_this": [{"class", "score", "box", "score_not_shown": of the model without it, or
      null}]}.
    """
    models = []
    for number, contestant in enumerate(contest.contestants):
        detections = findings.detections[number]
        one: dict[str, Any] = {
            "model": contestant.path,
            "milliseconds": round(findings.milliseconds[number], 3),
            "detections": [
                {**found, "box_pixels": box_pixels(found, findings.size)}
                for found in shown(detections, choice)
            ],
        }
        if number:
            found = differences(findings.detections[0], detections, choice)
            one["compared_with_first"] = _difference_document(found)
        models.append(one)
    return {
        "file": findings.name,
        "height": findings.size[0],
        "width": findings.size[1],
        "score_threshold": choice.score_threshold,
        "max_boxes": choice.max_boxes,
        "classes": sorted(choice.classes),
        "models": models,
    }


def box_pixels(detection: Detection, size: tuple[int, int]) -> list[int]:
    """Returns ymin, xmin, ymax, xmax in pixels of a picture of (height, width), rounded."""
    sides = (size[0], size[1], size[0], size[1])
    return [round(value * side) for value, side in zip(detection["box"], sides, strict=True)]


def _difference_document(found: Differences) -> dict[str, Any]:
    def alone(boxes: list[tuple[Detection, float | None]]) -> list[dict[str, Any]]:
        return [
            {
                "class": one["class"],
                "score": one["score"],
                "box": one["box"],
                "score_not_shown": hidden,
            }
            for one, hidden in boxes
        ]

    return {
        "matched": [
            {
                "class": pair.first["class"],
                "score_first": pair.first["score"],
                "score": pair.other["score"],
                "iou": round(pair.iou, 4),
            }
            for pair in found.matched
        ],
        "only_first": alone(found.only_first),
        "only_this": alone(found.only_other),
    }


def _hidden(score: float | None) -> str:
    return "nothing" if score is None else f"{score:.3f}, not shown"
