"""--format onnx: the raw form as an ONNX file, checked in ONNX Runtime before anybody gets it."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from export.flatbuffer import INPUT_NAME
from export.network_graph import NETWORK_OUTPUTS
from ssd.errors import GateError, InputError

# Of ONNX 1.12 (2022); runtimes read every older set than their own.
OPSET = 17
_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
# Sums in another order: 2e-5 of the largest value was the most on a network of 123 convolutions.
_TOLERANCE = 1e-4
_NUM_NOISE = 2


def require_packages() -> None:
    """Returns if tf2onnx, onnx and onnxruntime are installed.

    Raises:
      InputError: says how to get them.
    """
    from importlib.util import find_spec

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"--format onnx: {', '.join(missing)} not installed; "
            "`pip install -r requirements/deploy.txt` brings them"
        )


def convert(raw: bytes, images: Iterable[np.ndarray], texts: Mapping[str, str]) -> bytes:
    """Returns the ONNX file of a float raw .tflite: the same input, outputs and names.

    Input `image` float32 [1, H, W, 3] in [-1, 1]; outputs `box_encodings` [1, A, 4] and `scores`
    [1, A, C], to be decoded as those of the .tflite. Opset 17.

    Args:
      raw: a float32 .tflite of form raw.
      images: float32 [1, H, W, 3] in [-1, 1], on which both files have to agree.
      texts: name -> text to keep inside as metadata, such as decoding.json.

    Raises:
      InputError: tf2onnx, onnx or onnxruntime is not installed.
      GateError: the file has other names, or gives other values in ONNX Runtime than in LiteRT.
    """
    require_packages()
    import onnx  # late: optional

    model = _converted(raw)
    names = [value.name for value in (*model.graph.input, *model.graph.output)]
    if names != [INPUT_NAME, *NETWORK_OUTPUTS]:
        raise GateError(
            f"conversion to ONNX: input and outputs are {names}, expected "
            f"{[INPUT_NAME, *NETWORK_OUTPUTS]}; report it with the versions of tf2onnx and onnx"
        )
    onnx.helper.set_model_props(model, dict(texts))
    onnx.checker.check_model(model)
    data = bytes(model.SerializeToString())
    require_same(raw, data, images)
    return data


def require_same(raw: bytes, data: bytes, images: Iterable[np.ndarray]) -> None:
    """Returns if both files give the same for noise and for these images.

    Args:
      raw, data: the .tflite and its ONNX file.
      images: float32 [1, H, W, 3] in [-1, 1].

    Raises:
      GateError: an output differs by more than 1e-4 of its largest value.
    """
    import onnxruntime  # late: optional

    interpreter = Interpreter(model_content=raw)
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    shape = interpreter.get_input_details()[0]["shape"]
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for kind, image in _cases(shape, images):
        expected = run(**{INPUT_NAME: image})
        found = session.run(list(NETWORK_OUTPUTS), {INPUT_NAME: image})
        for name, values in zip(NETWORK_OUTPUTS, found, strict=True):
            largest = float(np.abs(expected[name]).max())
            difference = float(np.abs(values - expected[name]).max())
            # Written so that a difference of NaN does not pass.
            if not difference <= _TOLERANCE * max(largest, 1.0):
                raise GateError(
                    f"conversion to ONNX: {name} on {kind} is off by {difference:.3g} in ONNX "
                    f"Runtime, where values reach {largest:.3g} and {_TOLERANCE:g} of that is "
                    "float noise; report it with the versions of tf2onnx and onnxruntime"
                )


def _cases(shape: np.ndarray, images: Iterable[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    for number in range(_NUM_NOISE):
        yield f"noise {number}", rng.uniform(-1.0, 1.0, shape).astype(np.float32)
    for number, image in enumerate(images):
        yield f"image {number}", image


def _converted(raw: bytes) -> Any:
    """The onnx.ModelProto; tf2onnx's own chatter kept off the screen."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tf2onnx import convert as tf2onnx_convert  # late: optional

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        path = Path(folder) / "raw.tflite"
        path.write_bytes(raw)
        model, _ = tf2onnx_convert.from_tflite(str(path), opset=OPSET)
        return model
