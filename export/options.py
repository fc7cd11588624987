"""The choices and defaults of the export verbs; no TensorFlow, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass

INPUT_TYPES = ("image_tensor", "float_image_tensor", "encoded_image_string_tensor", "tf_example")

# What `--quantize` writes. The float32 file is what a quantized one is measured against, so it
# always comes along.
QUANTIZE_CHOICES = {
    "int8": ("none", "int8"),
    "float16": ("none", "float16"),
    "dynamic": ("none", "dynamic"),
    "none": ("none",),
    "all": ("none", "float16", "dynamic", "int8"),
}
FORMS = ("nms",)


@dataclass(frozen=True)
class TfliteOptions:
    """The flags of `export-tflite`; None means that the run decides.

    Attributes:
      run: a run, zoo folder or checkpoint; None is the newest run.
      output: folder; None is exports/<run>.
      label_map: path; None is the run's.
      quantize: a key of QUANTIZE_CHOICES.
      form: nms (detections come out).
      calibration: record patterns whose images set int8 ranges; None is the training records.
      calibration_images: how many of them.
      max_map_drop: points of AP that a file may lose against the float32 one.
      max_detections: rows of the outputs; None is the config's max_total_detections.
      regular_nms: remove overlaps class by class.
      val_records: record patterns that score the files; None is the run's validation records.
    """

    run: str | None = None
    output: str | None = None
    label_map: str | None = None
    quantize: str = "int8"
    form: str = "nms"
    calibration: tuple[str, ...] | None = None
    calibration_images: int = 200
    max_map_drop: float = 1.0
    max_detections: int | None = None
    regular_nms: bool = False
    val_records: tuple[str, ...] | None = None
