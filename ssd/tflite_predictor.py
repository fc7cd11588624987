"""A detection .tflite as a predictor: ours, one made by the TF Object Detection API, or alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from ssd import tflite_file
from ssd.errors import InputError
from ssd.label_map import LabelMap, LabelMapItem
from ssd.standard_fields import LABEL_ID_OFFSET, DetectionFields
from ssd.tflite_file import DETECTION_OP, DETECTION_OUTPUTS, TfliteFile
from ssd.tflite_outputs import find_outputs
from ssd.tflite_raw.outputs import RawOutputs, decoding_of_file
from ssd.tflite_raw.ssd_decode import Decoding

# Real value of a pixel where the file does not say: (pixel - 127.5) / 127.5, that is [-1, 1].
_MEAN = _STD = 127.5
# How far a quantized input may be from "the value is the pixel" to be fed with pixels.
_SCALE_TOLERANCE, _ZERO_POINT_TOLERANCE = 0.01, 1.0

# With n threads regular NMS never looks at class index n (tensorflow/tensorflow#56058, and still so
# in LiteRT 2.3): only a single thread sees all classes.
_REGULAR_NMS_THREADS = 1

_LABEL_FILES = ("labels.txt", "labelmap.txt")
_BACKGROUND_LINES = {"???", "background", "__background__", "_background_"}
_GAP_LINES = {"", "???", "n/a"}


class TflitePredictor:
    """A detection .tflite run by LiteRT: with TFLite_Detection_PostProcess inside, or a raw one.

    Outputs are found by what they are, never by position: by the detection op inside the file, else
    by the names in signature, metadata or graph, else by their shapes. A raw file has a
    decoding.json inside or beside it, and its outputs are decoded by `ssd_decode`.

    Args:
      path: float32, uint8 or int8 input [1, H, W, 3], RGB.
      num_threads: of the interpreter; a file with regular NMS is run by one.
      reference_kernels: run by the plain kernels that microcontrollers have, too: bit for bit what
        those compute, and 30 times slower.

    Attributes:
      label_map: of the labels inside the file or, without any, of labels.txt or labelmap.txt beside
        it; None without either.
      image_size: (H, W).

    Raises:
      InputError: no such file, no .tflite, an op that LiteRT does not have, or other inputs or
        outputs than these.
    """

    batch_size = 1

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        num_threads: int = 2,
        reference_kernels: bool = False,
    ) -> None:
        self.name = str(path)
        file = tflite_file.read(path)
        if file.detection_options.get("use_regular_nms"):
            num_threads = _REGULAR_NMS_THREADS
        try:
            self._interpreter = Interpreter(
                model_path=str(path),
                num_threads=num_threads,
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF
                if reference_kernels
                else OpResolverType.AUTO,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().split("\n")[0]
            raise InputError(f"{path}: LiteRT cannot run it ({reason})") from error
        self._input = self._only_input()
        self.image_size: tuple[int, int] | None = tuple(self._input["shape"][1:3].tolist())
        self._to_input = input_values(self._input, file)
        decoding = None if file.detection_outputs else decoding_of_file(path)
        if decoding is None:
            self._outputs = self._detection_outputs(file)
            self._read = self._read_detection_op
        else:
            self._read = RawOutputs(self.name, self._interpreter, decoding).read
        self.label_map = _label_map(Path(path), file, decoding)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Returns detections of float32 [B, H, W, 3], 0..255, one image after the other.

        Boxes are clipped to the image, as the original's own post-processing does and whoever draws
        them has to; the op inside the file does not.
        """
        rows = [self._detect(image) for image in images]
        boxes, classes, scores, count = (
            np.stack([row[role] for row in rows]) for role in DETECTION_OUTPUTS
        )
        return {
            DetectionFields.detection_boxes: np.clip(boxes, 0.0, 1.0),
            DetectionFields.detection_classes: classes.astype(np.int64) + LABEL_ID_OFFSET,
            DetectionFields.detection_scores: scores,
            DetectionFields.num_detections: count.astype(np.int64).reshape(len(rows)),
        }

    def _detect(self, image: np.ndarray) -> dict[str, np.ndarray]:
        self._run(image)
        return self._read()

    def _read_detection_op(self) -> dict[str, np.ndarray]:
        return {
            role: _real_values(detail, self._interpreter.get_tensor(detail["index"]))[0]
            for role, detail in self._outputs.items()
        }

    def _only_input(self) -> dict[str, Any]:
        details = self._interpreter.get_input_details()
        shape = details[0]["shape"].tolist() if len(details) == 1 else []
        kinds = (np.float32, np.uint8, np.int8)
        is_image = len(shape) == 4 and shape[0] == 1 and shape[3] == 3 and min(shape[1:3]) > 1
        if not is_image or details[0]["dtype"] not in kinds:
            raise InputError(
                f"{self.name}: takes {_listed(details)}; one float32, uint8 or int8 image "
                "[1, H, W, 3] was expected"
            )
        return details[0]

    def _detection_outputs(self, file: TfliteFile) -> dict[str, dict[str, Any]]:
        found = find_outputs(self._interpreter, file, self._run_noise)
        if not found:
            details = self._interpreter.get_output_details()
            raise InputError(
                f"{self.name}: gives {_listed(details)}; the four outputs of "
                f"{DETECTION_OP} (boxes [1, D, 4], classes, scores, count) were expected, or a "
                "decoding.json in the file"
            )
        return found

    def _run_noise(self) -> None:
        noise = np.random.default_rng(0).uniform(0.0, 255.0, self._input["shape"][1:])
        self._run(noise.astype(np.float32))

    def _run(self, image: np.ndarray) -> None:
        self._interpreter.set_tensor(self._input["index"], self._to_input(image)[np.newaxis])
        self._interpreter.invoke()


def input_values(detail: dict[str, Any], file: TfliteFile) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function that turns an image [H, W, 3], 0..255, into values of an input tensor.

    A float input gets (pixel - mean) / std by the file's metadata, else [-1, 1]. A quantized input
    whose scale says just that gets the rounded pixels themselves (int8: less 128), as every
    consumer feeds it; with any other scale the value of [-1, 1] is quantized by it.
    """
    described = file.inputs[0] if file.inputs else None
    mean, std = _MEAN, _STD
    if described is not None and described.mean is not None and described.std:
        mean, std = described.mean, described.std
    if detail["dtype"] == np.float32:
        return lambda image: ((image - mean) / std).astype(np.float32)
    limits = np.iinfo(detail["dtype"])
    scale, zero_point = detail["quantization"]
    is_pixel = scale == 0 or (
        abs(scale * std - 1) < _SCALE_TOLERANCE
        and abs(zero_point - limits.min - mean) < _ZERO_POINT_TOLERANCE
    )

    def quantized(image: np.ndarray) -> np.ndarray:
        real = image + limits.min if is_pixel else (image - mean) / std / scale + zero_point
        return np.clip(np.rint(real), limits.min, limits.max).astype(detail["dtype"])

    return quantized


def label_map_of_lines(lines: Sequence[str], num_classes: int | None = None) -> LabelMap:
    """Returns the label map of a label file's lines.

    Args:
      lines: class names by class index. One line too many for `num_classes`, or a first line that
        means the background where the number is not known, is left out; `???`, `n/a` and empty
        lines are classes that do not exist.
      num_classes: of the model, if known.
    """
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    has_background = bool(names) and (
        len(names) == num_classes + 1 if num_classes else names[0].lower() in _BACKGROUND_LINES
    )
    names = names[1:] if has_background else names
    return LabelMap(
        tuple(
            LabelMapItem(class_id, name)
            for class_id, name in enumerate(names, LABEL_ID_OFFSET)
            if name.lower() not in _GAP_LINES
        )
    )


def _label_map(path: Path, file: TfliteFile, decoding: Decoding | None) -> LabelMap | None:
    lines, num_classes = file.labels, file.detection_options.get("num_classes")
    if decoding is not None:
        lines, num_classes = decoding.labels or lines, decoding.num_classes
    beside = [path.with_name(name) for name in _LABEL_FILES if path.with_name(name).is_file()]
    if lines is None and beside:
        lines = tuple(beside[0].read_text(encoding="utf-8-sig", errors="replace").splitlines())
    if lines is None:
        return None
    return label_map_of_lines(lines, num_classes)


def _real_values(detail: dict[str, Any], values: np.ndarray) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    return (values.astype(np.float32) - zero_point) * scale if scale else values


def _listed(details: Any) -> str:
    parts = [f"{d['name']} {np.dtype(d['dtype']).name} {d['shape'].tolist()}" for d in details]
    return ", ".join(parts) or "nothing"
