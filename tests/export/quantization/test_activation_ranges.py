from __future__ import annotations

import numpy as np
import pytest

from export import flatbuffer
from export.converter import convert_graph
from export.network_graph import NetworkGraph
from export.quantization.activation_ranges import ActivationRanges, observe
from ssd.standard_fields import PredictionFields


@pytest.fixture
def network(small_detector) -> bytes:
    return convert_graph(NetworkGraph(small_detector, gives_logits=True))


def images_of(photos):
    return lambda: iter((photo[np.newaxis] / 127.5 - 1).astype(np.float32) for photo in photos)


def test_extremes_are_those_of_the_network(network, small_detector, photos):
    ranges = observe(network, images_of(photos[:3]))
    given = flatbuffer.signature_outputs(flatbuffer.unpack(network))
    assert ranges.low.shape == ranges.high.shape == (3, len(ranges.tensors))
    for row, photo in enumerate(photos[:3]):
        image = photo[np.newaxis] / 127.5 - 1
        predictions = small_detector.predict(image.astype(np.float32))
        logits = predictions[PredictionFields.class_predictions_with_background].numpy()[..., 1:]
        boxes = predictions[PredictionFields.box_encodings].numpy()
        for values, name in ((logits, "scores"), (boxes, "box_encodings")):
            column = ranges.tensors.tolist().index(given[name])
            assert ranges.low[row, column] == pytest.approx(values.min(), abs=1e-4)
            assert ranges.high[row, column] == pytest.approx(values.max(), abs=1e-4)
        assert ranges.low[row, 0] == pytest.approx(image.min())  # the input comes first
        # 48 anchors: all are among the best 100.
        np.testing.assert_allclose(ranges.box_reach[row], np.abs(boxes[0]).max(axis=0), atol=1e-4)


def made_up(low: list[float], high: list[float]) -> ActivationRanges:
    """One tensor on so many images."""
    columns = (np.array(values, np.float32)[:, np.newaxis] for values in (low, high))
    return ActivationRanges(np.array([0]), *columns, np.ones((len(low), 4), np.float32))


def test_limits_leave_out_the_images_that_reach_furthest():
    # 0..100 in steps of 1: the 97th percentile is 97, the 3rd of the minima -97
    ranges = made_up([-float(n) for n in range(101)], [float(n) for n in range(101)])
    assert [float(limit[0]) for limit in ranges.limits(97.0)] == [-97.0, 97.0]
    assert [float(limit[0]) for limit in ranges.limits(100.0)] == [-100.0, 100.0]


def test_change_is_relative_to_the_width():
    # 50 images reach 0..10, then 50 more 0..20: at the 97th percentile 10 becomes 20
    ranges = made_up([0.0] * 100, [10.0] * 50 + [20.0] * 50)
    assert ranges.change() == pytest.approx(10 / 20)
    assert made_up([0.0] * 100, [10.0] * 100).change() == 0


def test_converged_ranges_need_no_more_images(network, photos):
    taken = []

    def images():
        for number in range(400):
            taken.append(number)
            yield (photos[number % 4][np.newaxis] / 127.5 - 1).astype(np.float32)

    ranges = observe(network, images, until_converged=True)
    assert len(ranges.low) == len(taken) == 100  # the same four again: nothing moves any more
    assert len(observe(network, images_of(photos[:7]), until_converged=True).low) == 7
