"""Event files, read back as TensorBoard reads them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.data import provider
from tensorboard.plugins.pr_curve.pr_curves_plugin import PrCurvesPlugin

from ssd.training.event_file import EventFile, image, pr_curve, scalar


@pytest.fixture
def read_back(tmp_path: Path):
    """() -> the provider of data that TensorBoard's plugins ask."""

    def read() -> data_provider.MultiplexerDataProvider:
        multiplexer = plugin_event_multiplexer.EventMultiplexer()
        multiplexer.AddRun(str(tmp_path), ".")
        multiplexer.Reload()
        return data_provider.MultiplexerDataProvider(multiplexer, str(tmp_path))

    return read


def points(found: data_provider.MultiplexerDataProvider, tag: str) -> list[tuple[int, float]]:
    series = found.read_scalars(
        RequestContext(),
        experiment_id="",
        plugin_name="scalars",
        downsample=1000,
        run_tag_filter=provider.RunTagFilter(["."], [tag]),
    )
    return [(point.step, round(point.value, 4)) for point in series["."][tag]]


def write(folder: Path, step: int, values: dict[int, float]) -> None:
    file = EventFile(folder, step)
    for at, value in values.items():
        file.add(at, scalar("Loss/total_loss", value), scalar("learning_rate", value / 8))
    file.close()


def test_a_resumed_run_has_one_curve(tmp_path: Path, read_back):
    """Stopped after step 40 was saved but went on to 80; 60 and 80 are done again."""
    write(tmp_path, 0, {20: 2.0, 40: 1.5, 60: 1.25, 80: 1.125})
    write(tmp_path, 40, {60: 1.0, 100: 0.5})
    expected = [(20, 2.0), (40, 1.5), (60, 1.0), (100, 0.5)]
    assert points(read_back(), "Loss/total_loss") == expected
    assert len(list(tmp_path.glob("events.out.tfevents.*.v2"))) == 2
    assert [step for step, _ in points(read_back(), "learning_rate")] == [20, 40, 60, 100]


def test_a_run_that_begins_again_has_one_curve(tmp_path: Path, read_back):
    write(tmp_path, 0, {20: 2.0, 40: 1.5})
    write(tmp_path, 0, {20: 1.0})
    assert points(read_back(), "Loss/total_loss") == [(20, 1.0)]


def test_a_file_that_was_cut_off_is_no_end(tmp_path: Path, read_back):
    write(tmp_path, 0, {20: 2.0, 40: 1.5})
    (cut,) = tmp_path.iterdir()
    cut.write_bytes(cut.read_bytes()[:-11])
    write(tmp_path, 20, {40: 1.0})
    assert points(read_back(), "Loss/total_loss") == [(20, 2.0), (40, 1.0)]


def test_a_clock_set_back_changes_nothing(tmp_path: Path, read_back, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_900_000_000.0)
    write(tmp_path, 0, {20: 2.0, 40: 1.5})
    monkeypatch.setattr("time.time", lambda: 1_500_000_000.0)
    write(tmp_path, 20, {40: 1.0})
    assert points(read_back(), "Loss/total_loss") == [(20, 2.0), (40, 1.0)]


def test_what_is_written_is_there_without_closing(tmp_path: Path, read_back):
    EventFile(tmp_path, 0).add(20, scalar("a", 1.0))
    assert points(read_back(), "a") == [(20, 1.0)]


def test_a_picture(tmp_path: Path, read_back):
    picture = np.full((30, 50, 3), (200, 40, 30), np.uint8)
    EventFile(tmp_path, 0).add(10, image("eval_side_by_side_0_0", picture, "img_7.jpg"))
    found = read_back()
    listed = found.list_blob_sequences(RequestContext(), experiment_id="", plugin_name="images")
    assert listed["."]["eval_side_by_side_0_0"].description == "img_7.jpg"
    series = found.read_blob_sequences(
        RequestContext(),
        experiment_id="",
        plugin_name="images",
        downsample=10,
        run_tag_filter=provider.RunTagFilter(["."], ["eval_side_by_side_0_0"]),
    )
    (datum,) = series["."]["eval_side_by_side_0_0"]
    # The first two are width and height.
    width, height, shown = (
        found.read_blob(RequestContext(), blob_key=value.blob_key) for value in datum.values
    )
    assert (datum.step, width, height) == (10, b"50", b"30")
    decoded = np.asarray(Image.open(io.BytesIO(shown)))
    assert decoded.shape == (30, 50, 3)
    assert np.abs(decoded.astype(int) - picture).max() <= 3


def test_a_precision_recall_curve(tmp_path: Path, read_back):
    """Of 5 boxes 4, 3 and 1 are hit; of thresholds 0, 0.5 and 1."""
    tag = "PrecisionRecall@.50IOU/nut"
    EventFile(tmp_path, 0).add(30, pr_curve(tag, np.array([4, 3, 1]), np.array([6, 1, 0]), 5))

    class Context:
        data_provider = read_back()
        logdir = str(tmp_path)
        multiplexer = None
        sampling_hints = None

    plugin = PrCurvesPlugin(Context())
    (entry,) = plugin.pr_curves_impl(RequestContext(), "", ["."], tag)["."]
    assert entry["step"] == 30
    assert entry["thresholds"] == pytest.approx([0.0, 0.5, 1.0])
    assert entry["precision"] == pytest.approx([0.4, 0.75, 1.0])
    assert entry["recall"] == pytest.approx([0.8, 0.6, 0.2])
    assert entry["true_positives"] == [4, 3, 1]
    assert entry["false_positives"] == [6, 1, 0]
    assert entry["false_negatives"] == [1, 2, 4]
    assert entry["true_negatives"] == [0, 0, 0]
