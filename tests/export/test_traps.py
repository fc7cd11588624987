"""The ways an export "succeeds" without a usable file, each forced for real and caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from export import tflite
from export.detection_graph import DetectionGraph
from export.network_graph import NetworkGraph
from export.options import CLASS_WISE, FAST, REGULAR
from export.quantization import int8
from export.tflite import TfliteConverter
from ssd.errors import GateError
from ssd.models.detector import Detector
from ssd.tflite_file import DETECTION_OUTPUTS


def batches(images: np.ndarray) -> Callable[[], Iterator[np.ndarray]]:
    return lambda: (image[np.newaxis].astype(np.float32) for image in images)


class Untracked(NetworkGraph):
    """Does not hold the variables; a Keras model inside does not count."""

    def __init__(self, detector: Detector, *, gives_logits: bool) -> None:
        super().__init__(detector, gives_logits=gives_logits)
        del self.tracked
        self.network = detector.network


class Constant(NetworkGraph):
    """Gives what the network gave for a gray image, whatever the image."""

    def __init__(self, detector: Detector, *, gives_logits: bool) -> None:
        super().__init__(detector, gives_logits=gives_logits)
        given = {name: value.numpy() for name, value in self.run(tf.zeros(self._shape)).items()}

        @tf.function(input_signature=[tf.TensorSpec(self._shape, tf.float32, name="image")])
        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return {name: tf.constant(value) for name, value in given.items()}

        self.run = run

    _shape = (1, 64, 96, 3)


class HalfConstant(Constant):
    """Gives true boxes and constant scores."""

    def __init__(self, detector: Detector, *, gives_logits: bool) -> None:
        super().__init__(detector, gives_logits=gives_logits)
        true, constant = NetworkGraph(detector, gives_logits=gives_logits).run, self.run

        @tf.function(input_signature=[tf.TensorSpec(self._shape, tf.float32, name="image")])
        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return {**constant(image), "box_encodings": true(image)["box_encodings"]}

        self.run = run


@pytest.mark.parametrize("form", ["nms", "raw"])
def test_unfrozen_variables(small_detector, monkeypatch, form):
    monkeypatch.setattr(tflite, "NetworkGraph", Untracked)
    with pytest.raises(GateError, match=r"reads variables \(.*(READ_VARIABLE|VAR_HANDLE)"):
        getattr(TfliteConverter(small_detector), form)()


@pytest.mark.parametrize("form", ["nms", "raw"])
@pytest.mark.parametrize(
    ("graph", "output"),
    [
        pytest.param(Constant, "", id="all"),
        pytest.param(HalfConstant, "scores", id="scores"),
    ],
)
def test_constant_file(small_detector, monkeypatch, form, graph, output):
    monkeypatch.setattr(tflite, "NetworkGraph", graph)
    made = TfliteConverter(small_detector)
    # Large constants must not pass for weights: at 640x640 the outputs hold more than the kernels.
    made._num_weights = 1
    with pytest.raises(GateError, match=rf"output \w*{output} does not depend on the input"):
        getattr(made, form)()


def test_weights_are_missing(small_detector):
    """Kernels that are alike are stored once; a network whose kernels all are has lost them."""
    for variable in small_detector.network.variables:
        variable.assign(tf.zeros_like(variable))
    with pytest.raises(GateError, match=r"bytes of constants, but the kernels alone need 2496"):
        TfliteConverter(small_detector).raw()


@pytest.mark.parametrize("kind", [CLASS_WISE, FAST, REGULAR])
def test_detection_op_is_lost(small_detector, monkeypatch, kind):
    """A graph whose functions are inlined first loses the op, without an error."""

    class Inlined(DetectionGraph):
        def __init__(self, *args: object, **flags: object) -> None:
            super().__init__(*args, **flags)
            signature = self.run.input_signature
            frozen = convert_variables_to_constants_v2(self.run.get_concrete_function())
            names = sorted(DETECTION_OUTPUTS)

            @tf.function(input_signature=signature)
            def run(box_encodings: tf.Tensor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
                return dict(zip(names, frozen(box_encodings, scores), strict=True))

            self.run = run

    monkeypatch.setattr(tflite, "DetectionGraph", Inlined)
    with pytest.raises(GateError, match=r"does not depend on the input|0 TFLite_Detection_Post"):
        TfliteConverter(small_detector).nms(kind=kind)


@pytest.mark.parametrize(
    ("scaled", "seen"),
    [
        pytest.param(lambda photos: photos / 255, r"\[0\.\d\d, 1\.\d\d\]", id="divided by 255"),
        pytest.param(lambda photos: photos, r"\[\d+\.\d\d, 25\d\.\d\d\]", id="not scaled"),
        pytest.param(
            lambda photos: (photos / 127.5 - 1) / 127.5 - 1, r"\[-1\.01, -0\.99\]", id="twice"
        ),
        pytest.param(
            lambda photos: (photos - [124, 116, 104]) / [58, 57, 57],
            r"\[-2\.\d\d, 2\.\d\d\]",
            id="mean and deviation",
        ),
    ],
)
def test_calibration_in_another_range(small_detector, photos, scaled, seen):
    made = TfliteConverter(small_detector, batches(scaled(photos)))
    with pytest.raises(GateError, match=rf"calibration images lie in {seen}; .* in \[-1, 1\]"):
        made.nms("int8")


def test_int8_file_that_computes_in_float(small_detector, photos, monkeypatch):
    """Without ranges the quantizer leaves every op as it was, behind a uint8 input."""
    write_ranges = int8._write_ranges

    def of_the_input(model, limits):
        write_ranges(model, limits)
        for tensor in model.subgraphs[0].tensors:
            if tensor.name != b"image" and tensor.quantization is not None:
                tensor.quantization = None

    monkeypatch.setattr(int8, "_write_ranges", of_the_input)
    with pytest.raises(GateError, match=r"4 of 4 convolutions of the int8 file compute in float"):
        TfliteConverter(small_detector, batches(photos / 127.5 - 1)).raw("int8")
