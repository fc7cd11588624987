"""A detector with all that changes it in training, as a config describes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ssd import checkpoint
from ssd.models.builder import build_detector
from ssd.models.feature_extractor_builder import EXTRACTOR_TYPES
from ssd.optimizer import build_optimizer, rate_note
from ssd.optimizers.moving_average import MovingAverages
from ssd.training.devices import ONE_DEVICE, Devices
from ssd.training.loss_scale import LossScale
from ssd.training.precision import FLOAT32, MIXED_FLOAT16, precision_line
from ssd.training.train_step import make_train_step
from ssd.training.trainable import choose_trained, frozen_line


class Learner:
    """Weights, optimizer, moving averages and the step that moves them.

    Args:
      config: TrainEvalPipelineConfig.
      seed: of the initial weights, and of what is drawn in the steps.
      precision: that the network trains in; see `precision.computing_in`.
      devices: that a step runs on.

    Attributes:
      detector: freshly built.
      train_step: see `train_step.make_train_step`.
      notes: what a person should know about how it learns, in lines for the screen.
    """

    def __init__(
        self,
        config: Any,
        *,
        seed: int,
        precision: str = FLOAT32,
        devices: Devices = ONE_DEVICE,
    ) -> None:
        train_config = config.train_config
        is_tf1 = EXTRACTOR_TYPES[config.model.ssd.feature_extractor.type].is_tf1
        with devices.scope():
            self.detector = build_detector(config.model, seed=seed)
            self._optimizer = build_optimizer(train_config.optimizer, is_tf1=is_tf1)
            variables = self.detector.network.trainable_variables
            self._optimizer.build(variables)
            self._averages = None
            if train_config.optimizer.use_moving_average:
                decay = train_config.optimizer.moving_average_decay
                self._averages = MovingAverages([v.value for v in variables], decay)
            self._loss_scale = LossScale() if precision == MIXED_FLOAT16 else None
        self._evaluates_averages = evaluates_averages(config)
        trained = choose_trained(
            self.detector,
            update_trainable_variables=train_config.update_trainable_variables,
            freeze_variables=train_config.freeze_variables,
        )
        self.train_step = make_train_step(
            self.detector,
            self._optimizer,
            trained=trained,
            averages=self._averages,
            gradient_clipping_by_norm=train_config.gradient_clipping_by_norm,
            bias_grad_multiplier=train_config.bias_grad_multiplier,
            add_regularization_loss=train_config.add_regularization_loss,
            precision=precision,
            loss_scale=self._loss_scale,
            seed=seed,
            devices=devices,
        )
        self.notes = [rate_note(train_config.optimizer, is_tf1=is_tf1), _averages_note(config)]
        self.notes.append(precision_line(precision))
        if train_config.update_trainable_variables or train_config.freeze_variables:
            self.notes.append(frozen_line(self.detector, trained))
        self.notes = [note for note in self.notes if note]

    @property
    def step(self) -> int:
        """Updates so far."""
        return int(self._optimizer.iterations.numpy())

    def save(self, folder: str | os.PathLike[str], step: int) -> str:
        """Writes a training checkpoint, see `checkpoint.save`; returns its prefix."""
        return checkpoint.save(
            folder,
            self.detector,
            step,
            self._optimizer,
            self._averages,
            loss_scale=self._loss_scale.state if self._loss_scale else None,
        )

    def restore(self, path: str | os.PathLike[str]) -> int:
        """Goes on from a training checkpoint, see `checkpoint.restore_training`; its step."""
        return checkpoint.restore_training(
            self.detector,
            self._optimizer,
            path,
            self._averages,
            loss_scale=self._loss_scale.state if self._loss_scale else None,
        )

    @contextmanager
    def evaluated_weights(self) -> Iterator[None]:
        """Inside the block the detector has the weights to evaluate and to keep as the best."""
        if self._averages is None or not self._evaluates_averages:
            yield
            return
        with self._averages.swapped_in():
            yield


def evaluates_averages(config: Any) -> bool:
    """Returns whether evaluation, best weights and export take the moving averages.

    They do where averages are kept, unless `eval_config.use_moving_averages` is set to false.
    """
    is_refused = config.eval_config.HasField("use_moving_averages") and not (
        config.eval_config.use_moving_averages
    )
    return bool(config.train_config.optimizer.use_moving_average) and not is_refused


def _averages_note(config: Any) -> str:
    optimizer = config.train_config.optimizer
    if not optimizer.use_moving_average:
        return ""
    kept = f"moving averages of the weights are kept (decay {optimizer.moving_average_decay:.7g})"
    if evaluates_averages(config):
        return f"{kept}: evaluation, best/ and exports use them"
    return (
        f"{kept} in checkpoints only: evaluation, best/ and exports use the weights themselves, as "
        "eval_config.use_moving_averages: false says"
    )
