"""EfficientDetSpec: which model answers a name, and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssd.errors import InputError
from ssd.model_maker.hparams import DEFAULT_FREEZE, Hparams
from ssd.shipped_configs import DEFAULT_CONFIG, SHIPPED_CONFIGS, find_config

_640 = "ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8"
# Name -> the config whose input size is nearest, and the side of EfficientDet's own input.
LITE_MODELS: dict[str, tuple[str, int]] = {
    "efficientdet_lite0": (DEFAULT_CONFIG, 320),
    "efficientdet_lite1": (DEFAULT_CONFIG, 384),
    "efficientdet_lite2": (DEFAULT_CONFIG, 448),
    "efficientdet_lite3": (_640, 512),
    "efficientdet_lite4": (_640, 640),
}
# In their hub modules lie EfficientDet's weights, which no SSD can take.
_HUB_MODULES = ("https://tfhub.dev/tensorflow/efficientdet/", "https://www.kaggle.com/")
# Arguments that have one value here, and why.
_FIXED = {
    "tpu": "training on a TPU is not done here",
    "gcp_project": "training on a TPU is not done here",
    "tpu_zone": "training on a TPU is not done here",
    "profile": "`tensorboard --logdir RUN` shows what is recorded",
    "debug": "a step runs as one compiled function",
    "use_xla": "XLA is slower with these models on a CPU",
}


class EfficientDetSpec:
    """The specification of a model; nothing is built or fetched before `create`.

    Args:
      model_name: efficientdet_lite0 to 4 (a dash does as well), answered by this kit's SSD model of
        that input size, which is said; the name of a config of this kit; or a pipeline.config.
      uri: EfficientDet's own hub module, for which `checkpoint` stands here; else empty.
      hparams: dict, "name=value,..." or a YAML file; see `Hparams`.
      model_dir: the run's folder. None: runs/<config>-<date>.
      epochs: how often training goes through the data.
      batch_size: images of a step; None: 16, the number that the learning rates were measured with
        (Model Maker: 64).
      steps_per_execution: 1; more would change nothing but speed, and is said to do nothing.
      moving_average_decay: of averages of the weights; 0: none.
      var_freeze_expr: what is not trained without train_whole_model: the backbone.
      tflite_max_detections: rows of a .tflite's outputs.
      strategy: None or "gpus"; all GPUs are used either way.
      tpu, gcp_project, tpu_zone, use_xla, profile, debug: not done here; refused.
      tf_random_seed: of weights, order and augmentation.
      verbose: any; training says the same things.
      checkpoint: what training starts from: "auto" (the zoo's, if it can be had), "none" (random
        weights), a run, a zoo folder, archive or name, or a checkpoint prefix.
      overrides: `section.field=value` changes to the config, as `train --set` takes them.

    Attributes:
      config: the Hparams; `spec.config.learning_rate = 0.01` is obeyed by the next training.
      config_path: the pipeline.config that is the basis.

    Raises:
      InputError: no such model, or an argument that would be ignored.
    """

    def __init__(
        self,
        model_name: str,
        uri: str = "",
        hparams: Mapping[str, Any] | str = "",
        model_dir: str | None = None,
        epochs: int = 50,
        batch_size: int | None = None,
        steps_per_execution: int = 1,
        moving_average_decay: float = 0,
        var_freeze_expr: str = DEFAULT_FREEZE,
        tflite_max_detections: int = 25,
        strategy: str | None = None,
        tpu: str | None = None,
        gcp_project: str | None = None,
        tpu_zone: str | None = None,
        use_xla: bool = False,
        profile: bool | None = False,
        debug: bool = False,
        tf_random_seed: int = 111111,
        verbose: int = 0,
        *,
        checkpoint: str = "auto",
        overrides: Sequence[str] = (),
        **unknown: Any,
    ) -> None:
        _refuse_unknown(unknown)
        _refuse_set(
            tpu=tpu,
            gcp_project=gcp_project,
            tpu_zone=tpu_zone,
            use_xla=use_xla,
            profile=profile,
            debug=debug,
        )
        if strategy not in (None, "gpus"):
            raise InputError(f"strategy={strategy!r}: None or 'gpus' was expected")
        if uri and not uri.startswith(_HUB_MODULES):
            raise InputError(
                f"uri={uri!r}: no SSD model starts from it; checkpoint= takes a run, a zoo folder, "
                "archive or name, or a checkpoint prefix"
            )
        if tflite_max_detections < 1:
            raise InputError(f"tflite_max_detections={tflite_max_detections}: 1 or more, please")
        self.model_name, self.uri, self.model_dir = model_name, uri, model_dir
        self.tflite_max_detections = tflite_max_detections
        self.strategy, self.verbose, self.tf_random_seed = strategy, verbose, tf_random_seed
        self.checkpoint, self.overrides = str(checkpoint), tuple(overrides)
        self.config = Hparams(
            num_epochs=epochs,
            batch_size=batch_size,
            moving_average_decay=moving_average_decay,
            var_freeze_expr=var_freeze_expr,
        )
        self.config_path, note = self._choose_model()
        self.config.override(hparams)
        if note:
            print(note, flush=True)
        if steps_per_execution != 1:
            print("steps_per_execution: does nothing here; every step is run by itself", flush=True)

    @property
    def epochs(self) -> int:
        """How often training goes through the data."""
        return self.config.num_epochs

    @property
    def batch_size(self) -> int | None:
        """Images of a step; None where nobody has chosen."""
        return self.config.batch_size

    def config_overrides(self, num_classes: int) -> list[str]:
        """Returns the `section.field=value` changes that make the config this model's."""
        changes = [f"model.ssd.num_classes={num_classes}"]
        if self.config.image_size:
            height, width = self.config.image_size
            field = "model.ssd.image_resizer.fixed_shape_resizer"
            changes += [f"{field}.height={height}", f"{field}.width={width}"]
        if self.config.max_instances_per_image != 100:
            boxes = self.config.max_instances_per_image
            changes.append(f"train_input_reader.max_number_of_boxes={boxes}")
        return [*changes, *self.overrides]

    def _choose_model(self) -> tuple[Path, str]:
        """The config of the model's name, and what is taken for what; sets the image size."""
        name = self.model_name.replace("-lite", "_lite")
        if name not in LITE_MODELS:
            return _own_config(self.model_name), ""
        config, side = LITE_MODELS[name]
        self.config.image_size = (side, side)
        return find_config(config), (
            f"{self.model_name}: {config} at {side}x{side} is taken, since this kit has no "
            "EfficientDet; it is the SSD model of the nearest input size"
        )


def _own_config(name: str) -> Path:
    try:
        return find_config(name)
    except InputError:
        shipped = ", ".join(sorted(path.stem for path in SHIPPED_CONFIGS.glob("*.config")))
        raise InputError(
            f"model_spec {name!r}: efficientdet_lite0 to efficientdet_lite4, a pipeline.config or "
            f"a config of this kit was expected ({shipped})"
        ) from None


def _refuse_set(**given: Any) -> None:
    for name, value in given.items():
        if value:
            raise InputError(f"{name}={value!r}: {_FIXED[name]}; leave it out")


def _refuse_unknown(unknown: Mapping[str, Any]) -> None:
    for name, value in unknown.items():
        raise InputError(
            f"{name}={value!r}: no argument of EfficientDetSpec; hyperparameters go into hparams=, "
            "quantization_config= into export()"
        )
