"""export_report.json: what was written, what it scores, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from export import verify
from export.detection_op import input_size, options_of
from export.options import REGULAR, TfliteOptions
from export.quantization.calibration import CalibrationSet
from export.source import ExportSource, Records
from export.verify import Score, ScoredFile


@dataclass(frozen=True)
class Attempt:
    """One way to int8 that was tried because the first one lost too much.

    Attributes:
      name: what was done differently.
      ap: file name -> AP.
      drop: file name -> points below its float32 twin.
    """

    name: str
    ap: dict[str, float | None]
    drop: dict[str, float | None]


def build_report(
    exported: ExportSource,
    options: TfliteOptions,
    validation: Records,
    images: CalibrationSet | None,
    checkpoint: Score,
    scored: Sequence[ScoredFile],
    *,
    num_calibration_images: int,
    attempts: Sequence[Attempt] = (),
    target_facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Returns what export_report.json holds: every file with its scores, and how it was made.

    `drop` is against the float32 file of the same form, `drop_from_checkpoint` against the
    checkpoint run by TensorFlow; both in points of AP, None where nothing was measured.
    """
    op = options_of(
        exported.detector,
        max_detections=options.max_detections,
        use_regular_nms=options.nms == REGULAR,
    )
    return {
        "files": {
            file.name: {
                "bytes": file.num_bytes,
                "form": file.form,
                "quantize": file.quantize,
                "AP": file.score.ap,
                "AP50": file.score.ap50,
                "drop": verify.drop(verify.float_twin(file, scored).score, file.score),
                "drop_from_checkpoint": verify.drop(checkpoint, file.score),
            }
            for file in scored
        },
        "checkpoint": {
            "path": exported.predictor.name,
            "AP": checkpoint.ap,
            "AP50": checkpoint.ap50,
        },
        "validation": {
            "records": list(validation.patterns),
            "not_scored": validation.missing or None,
        },
        "calibration": images
        and {
            "records": list(images.records),
            "images": num_calibration_images,
            "available": images.available,
            "seed": images.seed,
        },
        "fine_tune_steps": options.fine_tune_steps,
        "max_map_drop": options.max_map_drop,
        "ladder": [asdict(attempt) for attempt in attempts],
        "nms": options.nms,
        "target": options.target and {"name": options.target, "files": dict(target_facts or {})},
        "detection_op": asdict(op),
        "image_size": list(input_size(exported.detector)),
    }
