from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer
from export.converter import convert_graph
from export.join import join


class Graph(tf.Module):
    """A function with named inputs of shape [2, 3], as a module that can be converted."""

    def __init__(self, function, *names: str, shape=(2, 3)) -> None:
        super().__init__()
        specs = [tf.TensorSpec(shape, tf.float32, name=name) for name in names]
        self.run = tf.function(function, input_signature=specs)


def first() -> bytes:
    """image -> a = 2 image, b = image + 1."""
    return convert_graph(Graph(lambda image: {"a": 2.0 * image, "b": image + 1.0}, "image"))


def outputs_of(data: bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    return interpreter.get_signature_runner()(image=image)


IMAGE = np.array([[0.0, 1.0, -2.0], [3.0, 0.5, 10.0]], np.float32)


def test_all_is_taken():
    second = convert_graph(Graph(lambda a, b: {"c": a - b, "d": a * b}, "a", "b"))
    found = outputs_of(join(first(), second), IMAGE)
    assert sorted(found) == ["c", "d"]
    np.testing.assert_allclose(found["c"], IMAGE - 1)  # 2 x - (x + 1)
    np.testing.assert_allclose(found["d"], 2 * IMAGE * (IMAGE + 1), rtol=1e-6)


def test_what_is_not_taken_stays_and_a_name_may_come_again():
    second = convert_graph(Graph(lambda b: {"b": tf.nn.relu(b)}, "b"))
    joined = join(first(), second)
    found = outputs_of(joined, IMAGE)
    assert sorted(found) == ["a", "b"]
    np.testing.assert_allclose(found["a"], 2 * IMAGE)
    np.testing.assert_allclose(found["b"], np.maximum(IMAGE + 1, 0))
    assert sorted(flatbuffer.signature_outputs(flatbuffer.unpack(joined))) == ["a", "b"]


def test_three_in_a_row():
    second = convert_graph(Graph(lambda a: {"a": a + 1.0}, "a"))
    third = convert_graph(Graph(lambda a, b: {"c": a + b}, "a", "b"))
    found = outputs_of(join(join(first(), second), third), IMAGE)
    np.testing.assert_allclose(found["c"], 3 * IMAGE + 2)  # (2 x + 1) + (x + 1)


def test_constants_of_both_come_along():
    table = tf.constant(np.arange(6, dtype=np.float32).reshape(2, 3))
    second = convert_graph(Graph(lambda a: {"c": a + table}, "a"))
    found = outputs_of(join(first(), second), IMAGE)
    np.testing.assert_allclose(found["c"], 2 * IMAGE + np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("names", "shape", "message"),
    [
        (("z",), (2, 3), "z is taken, but only a, b are given"),
        (("a",), (3, 2), r"a: \[2, 3\] of type 0 is given, \[3, 2\] of type 0 taken"),
    ],
)
def test_what_does_not_fit(names, shape, message):
    second = convert_graph(Graph(lambda x: {"c": x + 1.0}, *names, shape=shape))
    with pytest.raises(ValueError, match=message):
        join(first(), second)
