"""The flags of `train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

AUTO: Final = "auto"  # --batch-size: see batch_choice


@dataclass(frozen=True)
class TrainOptions:
    """Flags of the `train` verb; None means "not given"."""

    config: str | None = None
    data: str | None = None
    train_records: list[str] | None = None
    val_records: list[str] | None = None
    label_map: str | None = None
    checkpoint: str = "auto"
    output: str | None = None
    steps: int | None = None
    batch_size: int | Literal["auto"] | None = None
    overrides: tuple[str, ...] = ()
    precision: str = "float32"
    anchors: str = "auto"
    eval_every: int | None = None
    checkpoint_every: int | None = None
    best_metric: str = "AP"
    patience: int | None = None
    min_delta: float = 0.0
    moving_average_decay: float | None = None
    freeze: str | None = None
    seed: int = 0
    deterministic: bool = False
    fresh: bool = False
    batch_norm_statistics: str = "reestimated"

    def stored(self) -> dict[str, Any]:
        """Returns what a run's folder keeps of its flags: its identity, and who chose the batch."""
        return {**self.identity(), "batch_size": self.batch_size}

    def identity(self) -> dict[str, Any]:
        """Returns the flags outside of the config that decide a run's weights."""
        return {
            "seed": self.seed,
            "checkpoint": self.checkpoint,
            "precision": self.precision,
            "batch_norm_statistics": self.batch_norm_statistics,
        }
