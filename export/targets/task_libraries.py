"""--target mediapipe and android-task: detectors for MediaPipe Tasks and the TFLite Task Library.

Both take a file with the detection op inside, read its metadata, and feed pixels as they are to a
uint8 input, or as NormalizationOptions say to a float32 one. An int8 input both refuse.
"""

from __future__ import annotations

from export.targets import op_rules, task_metadata
from export.targets.file_graph import FileGraph, read
from export.targets.findings import Findings
from ssd import tflite_file
from ssd.tflite_file import DETECTION_OP

_INPUT_TYPES = ("uint8", "float32")


def check(data: bytes, target: str) -> Findings:
    """Returns what the libraries' rules say about an `nms` file."""
    graph = read(data)
    problems = [
        *_of_input(graph, data),
        *_of_outputs(graph),
        *_of_suppression(graph),
        *task_metadata.problems(data),
    ]
    image = graph.tensors[graph.inputs[0]]
    rows = graph.tensors[graph.outputs[0]].shape[1:2]
    return Findings(
        target,
        tuple(problems),
        {**op_rules.share_facts(graph), "input": image.dtype},
        (
            f"{image.dtype} input, {', '.join(map(str, rows))} detections",
            op_rules.share_line(graph),
        ),
    )


def _of_input(graph: FileGraph, data: bytes) -> list[str]:
    image = graph.tensors[graph.inputs[0]]
    is_image = len(image.shape) == 4 and image.shape[0] == 1 and image.shape[3] == 3
    if len(graph.inputs) != 1 or not is_image:
        return [
            f"input {image.name!r} is {list(image.shape)}, expected one image [1, H, W, 3]; "
            "export the form nms"
        ]
    if image.dtype not in _INPUT_TYPES:
        return [
            f"input {image.name!r} is {image.dtype}; the library takes uint8 or float32: leave the "
            "input of int8 files uint8"
        ]
    described = tflite_file.parse(data).inputs
    has_normalization = bool(described) and bool(described[0].std)
    if image.dtype == "float32" and not has_normalization:
        return [
            f"input {image.name!r} is float32, but the metadata has no NormalizationOptions for "
            "it; attach the metadata again"
        ]
    return []


def _of_outputs(graph: FileGraph) -> list[str]:
    if sum(op.name == DETECTION_OP for op in graph.ops) != 1:
        return [f"the file has no {DETECTION_OP}, whose outputs are detections; export --form nms"]
    outputs = [graph.tensors[number] for number in graph.outputs]
    shapes = [tensor.shape for tensor in outputs]
    rows = shapes[0][1] if len(shapes[0]) == 3 else 0
    if shapes != [(1, rows, 4), (1, rows), (1, rows), (1,)]:
        listed = ", ".join(f"{t.name} {list(t.shape)}" for t in outputs)
        return [
            f"outputs are {listed}; the library takes boxes [1, D, 4], classes [1, D], scores "
            "[1, D], count [1]; export --form nms"
        ]
    return [
        f"output {tensor.name!r} is {tensor.dtype}; the library takes float32"
        for tensor in outputs
        if tensor.dtype != "float32"
    ]


def _of_suppression(graph: FileGraph) -> list[str]:
    if not graph.has_regular_nms:
        return []
    return [
        "regular NMS loses a class where it runs with several threads "
        "(tensorflow/tensorflow#56058), and the library chooses their number; leave --nms out"
    ]
