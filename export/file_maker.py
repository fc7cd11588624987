"""One .tflite of a run: converted, described, with the files that belong beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from export import metadata, onnx_file
from export.detection_op import input_size
from export.options import REGULAR, TfliteOptions
from export.raw import facts, files
from export.source import ExportSource
from export.tflite import TfliteConverter

FORM_NMS, FORM_RAW = "nms", "raw"
_STEMS = {
    "none": "model_float32",
    "float16": "model_float16",
    "dynamic": "model_dynamic",
    "int8": "model_int8",
}
_SUFFIX = {FORM_NMS: "", FORM_RAW: "_raw"}
REGULAR_NMS_NOTE = (
    "regular NMS needs num_threads=1: with n threads TFLite never finds class n, counted from 0 "
    "(tensorflow/tensorflow#56058)."
)


def stem_of(form: str, quantize: str) -> str:
    """Returns the file's name without `.tflite`: model_int8, model_int8_raw."""
    return _STEMS[quantize] + _SUFFIX[form]


@dataclass
class FileMaker:
    """Makes the files of one export in a folder.

    Attributes:
      exported: what is exported.
      options: how.
      folder: where the files are written.
      written: names of all files written so far, in order.
    """

    exported: ExportSource
    options: TfliteOptions
    folder: Path
    written: dict[str, None] = field(default_factory=dict)

    def make(self, converter: TfliteConverter, form: str, quantize: str) -> Path:
        """Writes <stem>.tflite and what belongs beside it; returns its path.

        Raises:
          GateError: the converter returned a file that cannot be right.
        """
        stem = stem_of(form, quantize)
        if form == FORM_RAW:
            data, beside = self._raw(converter, quantize, stem)
        else:
            data, beside = self._nms(converter, quantize), {}
        labels = metadata.labels_text(self._labels)
        background = metadata.labels_text([metadata.GAP, *self._labels])
        beside |= {
            metadata.LABELS_FILE: labels.encode(),
            metadata.BACKGROUND_LABELS_FILE: background.encode(),
        }
        if form == FORM_RAW and quantize == "none" and self.options.format == "onnx":
            beside[f"{stem}.onnx"] = self._onnx(data, beside[f"{stem}_decoding.json"])
        self.add({f"{stem}.tflite": data, **beside})
        return self.folder / f"{stem}.tflite"

    def add(self, files: Mapping[str, bytes]) -> None:
        """Writes files by name."""
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
            self.written[name] = None

    def _onnx(self, raw: bytes, decoding: bytes) -> bytes:
        """The ONNX file of a raw float32 .tflite, checked on noise."""
        return onnx_file.convert(raw, (), {"decoding.json": decoding.decode()})

    @property
    def _labels(self) -> list[str]:
        return metadata.label_lines(self.exported.label_map, self.exported.detector.num_classes)

    def _nms(self, converter: TfliteConverter, quantize: str) -> bytes:
        made = converter.nms(
            quantize,
            kind=self.options.nms,
            max_detections=self.options.max_detections,
            max_classes_per_detection=self.options.classes_per_detection,
        )
        return metadata.attach(made.data, self._description(quantize), self._labels)

    def _raw(
        self, converter: TfliteConverter, quantize: str, stem: str
    ) -> tuple[bytes, dict[str, bytes]]:
        made = converter.raw(quantize)
        decoding = facts.decoding_of(
            self.exported.detector,
            made.data,
            self._labels,
            box_factors=made.box_factors,
            max_detections=self.options.max_detections,
        )
        data = files.attach(made.data, decoding, self._description(quantize))
        return data, files.side_files(decoding, stem)

    def _description(self, quantize: str) -> metadata.Description:
        height, width = input_size(self.exported.detector)
        kind = self.exported.config.model.ssd.feature_extractor.type
        weights = "float32" if quantize == "none" else quantize
        text = (
            f"{kind} object detector, {width}x{height}, {self.exported.detector.num_classes} "
            f"classes, {weights}."
        )
        if self.options.nms == REGULAR:
            text += f" Note: {REGULAR_NMS_NOTE}"
        return metadata.Description(
            name=self.exported.name,
            description=text,
            version=Path(self.exported.predictor.name).name,
        )
