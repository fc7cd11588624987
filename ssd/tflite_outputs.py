"""Which output of a detection .tflite is which: by what they are, never by position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ssd.tflite_file import BOXES, CLASSES, COUNT, DETECTION_OUTPUTS, SCORES, TfliteFile

# Names of outputs: in our signature, in metadata, in graphs of the TF Object Detection API (TF2,
# then TF1).
_NAMES = (
    (BOXES, CLASSES, SCORES, COUNT),
    ("location", "category", "score", "number of detections"),
    ("detection_boxes", "detection_classes", "detection_scores", "num_detections"),
    ("output_3", "output_2", "output_1", "output_0"),
    tuple(f"StatefulPartitionedCall:{n}" for n in (3, 2, 1, 0)),
    ("TFLite_Detection_PostProcess", *(f"TFLite_Detection_PostProcess:{n}" for n in (1, 2, 3))),
)
_ROLE_OF_NAME = {
    name: role for names in _NAMES for name, role in zip(names, DETECTION_OUTPUTS, strict=True)
}


def find_outputs(
    interpreter: Any, file: TfliteFile, run_noise: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    """Returns BOXES, CLASSES, SCORES and COUNT -> the interpreter's detail of that output.

    The detection op inside the file tells; without one the names in signature, metadata or graph
    do, and without those the shapes and, of two alike, the values. Empty where nothing tells.

    Args:
      interpreter: a LiteRT interpreter, allocated.
      file: what the file says about itself.
      run_noise: runs the model on any image with detections; called where values must tell.
    """
    details = interpreter.get_output_details()
    found = (
        file.detection_outputs
        or _by_name(interpreter, file)
        or _by_shape(interpreter, details, run_noise)
    )
    by_index = {detail["index"]: detail for detail in details}
    return {role: by_index[index] for role, index in found.items()}


def _by_name(interpreter: Any, file: TfliteFile) -> dict[str, int]:
    """Role -> tensor index by the first kind of names that tells all four apart."""
    details = interpreter.get_output_details()
    kinds = [
        {name: detail["index"] for name, detail in runner.get_output_details().items()}
        for runner in map(interpreter.get_signature_runner, interpreter.get_signature_list())
    ]
    if len(file.outputs) == len(details):
        described = zip(file.outputs, details, strict=True)
        kinds.append({description.name: detail["index"] for description, detail in described})
    kinds.append({detail["name"]: detail["index"] for detail in details})
    shapes = {detail["index"]: detail["shape"].tolist() for detail in details}
    for names in kinds:
        roles = {_ROLE_OF_NAME[name]: n for name, n in names.items() if name in _ROLE_OF_NAME}
        if len(roles) == len(DETECTION_OUTPUTS) and _shapes_fit(roles, shapes):
            return roles
    return {}


def _shapes_fit(roles: dict[str, int], shapes: dict[int, list[int]]) -> bool:
    boxes, classes, scores, count = (shapes[roles[role]] for role in DETECTION_OUTPUTS)
    return boxes[2:] == [4] and classes == scores == boxes[:2] and count == [1]


def _by_shape(
    interpreter: Any, details: list[dict[str, Any]], run_noise: Callable[[], None]
) -> dict[str, int]:
    """Role -> tensor index by shape; of two alike, classes are the one that counts in ones."""
    boxes = [d["index"] for d in details if d["shape"].tolist()[2:] == [4]]
    count = [d["index"] for d in details if d["shape"].tolist() == [1]]
    pair = [d["index"] for d in details if len(d["shape"]) == 2]
    if [len(boxes), len(count), len(pair), len(details)] != [1, 1, 2, len(DETECTION_OUTPUTS)]:
        return {}
    run_noise()
    values = [interpreter.get_tensor(index) for index in pair]
    is_whole = [bool(np.all(value == np.rint(value))) for value in values]
    if is_whole[0] == is_whole[1]:
        return {}
    classes, scores = pair if is_whole[0] else pair[::-1]
    return {BOXES: boxes[0], CLASSES: classes, SCORES: scores, COUNT: count[0]}
