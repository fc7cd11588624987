"""From epochs to steps, and a learning rate of one's own put into a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ssd.errors import InputError
from ssd.model_maker.specs import EfficientDetSpec

# The kit's learning rates were measured with it; Model Maker's default of 64 was for its own.
BATCH_SIZE, MODEL_MAKERS_BATCH_SIZE = 16, 64
_COSINE = "cosine_decay_learning_rate"


@dataclass(frozen=True)
class Length:
    """How long a training is.

    Attributes:
      steps: of `batch_size` images each.
      note: the same for the screen.
    """

    steps: int
    batch_size: int
    note: str


def length_of(
    spec: EfficientDetSpec, num_images: int, epochs: int | None, batch_size: int | None
) -> Length:
    """Returns the length that arguments of `create`, else the specification, ask for.

    Raises:
      InputError: less than one epoch, or a batch that is larger than the data, as in Model Maker.
    """
    epochs = spec.epochs if epochs is None else epochs
    batch_size = spec.batch_size if batch_size is None else batch_size
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{name}={value}: 1 or more was expected")
    if batch_size is not None and batch_size > num_images:
        raise InputError(
            f"batch_size={batch_size}, but train_data has {num_images} pictures; give a smaller one"
        )
    chosen = batch_size or min(BATCH_SIZE, num_images)
    steps = max(1, round(epochs * num_images / chosen))
    note = f"{epochs} epochs of {num_images} pictures: {steps} steps of {chosen}"
    if batch_size is None:
        note += (
            f"; nobody gave batch_size, and {BATCH_SIZE} is what the learning rates here were "
            f"measured with (Model Maker: {MODEL_MAKERS_BATCH_SIZE})"
        )
    return Length(steps, chosen, note)


def with_learning_rate(config: Any, rate: float, length: Length, place: str) -> list[str]:
    """Returns the overrides that give a config this highest learning rate and length.

    Args:
      config: TrainEvalPipelineConfig message, with a cosine schedule; warm-up keeps its share of
        the length and of the rate.
      rate: of a step of `length.batch_size` images.
      place: the config's name, for messages.

    Raises:
      InputError: a schedule of another kind.
    """
    kind = config.train_config.optimizer.WhichOneof("optimizer")
    rates = getattr(config.train_config.optimizer, kind).learning_rate
    found = rates.WhichOneof("learning_rate")
    if found != _COSINE:
        raise InputError(
            f"learning_rate={rate}: {place} has {found}; change it with "
            f"overrides=['train_config.optimizer.{kind}.learning_rate...']"
        )
    own = getattr(rates, _COSINE)
    field = f"train_config.optimizer.{kind}.learning_rate.{_COSINE}"
    warmup = int(own.warmup_steps * length.steps / own.total_steps)
    warmup_rate = rate * own.warmup_learning_rate / own.learning_rate_base
    return [
        f"train_config.batch_size={length.batch_size}",
        f"train_config.num_steps={length.steps}",
        f"{field}.total_steps={length.steps}",
        f"{field}.warmup_steps={warmup}",
        f"{field}.learning_rate_base={rate!r}",
        f"{field}.warmup_learning_rate={warmup_rate!r}",
    ]
