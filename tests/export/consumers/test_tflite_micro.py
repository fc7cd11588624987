"""TensorFlow Lite Micro's own interpreter on raw int8 files."""

from __future__ import annotations

import re

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from export import targets
from export.targets import arena, file_graph

_NAMES = ("box_encodings", "scores")


@pytest.fixture(scope="module")
def runtime(consumer):
    consumer("tflite_micro")
    from tflite_micro import runtime

    return runtime


def reference(path, pictures) -> list[dict[str, np.ndarray]]:
    """LiteRT with its reference kernels, which TensorFlow Lite Micro shares."""
    interpreter = Interpreter(
        model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    (image,) = interpreter.get_input_details()
    given = []
    for picture in pictures:
        interpreter.set_tensor(image["index"], picture[np.newaxis])
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        given.append({d["name"]: interpreter.get_tensor(d["index"]).copy() for d in outputs})
    return given


def micro(runtime, path, pictures) -> list[dict[str, np.ndarray]]:
    # Processors of personal computers take more than the estimate, which is of 32 bits.
    size = 2 * arena.estimate(file_graph.read(path.read_bytes())).num_bytes
    interpreter = runtime.Interpreter.from_file(str(path), arena_size=size)
    given = []
    for picture in pictures:
        interpreter.set_input(picture[np.newaxis], 0)
        interpreter.invoke()
        given.append({name: interpreter.get_output(n) for n, name in enumerate(_NAMES)})
    return given


def test_same_outputs_to_the_bit(runtime, exported, differences):
    path = exported.path("raw", "int8")
    expected, given = (f(path, exported.pictures) for f in (reference, _bound(runtime)))
    for mine, other in zip(expected, given, strict=True):
        for name in _NAMES:
            np.testing.assert_array_equal(mine[name], other[name])
    same = [exported.decoded(path, outputs) for outputs in (expected, given)]
    assert differences(*same, min_iou=0.99) == []
    # So `--target micro`, which scores with them, scores what the board detects.
    ours = exported.ours("raw", "int8", reference_kernels=True)
    assert differences(ours, same[1], min_iou=0.99) == []


def _bound(runtime):
    return lambda path, pictures: micro(runtime, path, pictures)


def test_arena_is_what_was_estimated(runtime, exported, capfd):
    path = exported.path("raw", "int8")
    data = path.read_bytes()
    interpreter = runtime.Interpreter.from_file(str(path), arena_size=8 << 20)
    interpreter.set_input(exported.pictures[:1], 0)
    interpreter.invoke()
    interpreter.print_allocations()
    said = capfd.readouterr()
    head, tail = (
        int(re.search(rf"Arena allocation {part} (\d+) bytes", said.err + said.out)[1])
        for part in ("head", "tail")
    )
    estimate = arena.estimate(file_graph.read(data))
    assert estimate.tensor_bytes == head
    # Pointers of this machine have 64 bits, those of the estimate 32.
    assert 0.6 * tail < estimate.structure_bytes < tail
    facts = targets.check("micro", data, "raw", "int8").facts
    assert facts["arena_bytes_estimated"] == estimate.num_bytes
