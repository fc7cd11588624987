"""Evaluation on the way: the weights to score, the best of them kept, and when there is no hope."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from ssd import checkpoint
from ssd.checkpoint_folder import numbers
from ssd.data.record_index import RecordIndex, index_records
from ssd.evaluate import evaluate
from ssd.evaluated_image import EvaluatedImage
from ssd.label_map import LabelMap
from ssd.metrics_sets import DetectionMetrics, MetricsSettings
from ssd.models.detector import Detector
from ssd.predictor import CheckpointPredictor
from ssd.training.batch_norm_statistics import Statistics, StatisticsEstimator
from ssd.training.learner import Learner
from ssd.training.metrics_log import MetricsLog
from ssd.training.options import TrainOptions
from ssd.training.plan import Plan
from ssd.training.train_step import Batch

_STATISTICS_IMAGES = 128  # for batch-norm statistics; docs/results.md measures how many it takes
_PROBED_BATCHES = 2  # whose loss with other statistics is compared


class RunEvaluation:
    """Scores the weights of a run again and again, and keeps the best ones.

    Args:
      plan, options: of the run.
      learner: its weights are scored: moving averages where the config says so.
      statistics_batches: () -> training batches for batch-norm statistics; the same at every call,
        so that evaluations compare weights only.
      step: where the run stands.
      check: called before every batch of images; what it raises ends the evaluation.

    Attributes:
      metrics: all evaluations of the run.
      images: those of the newest evaluation.
    """

    def __init__(
        self,
        plan: Plan,
        options: TrainOptions,
        learner: Learner,
        *,
        statistics_batches: Callable[[], Iterator[Batch]],
        step: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan, self._options, self._learner = plan, options, learner
        self._statistics_batches = statistics_batches
        self._settings = MetricsSettings.from_config(plan.config.eval_config)
        # What they ask for that is not there is said before training, not after it.
        DetectionMetrics(plan.label_map, self._settings)
        self._estimator = StatisticsEstimator(learner.detector)
        self._predictor = _Interruptible(learner.detector, plan.label_map, check)
        readers = plan.config.eval_input_reader
        self._records = [p for r in readers for p in r.tf_record_input_reader.input_path]
        self._every = max(readers[0].sample_1_of_n_examples, 1) if readers else 1
        self.images: list[EvaluatedImage] = []
        self.metrics = MetricsLog(
            plan.run.metrics, step, metric=options.best_metric, min_delta=options.min_delta
        )

    def evaluate(self, step: int) -> dict[str, Any]:
        """Returns the metrics of the current weights, after `best/` and metrics.jsonl have them."""
        self.images = []
        with self._learner.evaluated_weights():
            statistics, gap = self._estimate()
            with self._estimator.swapped_in(statistics):
                summary: dict[str, Any] = {"AP": None}
                if self._records:
                    summary = evaluate(
                        self._predictor,
                        self._records,
                        self._plan.label_map,
                        every=self._every,
                        settings=self._settings,
                        observer=self.images.append,
                    )
                if self.metrics.is_best(summary) or self._is_best_lost(step):
                    checkpoint.save(self._plan.run.best, self._learner.detector, step, keep=1)
        kind = self._options.batch_norm_statistics
        self.metrics.append({"step": step, **summary, "batch_norm_statistics": kind, **gap})
        if self._records:
            shown = dict.fromkeys(("AP", "AP50", "AP75", self._options.best_metric))
            text = "  ".join(f"{name} {fraction(summary[name])}" for name in shown)
            tqdm.write(f"step {step}: {text}")
        return summary

    def records(self) -> RecordIndex | None:
        """Returns the records that are evaluated, in the order of `images`; None for none."""
        return index_records(self._records).every(self._every) if self._records else None

    def is_patience_over(self) -> bool:
        """Whether the run should end here, for want of progress; says so."""
        patience, since_best = self._options.patience, self.metrics.since_best
        if not patience or since_best < patience:
            return False
        margin = f" by more than {self._options.min_delta:g}" if self._options.min_delta else ""
        tqdm.write(
            f"stopping early: no better {self._options.best_metric}{margin} in {since_best} "
            "evaluations"
        )
        return True

    def _is_best_lost(self, step: int) -> bool:
        """See `MetricsLog.is_best_lost`; says so."""
        folder = self._plan.run.best
        if not self.metrics.is_best_lost(numbers(folder), step):
            return False
        tqdm.write(
            f"{folder}/: the weights of step {self.metrics.best_step} are gone: {step} it is"
        )
        return True

    def _estimate(self) -> tuple[Statistics | None, dict[str, Any]]:
        """Re-estimated statistics, and what they change; None where the layers' own are to stay."""
        if self._options.batch_norm_statistics == "moving" or not self._estimator.is_needed:
            return None, {}
        probes: list[Batch] = []

        def watched() -> Iterator[Batch]:
            count = max(1, _STATISTICS_IMAGES // self._plan.config.train_config.batch_size)
            for batch in itertools.islice(self._statistics_batches(), count):
                if len(probes) < _PROBED_BATCHES:
                    probes.append(batch)
                yield batch

        estimate = self._estimator.estimate(watched())
        losses = {
            "own": float(np.mean(estimate.losses[: len(probes)])),
            "moving": self._estimator.loss(probes),
        }
        with self._estimator.swapped_in(estimate.statistics):
            losses["reestimated"] = self._estimator.loss(probes)
        tqdm.write(
            "loss of training images, by batch-norm statistics: "
            + ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        )
        return estimate.statistics, {"loss_by_batch_norm_statistics": losses}


class _Interruptible(CheckpointPredictor):
    def __init__(self, detector: Detector, label_map: LabelMap, check: Callable[[], None]) -> None:
        super().__init__(detector, label_map)
        self._check = check

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self._check()
        return super().__call__(images)


def fraction(value: float | None) -> str:
    """Returns "0.123", or "n/a" for None."""
    return "n/a" if value is None else f"{value:.3f}"
