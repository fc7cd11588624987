"""What each exported file scores on the validation records, and what it may lose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ssd.errors import GateError
from ssd.evaluate import evaluate
from ssd.label_map import LabelMap
from ssd.predictor import Predictor

_POINTS = 100.0
_FLOAT_POINTS = 1.0


@dataclass(frozen=True)
class Score:
    """COCO metrics as fractions; None where there was nothing to measure.

    Attributes:
      ap: averaged over IoU 0.50 to 0.95.
      ap50: at IoU 0.50.
    """

    ap: float | None = None
    ap50: float | None = None


@dataclass(frozen=True)
class ScoredFile:
    """One exported file.

    Attributes:
      name: of the file.
      form: nms or raw.
      quantize: none, float16, dynamic or int8.
      num_bytes: its size.
      score: on the validation records.
    """

    name: str
    form: str
    quantize: str
    num_bytes: int
    score: Score


def score(predictor: Predictor, records: Sequence[str], label_map: LabelMap) -> Score:
    """Returns the COCO metrics of a model on records; nothing measured without records."""
    if not records:
        return Score()
    summary = evaluate(predictor, records, label_map)
    return Score(summary["AP"], summary["AP50"])


def drop(reference: Score, of: Score) -> float | None:
    """Returns how many points of AP `of` has less than `reference`; negative if it has more."""
    if reference.ap is None or of.ap is None:
        return None
    return (reference.ap - of.ap) * _POINTS


def float_twin(file: ScoredFile, files: Sequence[ScoredFile]) -> ScoredFile:
    """Returns the float32 file of the same form: what quantization is measured against."""
    return next(f for f in files if f.form == file.form and f.quantize == "none")


def losses(files: Sequence[ScoredFile], max_map_drop: float) -> dict[ScoredFile, float]:
    """Returns the quantized files that lost more points than `max_map_drop` -> how many.

    Files that were not scored have lost nothing: who calls this has said so.
    """
    lost = {}
    for file in files:
        points = drop(float_twin(file, files).score, file.score)
        if file.quantize != "none" and points is not None and not points <= max_map_drop:
            lost[file] = points
    return lost


def require_accuracy(files: Sequence[ScoredFile], max_map_drop: float) -> None:
    """Returns if no quantized file lost more than `max_map_drop` points against its float32 twin.

    Raises:
      GateError: names the file that lost most, with both APs.
    """
    lost = losses(files, max_map_drop)
    if lost:
        worst = max(lost, key=lambda file: lost[file])
        twin = float_twin(worst, files)
        raise GateError(
            f"{worst.name}: AP {worst.score.ap:.4f} is {lost[worst]:.2f} points below {twin.name} "
            f"({twin.score.ap:.4f}); --max-map-drop allows {max_map_drop:.2f}; give more "
            "--calibration images, or allow the loss"
        )


def require_as_checkpoint(
    checkpoint: Score, files: Sequence[ScoredFile], max_map_drop: float
) -> None:
    """Returns if no float32 file lost more than a point against the checkpoint, or than allowed.

    Only for files that are to detect what the checkpoint detects, not for another NMS or fewer
    detections, which a person has asked for.

    Raises:
      GateError: names the file, with both APs.
    """
    # Whoever asks for less loss means quantization; NMS looks at fewer anchors at any setting.
    allowed = max(max_map_drop, _FLOAT_POINTS)
    for file in files:
        points = drop(checkpoint, file.score)
        if file.quantize == "none" and points is not None and not points <= allowed:
            raise GateError(
                f"{file.name}: AP {file.score.ap:.4f} is {points:.2f} points below the checkpoint "
                f"({checkpoint.ap:.4f}), and {allowed:.2f} are allowed; a float file should detect "
                "what its checkpoint does: please report this config, or give --max-map-drop "
                f"{math.ceil(points)}"
            )


def table(checkpoint: Score, files: Sequence[ScoredFile]) -> str:
    """Returns sizes, scores and drops (points of AP lost) as plain text for a screen."""
    header = ("", "size", "AP", "AP50", "drop", "drop from checkpoint")
    rows = [("checkpoint", "", _fraction(checkpoint.ap), _fraction(checkpoint.ap50), "", "")]
    rows += [
        (
            f.name,
            f"{f.num_bytes / 2**20:.2f} MB",
            _fraction(f.score.ap),
            _fraction(f.score.ap50),
            _points(drop(float_twin(f, files).score, f.score)),
            _points(drop(checkpoint, f.score)),
        )
        for f in files
    ]
    widths = [max(len(row[n]) for row in (header, *rows)) for n in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if n == 0 else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )


def _fraction(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}"


def _points(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"
