"""A run -> the files that `export` names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd.errors import GateError, InputError
from ssd.label_map import LabelMap
from ssd.model_maker.config import DEFAULT_QUANTIZATION_STEPS, ExportFormat, QuantizationConfig
from ssd.model_maker.data_loader import DataLoader

FORMATS = (ExportFormat.TFLITE, ExportFormat.SAVED_MODEL, ExportFormat.LABEL)
# Fields of TfliteOptions that `export` passes on.
OPTIONS = ("max_map_drop", "force_calibration", "fine_tune_steps", "max_detections", "target")


@dataclass(frozen=True)
class Exported:
    """What is exported, and with which data.

    Attributes:
      run: a run, a zoo folder or a checkpoint.
      labels: of its classes.
      validation_data: scores the .tflite; None: it is not scored.
      work_folder: gets all files of `export-tflite`.
    """

    run: str
    labels: LabelMap
    validation_data: DataLoader | None
    work_folder: Path


def formats_of(export_format: Any) -> list[ExportFormat]:
    """Returns the kinds of files that are asked for, TFLITE where none is.

    Raises:
      InputError: a kind that detectors have not.
    """
    is_many = isinstance(export_format, (list, tuple, set, frozenset))
    asked = list(export_format) if is_many else [export_format or ExportFormat.TFLITE]
    for one in asked:
        if one not in FORMATS:
            raise InputError(
                f"export_format={getattr(one, 'name', one)}: a detector is exported to "
                f"{', '.join(f'ExportFormat.{f.name}' for f in FORMATS)}"
            )
    return asked or [ExportFormat.TFLITE]


def export_tflite(
    exported: Exported,
    path: Path,
    quantization: QuantizationConfig | None,
    **options: Any,
) -> None:
    """Writes the .tflite, with labels inside, after it passed the gate of `export-tflite`.

    Args:
      exported: what.
      path: of the file; an earlier one is replaced.
      quantization: None: float32.
      options: of OPTIONS.

    Raises:
      InputError: an unknown option, or records that do not do.
      GateError: it lost more AP than allowed; nothing was written.
    """
    # Late: TensorFlow takes its time to load.
    from export import tflite_files
    from export.file_maker import FORM_NMS, stem_of
    from export.options import TfliteOptions

    quantize = quantization.quantize if quantization else "none"
    validation = exported.validation_data
    wanted = TfliteOptions(
        run=exported.run,
        output=str(exported.work_folder),
        quantize=quantize,
        val_records=validation.patterns if validation else None,
        **_calibration_options(quantization),
    )
    wanted = _with_options(wanted, options)
    try:
        tflite_files.run(wanted)
    except GateError as error:
        raise GateError(
            f"{error}. In a script: export(max_map_drop=POINTS) allows more, "
            "export(fine_tune_steps=300) trains for int8 first, QuantizationConfig.for_float16() "
            "loses next to nothing"
        ) from error
    _put(exported.work_folder / f"{stem_of(FORM_NMS, quantize)}.tflite", path)
    print(f"{path}: {quantize if quantization else 'float32'}, labels inside", flush=True)


def export_saved_model(exported: Exported, folder: Path) -> None:
    """Writes the SavedModel with the TF Object Detection API's signature."""
    from export import saved_model, source  # late, as above

    found = source.load(exported.run)
    saved_model.export_saved_model(found.detector, folder, label_map=found.label_map)
    print(f"{folder}: uint8 [1, h, w, 3] -> detections", flush=True)


def export_labels(labels: LabelMap, path: Path) -> None:
    """Writes the class names in the order of their ids, one a line."""
    from export import metadata  # late, as above

    lines = metadata.label_lines(labels, labels.num_classes)
    with tempfile.TemporaryDirectory(prefix="model_maker-") as folder:
        text = Path(folder) / path.name
        text.write_text(metadata.labels_text(lines), encoding="utf-8")
        _put(text, path)


def _with_options(wanted: Any, options: dict[str, Any]) -> Any:
    from dataclasses import replace

    for name, value in options.items():
        if name not in OPTIONS:
            raise InputError(
                f"export({name}={value!r}): no such option here; beside Model Maker's there are "
                f"{', '.join(OPTIONS)}"
            )
    return replace(wanted, **options)


def _calibration_options(quantization: QuantizationConfig | None) -> dict[str, Any]:
    """Which pictures set the int8 ranges; few of them are taken, and it is said."""
    from export.quantization.calibration import MIN_IMAGES  # late, as above

    data = quantization.representative_data if quantization else None
    if quantization is None or data is None:
        return {}
    steps = quantization.quantization_steps
    number = None if steps in (None, DEFAULT_QUANTIZATION_STEPS) else steps
    available = min(data.size, number or data.size)
    if available < MIN_IMAGES:
        print(
            f"{available} pictures set the int8 ranges; {MIN_IMAGES} or more are better. The "
            "accuracy of the file decides",
            flush=True,
        )
    return {
        "calibration": data.patterns,
        "calibration_images": number,
        "force_calibration": available < MIN_IMAGES,
    }


def _put(source: Path, path: Path) -> None:
    """Copies a file, whole or not at all."""
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        os.close(descriptor)
        shutil.copyfile(source, aside)
        os.chmod(aside, source.stat().st_mode & 0o666 | 0o644)
        os.replace(aside, path)
    except OSError as error:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def require_no_others(given: Sequence[tuple[str, Any, Any]]) -> None:
    """Raises InputError for an argument that has another value than the one that is done here."""
    for name, value, done in given:
        if value != done:
            raise InputError(f"export({name}={value!r}): only {name}={done!r} is done here")
