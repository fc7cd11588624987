"""ObjectDetector: trained, scored and exported with Model Maker's words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.model_maker import labels as label_arguments
from ssd.model_maker import model_spec as model_specs
from ssd.model_maker import training_run
from ssd.model_maker.config import ExportFormat, QuantizationConfig
from ssd.model_maker.data_loader import DataLoader, temporary_folder
from ssd.model_maker.export_files import (
    FORMATS,
    Exported,
    export_labels,
    export_saved_model,
    export_tflite,
    formats_of,
    require_no_others,
)
from ssd.model_maker.labels import LabelMapArgument
from ssd.model_maker.metrics import metrics_of
from ssd.model_maker.specs import EfficientDetSpec
from ssd.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from ssd.predictor import CheckpointPredictor

_DEFAULT = "default"


class ObjectDetector:
    """A detector: a specification, its classes, and, once trained, its run.

    Args:
      model_spec: see `model_spec.get`.
      label_map: of the classes; see `labels.read`.
      representative_data: whose pictures set int8 ranges; None: the training data.

    Attributes:
      train_whole_model: whether training changes the backbone, too.
      run: folder of the newest training; None before the first.

    Raises:
      InputError: no such model, or no label map.
    """

    DEFAULT_EXPORT_FORMAT = (ExportFormat.TFLITE,)
    ALLOWED_EXPORT_FORMAT = FORMATS

    def __init__(
        self,
        model_spec: Any,
        label_map: LabelMapArgument,
        representative_data: DataLoader | None = None,
    ) -> None:
        self.model_spec: EfficientDetSpec = model_specs.get(model_spec)
        self.labels: LabelMap = label_arguments.read(label_map)
        self.representative_data = representative_data
        self.train_whole_model = False
        self.run: RunFolder | None = None
        self._validation_data: DataLoader | None = None
        self._restored: tuple[str, CheckpointPredictor] | None = None

    @classmethod
    def create(
        cls,
        train_data: DataLoader,
        model_spec: Any,
        validation_data: DataLoader | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        train_whole_model: bool = False,
        do_train: bool = True,
    ) -> ObjectDetector:
        """Returns a detector, trained on `train_data`.

        Args:
          train_data: the pictures.
          model_spec: see `model_spec.get`.
          validation_data: scores the weights on the way, of which the best are kept, and the
            exported file; without it the newest are kept, and the file is not scored.
          epochs: how often training goes through the data; None: the specification's, 50.
          batch_size: images of a step; None: the specification's.
          train_whole_model: False: the backbone stays as it is.
          do_train: False: it is left to `train`; `evaluate` and `export` then take the weights of
            the specification's checkpoint, which has to be a whole run.

        Raises:
          InputError: data, specification and checkpoint do not fit together.
        """
        detector = cls(model_spec, train_data.labels, train_data)
        detector.train_whole_model = train_whole_model
        detector._validation_data = validation_data
        if do_train:
            detector.train(train_data, validation_data, epochs, batch_size)
        return detector

    def train(
        self,
        train_data: DataLoader,
        validation_data: DataLoader | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
    ) -> keras.Model:
        """Trains, from the newest weights if it was trained before; returns the Keras network."""
        self.run = training_run.train(
            self.model_spec,
            train_data,
            validation_data,
            epochs=epochs,
            batch_size=batch_size,
            train_whole_model=self.train_whole_model,
            weights=str(self.run.path) if self.run else None,
        )
        self._validation_data = validation_data
        self.representative_data = self.representative_data or train_data
        return self.model

    @property
    def model(self) -> keras.Model:
        """The Keras network with the best weights; with initial ones before any training."""
        if self.run is None and self.model_spec.checkpoint in ("auto", "none"):
            from ssd.config import pipeline  # late: TensorFlow takes its time to load
            from ssd.models import builder

            changes = self.model_spec.config_overrides(self.labels.num_classes)
            config = pipeline.load(self.model_spec.config_path, changes).message
            return builder.build_detector(config.model).network
        return self._predictor().detector.network

    def summary(self) -> None:
        """Prints the layers of the network."""
        self.model.summary()

    def evaluate(self, data: DataLoader, batch_size: int | None = None) -> dict[str, float]:
        """Returns COCO's metrics of the best weights: AP, AP50, ..., ARmax100, ..., AP_/CLASS.

        Fractions; -1.0 where there is nothing to measure.

        Args:
          data: the pictures.
          batch_size: at a time; the numbers do not depend on it.
        """
        predictor = self._predictor()
        if batch_size is not None and predictor.image_size is not None:
            predictor.batch_size = batch_size
        return metrics_of(predictor, data)

    def evaluate_tflite(self, tflite_filepath: str, data: DataLoader) -> dict[str, float]:
        """Returns what `evaluate` returns, of a .tflite file run by LiteRT."""
        from ssd.tflite_predictor import TflitePredictor  # late: only this needs LiteRT

        return metrics_of(TflitePredictor(tflite_filepath), data)

    def export(
        self,
        export_dir: str | os.PathLike[str],
        tflite_filename: str = "model.tflite",
        label_filename: str = "labels.txt",
        vocab_filename: str = "vocab.txt",
        saved_model_filename: str = "saved_model",
        tfjs_folder_name: str = "tfjs",
        export_format: Any = None,
        quantization_config: QuantizationConfig | str | None = _DEFAULT,
        with_metadata: bool = True,
        export_metadata_json_file: bool = False,
        **kwargs: Any,
    ) -> None:
        """Writes files to `export_dir`; a .tflite only if it detects as well as its float twin.

        Args:
          export_dir: folder; made where it is not there.
          tflite_filename, label_filename, saved_model_filename: names in it.
          vocab_filename, tfjs_folder_name: of files that a detector has not.
          export_format: an ExportFormat or several; None: TFLITE.
          quantization_config: "default": int8 with `representative_data`; None: float32.
          with_metadata: True; the labels are always inside.
          export_metadata_json_file: False.
          kwargs: options of `export-tflite`; see `export_files.OPTIONS`.

        Raises:
          InputError: a file that detectors have not, or an option that would be ignored.
          GateError: the .tflite lost more than 1 point of AP, or `max_map_drop`; it says what may
            be done.
        """
        require_no_others(
            [
                ("with_metadata", with_metadata, True),
                ("export_metadata_json_file", export_metadata_json_file, False),
            ]
        )
        folder, formats = Path(export_dir), formats_of(export_format)
        if kwargs and ExportFormat.TFLITE not in formats:
            raise InputError(f"export({next(iter(kwargs))}=...): belongs to ExportFormat.TFLITE")
        if ExportFormat.TFLITE in formats:
            export_tflite(
                self._exported(),
                folder / tflite_filename,
                self._quantization(quantization_config),
                **{"max_detections": self.model_spec.tflite_max_detections, **kwargs},
            )
        if ExportFormat.SAVED_MODEL in formats:
            export_saved_model(self._exported(), folder / saved_model_filename)
        if ExportFormat.LABEL in formats:
            export_labels(self.labels, folder / label_filename)

    def _quantization(self, wanted: QuantizationConfig | str | None) -> QuantizationConfig | None:
        if isinstance(wanted, str) and wanted == _DEFAULT:
            if self.representative_data is None:
                raise InputError(
                    "export: int8 needs pictures; give ObjectDetector(..., representative_data), "
                    "or quantization_config=None for float32"
                )
            return QuantizationConfig.for_int8(self.representative_data)
        if wanted is None or isinstance(wanted, QuantizationConfig):
            return wanted
        raise InputError(
            f"quantization_config={wanted!r}: a QuantizationConfig, None or {_DEFAULT!r}"
        )

    def _exported(self) -> Exported:
        work = self.run.path / "export" if self.run else temporary_folder()
        return Exported(self._weights(), self.labels, self._validation_data, work)

    def _weights(self) -> str:
        """The run or checkpoint that is evaluated and exported."""
        if self.run is not None:
            return str(self.run.path)
        if self.model_spec.checkpoint in ("auto", "none"):
            raise InputError(
                "not trained yet: call train(), or create(do_train=False) with model_spec.get(..., "
                "checkpoint=RUN)"
            )
        return self.model_spec.checkpoint

    def _predictor(self) -> CheckpointPredictor:
        from ssd.predictor import load_checkpoint_predictor, local_model  # late, as above

        weights = self._weights()
        if self._restored is None or self._restored[0] != weights:
            self._restored = (weights, load_checkpoint_predictor(local_model(weights)))
        return self._restored[1]
