"""The journey of `export-tflite`: convert, describe, score, and only then write."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from export import metadata, source, tflite, verify
from export.detection_op import input_size
from export.options import QUANTIZE_CHOICES, TfliteOptions
from export.quantization import calibration
from export.quantization.calibration import CalibrationSet
from export.report import build_report
from export.source import ExportSource, Records
from export.verify import Score, ScoredFile
from ssd.data.record_verification import verify as verify_records
from ssd.errors import GateError, InputError
from ssd.label_map import LabelMap
from ssd.tflite_predictor import TflitePredictor

REPORT = "export_report.json"
_PREVIOUS = ".previous"
_FILE_NAMES = {
    "none": "model_float32.tflite",
    "float16": "model_float16.tflite",
    "dynamic": "model_dynamic.tflite",
    "int8": "model_int8.tflite",
}
_NUM_THREADS = 2
_REGULAR_NMS_NOTE = (
    "regular NMS needs num_threads=1: with n threads TFLite never finds class n, counted from 0 "
    "(tensorflow/tensorflow#56058)."
)


def run(options: TfliteOptions) -> None:
    """The `export-tflite` verb: prints what it does and leaves EXPORT/ whole or as it was.

    Raises:
      InputError: no run, no calibration images for int8, or unusable records.
      GateError: a file lost more accuracy than allowed, or cannot be right.
    """
    exported = source.load(options.run, options.label_map)
    print(f"exporting {exported.predictor.name}", flush=True)
    if options.regular_nms:
        print(f"note: {_REGULAR_NMS_NOTE}", file=sys.stderr, flush=True)
    validation = _validation(options, exported)
    quantizations = QUANTIZE_CHOICES[options.quantize]
    images = _calibration_set(options, exported) if "int8" in quantizations else None
    _require_whole(validation, images, exported.label_map)
    output = Path(options.output) if options.output else exported.default_output
    names = [_FILE_NAMES[quantize] for quantize in quantizations]
    made = not output.exists()
    aside = _folder_aside(output)
    try:
        files = _write_files(aside, exported, options, quantizations, images)
        checkpoint, scored = _scores(exported, validation, options.form, files)
        print(verify.table(checkpoint, scored), flush=True)
        try:
            verify.require_accuracy(scored, options.max_map_drop)
        except GateError as error:
            raise GateError(f"{error}; nothing was written" + _withdraw(output, names)) from error
        report = build_report(exported, options, validation, images, checkpoint, scored)
        (aside / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        for name in (*names, metadata.LABELS_FILE, REPORT):
            os.replace(aside / name, output / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if made and not any(output.iterdir()):
            output.rmdir()
    _say_the_end(output, scored, validation)


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
    images = calibration.choose(records.patterns, options.calibration_images, place=records.place)
    print(f"calibrating with {len(images.index)} of {images.available} images", flush=True)
    return images


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


def _write_files(
    folder: Path,
    exported: ExportSource,
    options: TfliteOptions,
    quantizations: Sequence[str],
    images: CalibrationSet | None,
) -> list[tuple[str, Path]]:
    """Writes every .tflite and labels.txt; returns (quantize, path) of the former."""
    labels = metadata.label_lines(exported.label_map, exported.detector.num_classes)
    (folder / metadata.LABELS_FILE).write_text(metadata.labels_text(labels), encoding="utf-8")
    batches = calibration.batches(images, exported.detector, exported.label_map) if images else None
    files = []
    for quantize in quantizations:
        path = folder / _FILE_NAMES[quantize]
        print(f"converting {path.name}", flush=True)
        data = tflite.convert(
            exported.detector,
            quantize=quantize,
            calibration=batches,
            max_detections=options.max_detections,
            use_regular_nms=options.regular_nms,
        )
        description = _description(exported, quantize, options.regular_nms)
        path.write_bytes(metadata.attach(data, description, labels))
        files.append((quantize, path))
    return files


def _description(exported: ExportSource, quantize: str, regular_nms: bool) -> metadata.Description:
    height, width = input_size(exported.detector)
    kind = exported.config.model.ssd.feature_extractor.type
    weights = "float32" if quantize == "none" else quantize
    text = (
        f"{kind} object detector, {width}x{height}, {exported.detector.num_classes} classes, "
        f"{weights}."
    )
    return metadata.Description(
        name=exported.name,
        description=f"{text} Note: {_REGULAR_NMS_NOTE}" if regular_nms else text,
        version=Path(exported.predictor.name).name,
    )


def _scores(
    exported: ExportSource, validation: Records, form: str, files: Sequence[tuple[str, Path]]
) -> tuple[Score, list[ScoredFile]]:
    """Runs everything on the validation records: the checkpoint first, then each file."""
    if validation.patterns:
        print(f"scoring on {', '.join(validation.patterns)}", flush=True)
    checkpoint = verify.score(exported.predictor, validation.patterns, exported.label_map)
    scored = []
    for quantize, path in files:
        predictor = TflitePredictor(path, num_threads=_NUM_THREADS)
        # Labels inside are for people; records may call the same classes by other names.
        predictor.label_map = exported.label_map
        scored.append(
            ScoredFile(
                path.name,
                form,
                quantize,
                path.stat().st_size,
                verify.score(predictor, validation.patterns, exported.label_map),
            )
        )
    return checkpoint, scored


def _withdraw(output: Path, names: Sequence[str]) -> str:
    """Takes an earlier export's files out from under their names; returns what a person hears.

    Whoever deploys `model_int8.tflite` after a failed export must not get the one from before.
    """
    found = [name for name in (*names, REPORT) if (output / name).exists()]
    for name in found:
        os.replace(output / name, output / (name + _PREVIOUS))
    return f" (the earlier files in {output} are now *{_PREVIOUS})" if found else ""


def _say_the_end(output: Path, scored: Sequence[ScoredFile], validation: Records) -> None:
    best = output / scored[-1].name
    scores = "NOT scored" if validation.missing else f"scores in {output / REPORT}"
    print(
        f"{output}: {', '.join(file.name for file in scored)}, {metadata.LABELS_FILE}; {scores}. "
        f"Try it: ./run.sh detect --model {best} photo.jpg"
    )
