"""export_report.json: what was written, what it scores, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from export import verify
from export.detection_op import input_size, options_of
from export.options import TfliteOptions
from export.quantization.calibration import CalibrationSet
from export.source import ExportSource, Records
from export.verify import Score, ScoredFile


def build_report(
    exported: ExportSource,
    options: TfliteOptions,
    validation: Records,
    images: CalibrationSet | None,
    checkpoint: Score,
    scored: Sequence[ScoredFile],
) -> dict[str, Any]:
    """Returns what export_report.json holds: every file with its scores, and how it was made.

    `drop` is against the float32 file of the same form, `drop_from_checkpoint` against the
    checkpoint run by TensorFlow; both in points of AP, None where nothing was measured.
    """
    op = options_of(
        exported.detector,
        max_detections=options.max_detections,
        use_regular_nms=options.regular_nms,
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
            "images": len(images.index),
            "available": images.available,
            "seed": images.seed,
        },
        "max_map_drop": options.max_map_drop,
        "detection_op": asdict(op),
        "image_size": list(input_size(exported.detector)),
    }
