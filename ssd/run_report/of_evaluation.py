"""The report of the `evaluate` verb: one model on some records."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd.data.record_index import index_records
from ssd.errors import InputError
from ssd.evaluated_image import EvaluatedImage
from ssd.label_map import LabelMap
from ssd.run_report import report
from ssd.run_report.analysis import Analysis
from ssd.run_report.page import Column


def write(
    folder: Path,
    model: str,
    name: str,
    records: Sequence[str],
    labels: LabelMap,
    summary: dict[str, Any],
    images: Sequence[EvaluatedImage],
) -> None:
    """Writes report.html into `folder`; where that is impossible, says so: metrics.json is there.

    Args:
      folder: of --output.
      model: what was evaluated, as the person called it.
      name: what that turned out to be.
      records: the globs that were read.
      labels: of the records.
      summary: as `evaluate` returned it.
      images: all of them, in the order of the records.
    """
    contents = report.Contents(
        title=f"Evaluation of {model}",
        status=f"{len(images):,} images of {', '.join(records)}",
        facts=[
            ("model", name),
            ("records", ", ".join(records)),
            ("images", f"{len(images):,}"),
            ("classes", f"{len(labels.items):,}"),
        ],
        columns=[Column("all images", summary)],
        analysis=Analysis.of(images, labels),
        records=index_records(records),
    )
    try:
        report.write(folder, contents)
    except InputError as error:
        print(f"no report: {error}", file=sys.stderr)
