from __future__ import annotations

import numpy as np
import pytest

from ssd.tflite_file import BOXES, CLASSES, COUNT, SCORES, TfliteFile
from ssd.tflite_metadata import TensorDescription
from ssd.tflite_outputs import find_outputs

# What four outputs hold: three detections of at most five.
VALUES = {
    BOXES: np.zeros((1, 5, 4), np.float32),
    CLASSES: np.array([[2, 0, 7, 0, 0]], np.float32),
    SCORES: np.array([[0.9, 0.4, 0.3, 0, 0]], np.float32),
    COUNT: np.array([3], np.float32),
}


class Interpreter:
    """As much of a LiteRT interpreter as outputs are found by; tensor n is called names[n]."""

    def __init__(self, names: dict[str, str], signature: dict[str, str] | None = None) -> None:
        self.values = [VALUES[role] for role in names.values()]
        self.details = [
            {"name": name, "index": n, "shape": np.array(self.values[n].shape)}
            for n, name in enumerate(names)
        ]
        index = {role: n for n, role in enumerate(names.values())}
        self.signature = {
            name: self.details[index[role]] for name, role in (signature or {}).items()
        }

    def get_output_details(self) -> list[dict]:
        return self.details

    def get_signature_list(self) -> dict:
        return {"serving_default": {}} if self.signature else {}

    def get_signature_runner(self, key: str) -> Interpreter.Runner:
        return self.Runner(self.signature)

    def get_tensor(self, index: int) -> np.ndarray:
        return self.values[index]

    class Runner:
        def __init__(self, signature: dict) -> None:
            self.get_output_details = lambda: signature


def roles_found(interpreter: Interpreter, file: TfliteFile | None = None) -> list[str]:
    """Which of VALUES was found as boxes, classes, scores and count."""
    found = find_outputs(interpreter, file or TfliteFile(), lambda: None)
    return [
        role
        for wanted in (BOXES, CLASSES, SCORES, COUNT)
        for role, value in VALUES.items()
        if found and interpreter.values[found[wanted]["index"]] is value
    ]


ALL = [BOXES, CLASSES, SCORES, COUNT]
UNKNOWN = {"Identity_3": SCORES, "Identity": COUNT, "Identity_1": CLASSES, "Identity_2": BOXES}


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(
            {
                "StatefulPartitionedCall:1": SCORES,
                "StatefulPartitionedCall:3": BOXES,
                "StatefulPartitionedCall:0": COUNT,
                "StatefulPartitionedCall:2": CLASSES,
            },
            id="TF2",
        ),
        pytest.param(
            {
                "TFLite_Detection_PostProcess": BOXES,
                "TFLite_Detection_PostProcess:1": CLASSES,
                "TFLite_Detection_PostProcess:2": SCORES,
                "TFLite_Detection_PostProcess:3": COUNT,
            },
            id="TF1",
        ),
        pytest.param(
            {"count": COUNT, "scores": SCORES, "boxes": BOXES, "classes": CLASSES}, id="ours"
        ),
        pytest.param(UNKNOWN, id="by shape and value"),
        pytest.param(
            # Names of the original, but other tensors behind them: shapes contradict.
            {
                "StatefulPartitionedCall:0": BOXES,
                "StatefulPartitionedCall:1": CLASSES,
                "StatefulPartitionedCall:2": COUNT,
                "StatefulPartitionedCall:3": SCORES,
            },
            id="names that lie",
        ),
    ],
)
def test_graph_names(names):
    assert roles_found(Interpreter(names)) == ALL


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(
            {"output_0": COUNT, "output_1": SCORES, "output_2": CLASSES, "output_3": BOXES},
            id="original",
        ),
        pytest.param(
            {"boxes": BOXES, "classes": CLASSES, "scores": SCORES, "count": COUNT}, id="ours"
        ),
    ],
)
def test_signature(signature, monkeypatch):
    interpreter = Interpreter(UNKNOWN, signature)
    monkeypatch.delattr(Interpreter, "get_tensor")  # no need to look at values
    assert roles_found(interpreter) == ALL


def test_metadata(monkeypatch):
    monkeypatch.delattr(Interpreter, "get_tensor")
    order = ("score", "number of detections", "category", "location")
    file = TfliteFile(outputs=tuple(TensorDescription(name) for name in order))
    assert roles_found(Interpreter(UNKNOWN), file) == ALL


def test_the_op_wins_over_names():
    names = {"boxes": BOXES, "classes": SCORES, "scores": CLASSES, "count": COUNT}
    file = TfliteFile(detection_outputs={BOXES: 0, CLASSES: 2, SCORES: 1, COUNT: 3})
    assert roles_found(Interpreter(names), file) == ALL


@pytest.mark.parametrize(
    "names",
    [
        pytest.param({"a": BOXES, "b": CLASSES, "c": SCORES}, id="three"),
        pytest.param({"a": BOXES, "b": SCORES, "c": SCORES, "d": COUNT}, id="two scores"),
        pytest.param({"a": BOXES, "b": BOXES, "c": SCORES, "d": COUNT}, id="two boxes"),
        pytest.param({}, id="none"),
    ],
)
def test_nothing_tells(names):
    assert find_outputs(Interpreter(names), TfliteFile(), lambda: None) == {}


def test_values_are_looked_at_after_a_run():
    interpreter = Interpreter(UNKNOWN)
    runs = []
    find_outputs(interpreter, TfliteFile(), lambda: runs.append("run"))
    assert runs == ["run"]
