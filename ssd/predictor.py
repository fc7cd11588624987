"""One way to call every form of a model: checkpoint, SavedModel, hub module, .tflite."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ssd import coco_names, hub, zoo
from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.run_folder import config_beside, label_map_beside
from ssd.standard_fields import LABEL_ID_OFFSET, DetectionFields

_RETURNED = (
    DetectionFields.detection_boxes,
    DetectionFields.detection_scores,
    DetectionFields.detection_classes,
    DetectionFields.num_detections,
)
# Boxes that are not clipped to the picture reach a little beyond 1, boxes in pixels far beyond.
_LARGEST_NORMALIZED = 3.0


class Predictor(Protocol):
    """What evaluation and drawing need of a model.

    Attributes:
      label_map: class names; None where the model carries none.
      image_size: (H, W) of the images it takes, or None for originals of any size.
      batch_size: images per call that suit it.
    """

    label_map: LabelMap | None
    image_size: tuple[int, int] | None
    batch_size: int

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Returns detections: boxes [B, D, 4], scores [B, D], classes int [B, D] (ids), num [B].

        Args:
          images: with image_size: float32 [B, H, W, 3], 0..255, resized by
            `core.image_resizer`; without: uint8 [1, h, w, 3].
        """


class CheckpointPredictor:
    """A detector with its variables, run by TensorFlow.

    With a plain fixed_shape_resizer it takes batches of resized images; other resizers it applies
    itself, to one original at a time.
    """

    def __init__(self, detector: Any, label_map: LabelMap | None, name: str = "") -> None:
        import tensorflow as tf  # late: `--help` answers without it

        self.detector = detector
        self.label_map = label_map
        self.name = name
        self.num_classes: int = detector.num_classes
        is_plain = detector.image_resizer.is_plain
        self.image_size: tuple[int, int] | None = detector.image_size if is_plain else None
        self.batch_size = 8 if is_plain else 1
        images = tf.TensorSpec([1, None, None, 3], tf.uint8)
        if self.image_size is not None:
            images = tf.TensorSpec([None, *self.image_size, 3], tf.float32)
        run = self._run if is_plain else self._run_original
        self._detect = tf.function(run, input_signature=[images], autograph=False)

    def _run(self, images: Any) -> dict[str, Any]:
        predictions = self.detector.predict(self.detector.preprocess(images), training=False)
        detections = self.detector.postprocess(predictions)
        return {name: detections[name] for name in _RETURNED}

    def _run_original(self, images: Any) -> dict[str, Any]:
        detections = self.detector.detect(images[0])
        return {name: detections[name] for name in _RETURNED}

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return _with_class_ids(self._detect(images), LABEL_ID_OFFSET)


class SavedModelPredictor:
    """A SavedModel with the detection signature: ours, the zoo's, TFOD's, or a hub module.

    Args:
      path: its folder.
      loaded: what was loaded from there already; None loads it.
      name: what a person calls it; the path where it is empty.

    Attributes:
      label_map: of its assets, else in its folder or the one above; None without.
      num_classes: C where the signature tells, else None.

    Raises:
      InputError: it cannot be loaded, or takes or gives something else.
    """

    batch_size = 1

    def __init__(self, path: Path, loaded: Any = None, name: str = "") -> None:
        import tensorflow as tf  # late: `--help` answers without it

        from ssd.saved_model_signature import detection_function  # late, as above

        self.name = name or str(path)
        if loaded is None:
            loaded = hub.load_saved_model(path, tf.saved_model.load)
        self._loaded = loaded  # the variables live as long as it does
        self._function = detection_function(loaded, self.name)
        self.image_size = self._function.image_size
        self.num_classes = self._function.num_classes
        source = _label_map_of_saved_model(path)
        self.label_map: LabelMap | None = label_maps.load(source) if source else None

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        # Pixels that were resized to a fixed size have fractions.
        pixels = np.clip(np.rint(images), 0, 255).astype(np.uint8)
        outputs = self._function.call(pixels)
        found = _with_class_ids({name: outputs[name] for name in _RETURNED}, 0)
        largest = found[DetectionFields.detection_boxes].max(initial=0.0)
        if largest > _LARGEST_NORMALIZED:
            raise InputError(
                f"{self.name}: gives boxes in pixels (up to {largest:.0f}); parts of the picture, "
                "0 to 1, were expected"
            )
        return found


def load_predictor(
    path: str | os.PathLike[str],
    label_map: LabelMap | None = None,
    *,
    num_threads: int = 2,
    reference_kernels: bool = False,
) -> Predictor:
    """Returns the predictor for a run, model folder, checkpoint prefix, SavedModel or .tflite.

    A SavedModel or checkpoint of 90 or 80 classes that carries no label map gets COCO's names,
    which is said on stderr.

    Args:
      path: a folder with pipeline.config counts as a run or zoo folder, also when it holds a
        saved_model beside; hub:HANDLE_OR_FOLDER is a module of TensorFlow Hub.
      label_map: replaces the one that the model carries.
      num_threads: of the .tflite interpreter.
      reference_kernels: run a .tflite as microcontrollers do; see TflitePredictor.

    Raises:
      InputError: nothing there that can be loaded.
    """
    path = os.fspath(path)
    if "://" in path and not hub.is_handle(path):
        raise InputError(f"{path}: an address is given as {hub.PREFIX}{path}")
    predictor = _load(path, num_threads, reference_kernels)
    if label_map is not None:
        predictor.label_map = label_map
    elif predictor.label_map is None:
        coco_names.name_classes(predictor, path)
    return predictor


def _load(path: str, num_threads: int, reference_kernels: bool) -> Predictor:
    if reference_kernels and not path.endswith(".tflite"):
        raise InputError(f"{path}: --reference-kernels are for .tflite files; leave them out")
    if hub.is_handle(path):
        loaded, folder = hub.load(path)
        return SavedModelPredictor(folder, loaded, path)
    model = local_model(path)
    if model.suffix == ".tflite":
        from ssd.tflite_predictor import TflitePredictor  # late: only this form needs LiteRT

        return TflitePredictor(model, num_threads=num_threads, reference_kernels=reference_kernels)
    if (model / "saved_model.pb").is_file():
        return SavedModelPredictor(model)
    if not (model / "pipeline.config").is_file() and (model / "saved_model").is_dir():
        return SavedModelPredictor(model / "saved_model")
    return load_checkpoint_predictor(model)


def local_model(path: str | os.PathLike[str]) -> Path:
    """Returns `path`; a zoo archive or zoo name becomes the folder it was unpacked to."""
    is_archive = os.path.isfile(path) and str(path).endswith((".tar.gz", ".tgz"))
    if is_archive or (not os.path.exists(path) and zoo.is_known(str(path))):
        return zoo.open_model(str(path))
    return Path(path)


def load_checkpoint_predictor(path: str | os.PathLike[str]) -> CheckpointPredictor:
    """Returns the predictor of a run, zoo folder or checkpoint prefix.

    Raises:
      InputError: no pipeline.config or checkpoint there, or they do not belong together.
    """
    if not Path(path).exists() and not os.path.isfile(f"{path}.index"):
        raise InputError(
            f"{path}: no such file or folder; a run, a model folder, a SavedModel or a "
            ".tflite was expected"
        )
    config_path = config_beside(path)
    # Late: `--help` answers without TensorFlow.
    from ssd import checkpoint, checkpoint_file
    from ssd.config import pipeline
    from ssd.models import builder

    loaded = pipeline.load(config_path)
    pipeline.require_obeyed(loaded, for_training=False)
    prefix = checkpoint_file.find_prefix(path)
    detector = builder.build_detector(loaded.message.model)
    prefers_averages = loaded.message.eval_config.use_moving_averages
    checkpoint.restore_model(detector, prefix, prefers_averages=prefers_averages)
    labels = label_map_beside(config_path)
    return CheckpointPredictor(detector, label_maps.load(labels) if labels else None, prefix)


def _label_map_of_saved_model(path: Path) -> Path | None:
    """Returns the label map in the assets of others' and our SavedModels, or beside, or None."""
    inside = [path / "assets/label_map.pbtxt", *sorted(path.glob("assets/*label*map*.pbtxt"))]
    places = [*inside, path / "label_map.pbtxt", path.parent / "label_map.pbtxt"]
    return next((place for place in places if place.is_file()), None)


def _with_class_ids(detections: dict[str, Any], offset: int) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(value) for name, value in detections.items()}
    classes = arrays[DetectionFields.detection_classes]
    arrays[DetectionFields.detection_classes] = classes.astype(np.int64) + offset
    number = DetectionFields.num_detections
    arrays[number] = arrays[number].astype(np.int64)
    return arrays
