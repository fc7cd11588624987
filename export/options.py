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
# Of these, what was asked for and does not only come along.
REQUESTED = {
    name: kinds if name == "all" else kinds[-1:] for name, kinds in QUANTIZE_CHOICES.items()
}
FORMS = {"nms": ("nms",), "raw": ("raw",), "all": ("nms", "raw")}
# How the nms form removes overlaps; see `detection_graph`.
CLASS_WISE, FAST, REGULAR = "class_wise", "fast", "regular"


NMS_CHOICES = (CLASS_WISE, FAST, REGULAR)
FORMATS = ("tflite", "onnx")


@dataclass(frozen=True)
class TfliteOptions:
    """The flags of `export-tflite`; None means that the run decides.

    Attributes:
      run: a run, zoo folder or checkpoint; None is the newest run.
      output: folder; None is exports/<run>.
      label_map: path; None is the run's.
      quantize: a key of QUANTIZE_CHOICES.
      form: a key of FORMS: nms (detections come out), raw (no custom op), or all.
      calibration: record patterns whose images set int8 ranges; None is the training records.
      calibration_images: how many of them; None: until the ranges hardly move.
      force_calibration: take fewer than 50 images, or 50 times the same one.
      max_map_drop: points of AP that a file may lose against the float32 one.
      fine_tune_steps: of quantization-aware fine-tuning, for the int8 files; 0: none, unless the
        gate fails without.
      max_detections: rows of the outputs; None is the config's max_total_detections.
      nms: one of NMS_CHOICES.
      classes_per_detection: of FAST NMS.
      val_records: record patterns that score the files; None is the run's validation records.
      target: who the files are for, a key of `targets.TARGETS`; its rules are checked.
      format: one of FORMATS; onnx: an ONNX file of the float32 raw form comes along.
    """

    run: str | None = None
    output: str | None = None
    label_map: str | None = None
    quantize: str = "int8"
    form: str = "nms"
    calibration: tuple[str, ...] | None = None
    calibration_images: int | None = None
    force_calibration: bool = False
    max_map_drop: float = 1.0
    fine_tune_steps: int = 0
    max_detections: int | None = None
    nms: str = CLASS_WISE
    classes_per_detection: int = 1
    val_records: tuple[str, ...] | None = None
    target: str | None = None
    format: str = "tflite"
