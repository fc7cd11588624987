"""TensorFlow's converter to .tflite, run so that it neither loses a graph nor floods the screen."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from export.data_flow import require_dependence

_SIGNATURE = "serving_default"


def convert_graph(graph: tf.Module, quantize: str = "none") -> bytes:
    """Returns the .tflite of a module's function `run`, with one signature of its names.

    Args:
      graph: has `run`, a tf.function with an input signature, and all its variables.
      quantize: "none"; "float16" (weights stored in half); "dynamic" (weights int8, computed in
        float).

    Raises:
      GateError: an output does not depend on the inputs.
    """
    with tempfile.TemporaryDirectory() as folder, native_stderr_held_back():
        tf.saved_model.save(graph, folder, signatures={_SIGNATURE: graph.run})
        # From the folder: a graph frozen in memory first loses the detection op without an error.
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        data = bytes(converter.convert())
    require_dependence(data)
    return data


@contextlib.contextmanager
def native_stderr_held_back() -> Iterator[None]:
    """Keeps the converter's C++ chatter off the screen; shows it when the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            aside.seek(0)
            sys.stderr.write(aside.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
