"""The two outputs of a raw .tflite: found by what they are, never by position, and decoded."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from ssd.errors import InputError
from ssd.tflite_file import BOXES, CLASSES, COUNT, SCORES
from ssd.tflite_raw import ssd_decode
from ssd.tflite_raw.ssd_decode import Decoding, Quantization

BOX_ENCODINGS = "box_encodings"


def decoding_of_file(path: str | os.PathLike[str]) -> Decoding | None:
    """Returns what decodes the outputs of the .tflite at `path`; None where it is no raw file.

    Raises:
      InputError: its decoding.json, inside or beside, cannot be used.
    """
    try:
        return ssd_decode.load(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: {ssd_decode.DECODING_FILE} in it or beside it is unusable ({error}); "
            "export it again"
        ) from error


class RawOutputs:
    """Reads detections from an interpreter that ran a raw file.

    Args:
      name: of the file, for messages.
      interpreter: a LiteRT interpreter, allocated.
      decoding: of the file; quantization is the tensors' own.

    Raises:
      InputError: the outputs are not those that `decoding` is of.
    """

    def __init__(self, name: str, interpreter: Any, decoding: Decoding) -> None:
        self._interpreter = interpreter
        self._details = _find(name, interpreter, decoding)
        self._decoding = dataclasses.replace(
            decoding,
            box_quantization=_quantization(self._details[BOX_ENCODINGS]),
            score_quantization=_quantization(self._details[SCORES]),
        )

    def read(self) -> dict[str, np.ndarray]:
        """Returns BOXES [D, 4], CLASSES [D], SCORES [D] and COUNT [1]; rows from COUNT on are zero.

        D is max_total_detections; boxes are clipped to the image, classes are class indices.
        """
        box_encodings, class_scores = (
            self._interpreter.get_tensor(self._details[output]["index"])
            for output in (BOX_ENCODINGS, SCORES)
        )
        found = ssd_decode.decode(box_encodings, class_scores, self._decoding)
        missing = self._decoding.max_total_detections - found.num_detections
        return {
            BOXES: np.pad(found.boxes, ((0, missing), (0, 0))),
            CLASSES: np.pad(found.classes, (0, missing)),
            SCORES: np.pad(found.scores, (0, missing)),
            COUNT: np.array([found.num_detections]),
        }


def _find(name: str, interpreter: Any, decoding: Decoding) -> dict[str, dict[str, Any]]:
    """BOX_ENCODINGS and SCORES -> the interpreter's detail, by name or, without names, by shape."""
    details = interpreter.get_output_details()
    num_anchors = len(decoding.anchors)
    shapes = {
        BOX_ENCODINGS: [1, num_anchors, 4],
        SCORES: [1, num_anchors, decoding.num_classes],
    }
    by_name = {detail["name"]: detail for detail in details}
    for runner in map(interpreter.get_signature_runner, interpreter.get_signature_list()):
        by_name |= runner.get_output_details()
    if not shapes.keys() <= by_name.keys():
        by_name = {
            output: detail
            for output, shape in shapes.items()
            for detail in details
            if detail["shape"].tolist() == shape and shapes[BOX_ENCODINGS] != shapes[SCORES]
        }
    found = {output: by_name[output] for output in shapes if output in by_name}
    if {output: detail["shape"].tolist() for output, detail in found.items()} != shapes:
        listed = ", ".join(f"{d['name']} {d['shape'].tolist()}" for d in details)
        raise InputError(
            f"{name}: gives {listed}, but its {ssd_decode.DECODING_FILE} is of {BOX_ENCODINGS} "
            f"{shapes[BOX_ENCODINGS]} and {SCORES} {shapes[SCORES]}; export it again"
        )
    return found


def _quantization(detail: dict[str, Any]) -> Quantization | None:
    scale, zero_point = detail["quantization"]
    return Quantization(scale, zero_point) if scale else None
