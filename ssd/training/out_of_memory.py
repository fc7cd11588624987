"""What a person is told when memory runs out, or is about to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from ssd.errors import InputError
from ssd.training.batch_choice import candidates, gigabytes, largest_fitting
from ssd.training.devices import Devices
from ssd.training.free_memory import free_bytes
from ssd.training.learner import Learner
from ssd.training.memory import StepMemory, step_memory
from ssd.training.plan import Plan

# Sides of a smaller input are multiples of it, as feature pyramids need, and not below two of it.
_SIDE_MULTIPLE = 32


@dataclass(frozen=True)
class MemoryAdvice:
    """The memory of one run in numbers.

    Attributes:
      config: TrainEvalPipelineConfig.
      checkpoints: folder of the run's checkpoints.
      image_size: (H, W) of the network's input; None where images have their own.
      memory: what a step takes; None where that is not known.
      free: bytes before the first step; None where that is not known.
      num_replicas: that share a batch in equal parts.
    """

    config: Any
    checkpoints: Path
    image_size: tuple[int, int] | None
    memory: StepMemory | None
    free: float | None
    num_replicas: int = 1

    @classmethod
    def of(
        cls, plan: Plan, learner: Learner, batch_spec: dict[str, tf.TensorSpec], devices: Devices
    ) -> MemoryAdvice:
        """Returns the advice for a run before its first step; prints `warning`, if any.

        Args:
          plan, learner, devices: of the run.
          batch_spec: `element_spec` of its batches; the step is traced for it.
        """
        replicas = devices.num_replicas
        memory = step_memory(learner, batch_spec, num_replicas=replicas)
        size, folder = learner.detector.image_size, plan.run.checkpoints
        advice = cls(plan.config, folder, size, memory, free_bytes(), replicas)
        if warning := advice.warning():
            print(warning, flush=True)
        return advice

    def warning(self) -> str:
        """Returns a line about a batch that is too large by estimate; "" for any other."""
        if self.memory is None or self.free is None or self._needed <= self.free:
            return ""
        return (
            f"WARNING: {self._batches()} take {self._numbers()}; a system without memory ends "
            f"the run without a word. {self._smaller()}"
        )

    @contextmanager
    def given(self, step: int) -> Iterator[None]:
        """Running out of memory inside the block, in this step, is an InputError with numbers."""
        try:
            yield
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            numbers = f" ({self._numbers()})" if self._numbers() else ""
            kept = any(self.checkpoints.glob("ckpt-*.index"))
            raise InputError(
                f"step {step}: out of memory with {self._batches()}{numbers}; {self._smaller()}"
                + ("; the last checkpoint is kept" if kept else "")
            ) from error

    @property
    def _batch_size(self) -> int:
        return int(self.config.train_config.batch_size)

    @property
    def _needed(self) -> float:
        return self.memory.of(self._batch_size) if self.memory else 0.0

    def _batches(self) -> str:
        size = f" at {self.image_size[0]}x{self.image_size[1]}" if self.image_size else ""
        return f"batches of {self._batch_size}{size}"

    def _numbers(self) -> str:
        parts = []
        if self.memory is not None:
            parts.append(f"about {gigabytes(self._needed)} by estimate")
        if self.free is not None:
            parts.append(f"{gigabytes(self.free)} free")
        return ", ".join(parts)

    def _smaller(self) -> str:
        """What would take less, and how much."""
        choices = []
        replicas = self.num_replicas
        smaller = [n for n in candidates(self._batch_size)[1:] if n % replicas == 0]
        if smaller:
            # It did not fit: at most the next one down, whatever the estimate says.
            number = smaller[0]
            if self.memory is not None and self.free is not None:
                fitting = largest_fitting(self.memory, number, self.free, num_replicas=replicas)
                number = fitting or smaller[-1]
            takes = f" would take {gigabytes(self.memory.of(number))}" if self.memory else ""
            choices.append(f"--batch-size {number}{takes}")
        choices.append(self._smaller_images())
        return ", or ".join(choices)

    def _smaller_images(self) -> str:
        resizer = self.config.model.ssd.image_resizer
        if resizer.WhichOneof("image_resizer_oneof") != "fixed_shape_resizer":
            return "a smaller model.ssd.image_resizer"
        settings = [
            f"--set model.ssd.image_resizer.fixed_shape_resizer.{name}={_half(side)}"
            for name, side in (
                ("height", resizer.fixed_shape_resizer.height),
                ("width", resizer.fixed_shape_resizer.width),
            )
        ]
        return f"{' '.join(settings)} about a quarter of it"


def _half(side: int) -> int:
    return max(side // 2 // _SIDE_MULTIPLE, 2) * _SIDE_MULTIPLE
