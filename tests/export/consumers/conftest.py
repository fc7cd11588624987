"""Files as a person gets them, and what their consumers have to find with them.

Three models: the small detector of two convolutions, an untrained FPNLite network, and the COCO
checkpoint where it is. Files are made when a test asks for them, once. Pictures have the size of
the model's input, so that nobody resizes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from export import metadata
from export.metadata_writer import Description
from export.raw import facts, files
from export.tflite import TfliteConverter
from ssd.models.detector import Detector
from ssd.standard_fields import DetectionFields, PredictionFields
from ssd.tflite_predictor import TflitePredictor
from ssd.tflite_raw import ssd_decode
from tests.export.consumers import found
from tests.export.consumers.found import Found

COCO_CHECKPOINT = "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80"
_NUM_PICTURES, _NUM_CALIBRATION = 12, 50
_FPNLITE = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
_TINY = (
    "model.ssd.num_classes=3",
    "model.ssd.feature_extractor.depth_multiplier=0.25",
    "model.ssd.image_resizer.fixed_shape_resizer.height=64",
    "model.ssd.image_resizer.fixed_shape_resizer.width=96",
)


@dataclass
class Exported:
    """A model to export.

    Attributes:
      detector: restored.
      labels: class names by class index.
      pictures: uint8 [N, H, W, 3].
      folder: of the files.
    """

    detector: Detector
    labels: list[str]
    pictures: np.ndarray
    folder: Path
    calibration: np.ndarray
    _converter: TfliteConverter | None = field(default=None)

    @property
    def images(self) -> np.ndarray:
        """The pictures as a float input takes them, float32 [N, H, W, 3] in [-1, 1]."""
        return (self.pictures / 127.5 - 1).astype(np.float32)

    @property
    def converter(self) -> TfliteConverter:
        if self._converter is None:
            images = [(p[np.newaxis] / 127.5 - 1).astype(np.float32) for p in self.calibration]
            self._converter = TfliteConverter(self.detector, lambda: iter(images))
        return self._converter

    def path(self, form: str, quantize: str) -> Path:
        """The finished file: metadata, labels and, in a raw one, decoding inside."""
        path = self.folder / f"{form}_{quantize}.tflite"
        if not path.is_file():
            path.write_bytes(self._nms(quantize) if form == "nms" else self._raw(quantize))
        return path

    def _nms(self, quantize: str) -> bytes:
        made = self.converter.nms(quantize)
        return metadata.attach(made.data, Description("test", "a test"), self.labels)

    def _raw(self, quantize: str) -> bytes:
        made = self.converter.raw(quantize)
        decoding = facts.decoding_of(
            self.detector, made.data, self.labels, box_factors=made.box_factors
        )
        return files.attach(made.data, decoding, Description("test", "a test"))

    def ours(self, form: str, quantize: str, *, reference_kernels: bool = False) -> list[Found]:
        """What our own run of the file finds in each picture."""
        path = self.path(form, quantize)
        predictor = TflitePredictor(path, reference_kernels=reference_kernels)
        return [self._of(predictor(p[np.newaxis].astype(np.float32))) for p in self.pictures]

    def as_given(self, form: str, quantize: str) -> list[Found]:
        """What the outputs of a file of form nms hold: boxes reach beyond the picture."""
        interpreter = Interpreter(model_path=str(self.path(form, quantize)), num_threads=2)
        interpreter.allocate_tensors()
        run, (image,) = interpreter.get_signature_runner(), interpreter.get_input_details()
        images = self.images if image["dtype"] == np.float32 else self.pictures
        detections = []
        for one in images:
            given = run(image=one[np.newaxis])
            count = int(given["count"][0])
            names = tuple(self.labels[int(n)] for n in given["classes"][0, :count])
            detections.append(Found(given["boxes"][0, :count], names, given["scores"][0, :count]))
        return detections

    def _of(self, detections: dict[str, np.ndarray]) -> Found:
        count = int(detections[DetectionFields.num_detections][0])
        ids = detections[DetectionFields.detection_classes][0, :count]
        return Found(
            detections[DetectionFields.detection_boxes][0, :count],
            tuple(self.labels[class_id - 1] for class_id in ids),
            detections[DetectionFields.detection_scores][0, :count],
        )

    def decoded(self, form_path: Path, outputs: list[dict[str, np.ndarray]]) -> list[Found]:
        """Detections from the outputs of a raw file, as another runtime gives them."""
        decoding = ssd_decode.load(form_path)
        decoded = [
            ssd_decode.decode(output["box_encodings"], output["scores"], decoding)
            for output in outputs
        ]
        return [
            Found(one.boxes, tuple(self.labels[int(c)] for c in one.classes), one.scores)
            for one in decoded
        ]


def make_small(detector: Detector, folder: Path) -> Exported:
    rng = np.random.default_rng(3)
    coarse = rng.uniform(0, 256, (_NUM_CALIBRATION + _NUM_PICTURES, 8, 12, 3)).astype(np.uint8)
    pictures = np.stack(
        [
            np.asarray(Image.fromarray(one).resize((96, 64), Image.Resampling.BICUBIC))
            for one in coarse
        ]
    )
    labels = ["bolt", "nut", "washer"]
    return Exported(detector, labels, pictures[:_NUM_PICTURES], folder, pictures[_NUM_PICTURES:])


def make_tiny(project: Path, folder: Path) -> Exported:
    """An untrained FPNLite network, scaled so that it finds things."""
    from ssd.config import pipeline
    from ssd.models.builder import build_detector

    config = project / f"pipeline_configs/{_FPNLITE}.config"
    detector = build_detector(pipeline.load(config, _TINY).message.model, seed=7)
    rng = np.random.default_rng(5)
    for variable in detector.network.variables:
        if len(variable.shape) == 4:
            height, width, channels, _ = variable.shape
            fan_in = height * width * (1 if "depthwise" in variable.path else channels)
            # As He et al. 2015: signals neither die out nor grow.
            values = rng.normal(0, (2 / fan_in) ** 0.5, variable.shape)
            variable.assign(values.astype(np.float32))
    made = make_small(detector, folder)
    predictions = detector.predict(tf.constant(made.images))
    logits = predictions[PredictionFields.class_predictions_with_background]
    for head, values, spread in (
        ("ClassPredictor", logits, 2.0),
        ("BoxPredictor", predictions[PredictionFields.box_encodings], 1.0),
    ):
        factor = spread / float(np.std(values))
        for variable in detector.network.variables:
            if f"{head}/pointwise_kernel" in variable.path:
                variable.assign(variable * factor)
            elif f"{head}/bias" in variable.path:
                variable.assign(tf.zeros_like(variable))
    return made


def make_coco(shared: Path, folder: Path) -> Exported:
    from ssd.predictor import load_checkpoint_predictor

    predictor = load_checkpoint_predictor(shared / COCO_CHECKPOINT)
    detector, label_map = predictor.detector, predictor.label_map
    height, width = detector.image_size
    paths = sorted((shared / "data/coco_val2017_64/val2017").glob("*.jpg"))
    pictures = np.stack(
        [np.asarray(Image.open(path).convert("RGB").resize((width, height))) for path in paths]
    )
    names = [str(n) for n in range(1, detector.num_classes + 1)]
    labels = metadata.label_lines(label_map, detector.num_classes) if label_map else names
    return Exported(detector, labels, pictures[:_NUM_PICTURES], folder, pictures[_NUM_PICTURES:])


@pytest.fixture(scope="session")
def small(
    _shared_small_detector: tuple[Detector, list[np.ndarray]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Exported:
    """The small detector."""
    detector, initial = _shared_small_detector
    for variable, value in zip(detector.network.variables, initial, strict=True):
        variable.assign(value)
    return make_small(detector, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def tiny(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """FPNLite at depth 0.25, 64x96, three classes: all ops of a real network."""
    return make_tiny(project, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def coco(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The COCO checkpoint; skips where it is not."""
    return make_coco(shared, tmp_path_factory.mktemp("coco"))


@pytest.fixture(
    scope="session",
    params=["small", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tiny", "coco"))],
)
def exported(request: pytest.FixtureRequest) -> Exported:
    """The small detector, a real architecture, and the COCO checkpoint where it is."""
    made: Exported = request.getfixturevalue(request.param)
    return made


@pytest.fixture(scope="session", params=["small", pytest.param("coco", marks=pytest.mark.slow)])
def steady(request: pytest.FixtureRequest) -> Exported:
    """Of `exported` those whose detections do not hang on the last digit, as untrained ones do."""
    made: Exported = request.getfixturevalue(request.param)
    return made


@pytest.fixture(scope="session")
def differences() -> Callable[..., list[str]]:
    """Compares what two runs find; see `found.differences`."""
    return found.differences


@pytest.fixture(scope="session")
def make_found() -> type[Found]:
    """The class of what a consumer finds."""
    return Found


@pytest.fixture(scope="session")
def consumer() -> Callable[[str], Any]:
    """Imports a consumer by name, or skips and says how to get it."""
    hint = "is not installed: pip install -r requirements/deploy.txt"
    return lambda name: pytest.importorskip(name, reason=f"{name} {hint}")
