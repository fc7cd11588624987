"""What an evaluation on the way does to `best/`, to metrics.jsonl and to the network itself."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ssd import checkpoint
from ssd import label_map as label_maps
from ssd.data import input_pipeline
from ssd.data.record_index import index_records
from ssd.errors import InputError
from ssd.run_folder import RunFolder
from ssd.training import run_evaluation
from ssd.training.options import TrainOptions
from ssd.training.run_evaluation import RunEvaluation


@pytest.fixture
def make(tiny_config, tiny_detector, tiny_data: Path, tmp_path: Path, monkeypatch):
    """(AP of each evaluation, flags) -> (RunEvaluation, its run)."""
    labels = label_maps.load(tiny_data / "label_map.pbtxt")
    records = index_records([f"{tiny_data}/train-*.tfrecord"])
    run = RunFolder(tmp_path)
    tiny_config.eval_input_reader[0].tf_record_input_reader.input_path[:] = [
        f"{tiny_data}/val-*.tfrecord"
    ]

    def batches():
        return iter(
            input_pipeline.train_dataset_from_config(
                tiny_config, record_index=records, label_map=labels, seed=1
            )
        )

    def build(values, **flags):
        results = iter([{"AP": ap, "AP50": ap, "AP75": None} for ap in values])
        monkeypatch.setattr(run_evaluation, "evaluate", lambda *a, **k: next(results))
        evaluation = RunEvaluation(
            SimpleNamespace(config=tiny_config, label_map=labels, run=run),
            TrainOptions(**flags),
            SimpleNamespace(detector=tiny_detector, evaluated_weights=nullcontext),
            statistics_batches=batches,
            step=0,
        )
        return evaluation, run

    return build


def best_step(run: RunFolder) -> int:
    (index,) = run.best.glob("*.index")
    return int(index.stem.removeprefix("ckpt-"))


def test_the_best_weights_are_kept(make):
    evaluation, run = make([0.2, 0.5, 0.4, None], batch_norm_statistics="moving", patience=2)
    kept, over = [], []
    for step in (10, 20, 30, 40):
        evaluation.evaluate(step)
        kept.append(best_step(run))
        over.append(evaluation.is_patience_over())
    assert kept == [10, 20, 20, 20]
    assert over == [False, False, False, True]
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [(line["step"], line["AP"]) for line in lines] == [
        (10, 0.2),
        (20, 0.5),
        (30, 0.4),
        (40, None),
    ]
    assert all(line["batch_norm_statistics"] == "moving" for line in lines)


def test_without_patience_it_is_never_over(make):
    evaluation, _ = make([0.5, 0.1, 0.1], batch_norm_statistics="moving")
    for step in (1, 2, 3):
        evaluation.evaluate(step)
    assert not evaluation.is_patience_over()


def test_statistics_are_of_the_moment_and_said(make, tiny_detector, capsys):
    evaluation, run = make([0.3, 0.4])
    before = {key: v.numpy() for key, v in tiny_detector.checkpoint_variables().items()}
    for step in (5, 6):
        evaluation.evaluate(step)
    # The network trains on with its own statistics; best/ has the others.
    for key, variable in tiny_detector.checkpoint_variables().items():
        np.testing.assert_array_equal(variable.numpy(), before[key])
    checkpoint.restore_model(tiny_detector, run.best)
    changed = {
        key
        for key, variable in tiny_detector.checkpoint_variables().items()
        if np.any(variable.numpy() != before[key])
    }
    assert changed
    assert all(key.endswith(("moving_mean", "moving_variance")) for key in changed)
    first, second = (json.loads(line) for line in run.metrics.read_text().splitlines())
    losses = first["loss_by_batch_norm_statistics"]
    assert set(losses) == {"own", "moving", "reestimated"}
    assert all(np.isfinite(list(losses.values())))
    # The same weights and the same images: the same numbers to the last bit.
    assert second["loss_by_batch_norm_statistics"] == losses
    assert "loss of training images, by batch-norm statistics: own " in capsys.readouterr().out


def test_unknown_metrics_are_said_before_training(make, tiny_config):
    tiny_config.eval_config.metrics_set.append("open_images")
    with pytest.raises(InputError, match="metrics_set: 'open_images' is not supported"):
        make([])
