"""Raw files of the small detector, converted here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from export import flatbuffer
from ssd.models.detector import Detector
from ssd.standard_fields import PredictionFields

NAMES = ("box_encodings", "scores")


class RawGraph(tf.Module):
    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.tracked = [variable.value for variable in detector.network.variables]
        size = detector.image_size

        @tf.function(input_signature=[tf.TensorSpec([1, *size, 3], tf.float32, name="image")])
        def detect(image: tf.Tensor) -> dict[str, tf.Tensor]:
            predictions = detector.predict(image)
            logits = predictions[PredictionFields.class_predictions_with_background]
            scores = detector.post_processor.class_scores(logits)
            return dict(
                zip(NAMES, (predictions[PredictionFields.box_encodings], scores), strict=True)
            )

        self.detect = detect


def convert(detector: Detector, folder: Path, photos: np.ndarray | None = None) -> bytes:
    """A raw file: float32, or int8 calibrated with photos [N, H, W, 3], 0..255."""
    graph = RawGraph(detector)
    tf.saved_model.save(graph, str(folder), signatures={"serving_default": graph.detect})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if photos is not None:
        images = (photos / 127.5 - 1).astype(np.float32)
        images[0, 0, 0], images[0, 0, 1] = -1, 1
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
    return named(converter.convert())


def named(data: bytes) -> bytes:
    """The file with its input and outputs named, in a fixed order."""
    model = flatbuffer.unpack(data)
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    tensors = {output.name.decode(): output.tensorIndex for output in signature.outputs}
    for name, index in {"image": int(graph.inputs[0]), **tensors}.items():
        graph.tensors[index].name = name.encode()
    graph.outputs = np.array([tensors[name] for name in NAMES], np.int32)
    signature.outputs = [schema.TensorMapT(name=name, tensorIndex=tensors[name]) for name in NAMES]
    return flatbuffer.pack(model)


@pytest.fixture(scope="session")
def raw_files(
    _shared_small_detector: tuple[Detector, list[np.ndarray]],
    photos: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, bytes]:
    """`float32` and `int8` -> the raw file of the small detector as it was built."""
    detector, initial = _shared_small_detector
    for variable, value in zip(detector.network.variables, initial, strict=True):
        variable.assign(value)
    folder = tmp_path_factory.mktemp("raw")
    return {
        "float32": convert(detector, folder / "float32"),
        "int8": convert(detector, folder / "int8", photos),
    }


@pytest.fixture
def conversion() -> Callable[..., bytes]:
    """`convert`: a raw file of any detector."""
    return convert


@pytest.fixture
def run_raw() -> Callable[[bytes, np.ndarray], dict[str, np.ndarray]]:
    """Runs a raw file on one photo [H, W, 3], 0..255; outputs by name as the file gives them."""
    from ai_edge_litert.interpreter import Interpreter

    def run(data: bytes, photo: np.ndarray) -> dict[str, np.ndarray]:
        interpreter = Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
        (given,) = interpreter.get_input_details()
        image = photo / 127.5 - 1 if given["dtype"] == np.float32 else np.rint(photo)
        interpreter.set_tensor(given["index"], image[np.newaxis].astype(given["dtype"]))
        interpreter.invoke()
        return {
            d["name"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()
        }

    return run
