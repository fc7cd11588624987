"""The journey of `export-tflite`: convert, describe, score, and only then write."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from export import metadata, onnx_file, source
from export.file_maker import REGULAR_NMS_NOTE, FileMaker, stem_of
from export.options import FORMS, QUANTIZE_CHOICES, REGULAR, TfliteOptions
from export.quantization import calibration
from export.quantization.calibration import CalibrationSet
from export.scored_files import ScoredExport
from export.source import ExportSource, Records
from export.verify import ScoredFile
from ssd.data.record_verification import verify as verify_records
from ssd.errors import GateError, InputError
from ssd.label_map import LabelMap

REPORT = "export_report.json"
_PREVIOUS = ".previous"
_MOST_IMAGES = 500


def run(options: TfliteOptions) -> None:
    """The `export-tflite` verb: prints what it does and leaves EXPORT/ whole or as it was.

    Raises:
      InputError: no run, no calibration images for int8, or unusable records.
      GateError: a file lost more accuracy than allowed, or cannot be right.
    """
    if options.format == "onnx":
        onnx_file.require_packages()
    exported = source.load(options.run, options.label_map)
    print(f"exporting {exported.predictor.name}", flush=True)
    if options.nms == REGULAR:
        print(f"note: {REGULAR_NMS_NOTE}", file=sys.stderr, flush=True)
    validation = _validation(options, exported)
    is_int8 = "int8" in QUANTIZE_CHOICES[options.quantize]
    images = _calibration_set(options, exported) if is_int8 else None
    _require_whole(validation, images, exported.label_map)
    output = Path(options.output) if options.output else exported.default_output
    made = not output.exists()
    aside = _folder_aside(output)
    try:
        maker = FileMaker(exported, options, aside)
        export = ScoredExport(exported, options, validation, images, maker)
        report = export.make_all()
        (aside / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        names = [*maker.written, REPORT]
        for name in names:
            os.replace(aside / name, output / name)
    except GateError as error:
        raise GateError(f"{error}; nothing was written{_withdraw(output, options)}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if made and not any(output.iterdir()):
            output.rmdir()
    _say_the_end(output, export.scored, validation)


def _validation(options: TfliteOptions, exported: ExportSource) -> Records:
    """The records that score the files; said loudly where there are none."""
    if options.val_records:
        return Records(options.val_records, "--val-records")
    records = exported.val_records()
    if records.missing:
        print(
            f"WARNING: the files will NOT be scored: {records.missing}. Give --val-records GLOB "
            "to have their accuracy measured before you rely on them.",
            file=sys.stderr,
            flush=True,
        )
    return records


def _calibration_set(options: TfliteOptions, exported: ExportSource) -> CalibrationSet:
    records = exported.train_records()
    if options.calibration:
        records = Records(options.calibration, "--calibration")
    if records.missing:
        raise InputError(
            f"{exported.name}: {records.missing}. Int8 export needs calibration images; give "
            "--calibration GLOB (TFRecords), or --quantize none"
        )
    return calibration.choose(
        records.patterns,
        options.calibration_images or _MOST_IMAGES,
        place=records.place,
        is_forced=options.force_calibration,
    )


def _require_whole(validation: Records, images: CalibrationSet | None, label_map: LabelMap) -> None:
    """Raises unless the records are what their conversion wrote; any class may calibrate."""
    others = [p for p in (images.records if images else ()) if p not in validation.patterns]
    for line in (*verify_records(validation.patterns, label_map), *verify_records(others)):
        print(line, flush=True)


def _folder_aside(output: Path) -> Path:
    try:
        output.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".writing-", dir=output))
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written ({error.strerror}); give --output DIR"
        ) from error


def _withdraw(output: Path, options: TfliteOptions) -> str:
    """Takes an earlier export's files out from under their names; returns what a person hears.

    Whoever deploys `model_int8.tflite` after a failed export must not get the one from before.
    """
    stems = [
        stem_of(form, quantize)
        for form in FORMS[options.form]
        for quantize in QUANTIZE_CHOICES[options.quantize]
    ]
    names = (*(f"{stem}.tflite" for stem in stems), REPORT)
    found = [name for name in names if (output / name).exists()]
    for name in found:
        os.replace(output / name, output / (name + _PREVIOUS))
    return f" (the earlier files in {output} are now *{_PREVIOUS})" if found else ""


def _say_the_end(output: Path, scored: Sequence[ScoredFile], validation: Records) -> None:
    best = output / next(file.name for file in reversed(scored) if file.form == scored[0].form)
    scores = "NOT scored" if validation.missing else f"scores in {output / REPORT}"
    print(
        f"{output}: {', '.join(file.name for file in scored)}, {metadata.LABELS_FILE}; {scores}. "
        f"Try it: ./run.sh detect --model {best} photo.jpg"
    )
