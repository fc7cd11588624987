"""A small detector to export: two convolutions and two heads, seeded."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssd.core.box_coder import FasterRcnnBoxCoder
from ssd.core.image_resizer import FixedShapeResizer
from ssd.models.detector import Detector
from ssd.models.normalization import FusedBatchNormalization
from ssd.models.post_processor import NmsSettings, PostProcessor
from ssd.models.ssd_loss import SsdLoss
from ssd.standard_fields import PredictionFields

NUM_CLASSES = 3
IMAGE_SIZE = (64, 96)
# Stride 16: 4 x 6 cells, two anchors each.
_CELLS, _PER_CELL = (4, 6), 2


class SmallNetwork(keras.Model):
    """float32 [B, 64, 96, 3] -> predictions of 48 anchors."""

    def __init__(self) -> None:
        super().__init__(name="small")
        wide = keras.initializers.RandomNormal(stddev=1.2, seed=5)
        # Equal heads would be made one by the converter.
        other = keras.initializers.RandomNormal(stddev=1.2, seed=6)
        self.stem = keras.layers.Conv2D(12, 3, strides=4, padding="same", use_bias=False)
        self.batch_norm = FusedBatchNormalization()
        self.depthwise = keras.layers.DepthwiseConv2D(
            3, strides=4, padding="same", depthwise_initializer=wide
        )
        self.box_head = keras.layers.Conv2D(_PER_CELL * 4, 1, kernel_initializer=wide)
        self.class_head = keras.layers.Conv2D(
            _PER_CELL * (NUM_CLASSES + 1), 1, kernel_initializer=other
        )

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, seed: tf.Tensor | None = None
    ) -> dict[str, object]:
        x = tf.nn.relu6(self.batch_norm(self.stem(inputs), training=training))
        x = tf.nn.relu6(self.depthwise(x))
        rows = _CELLS[0] * _CELLS[1] * _PER_CELL
        return {
            PredictionFields.box_encodings: tf.reshape(self.box_head(x), [-1, rows, 4]),
            PredictionFields.class_predictions_with_background: tf.reshape(
                self.class_head(x), [-1, rows, NUM_CLASSES + 1]
            ),
            PredictionFields.feature_maps: [x],
        }


def _not_trained(*_: object) -> object:
    raise AssertionError("nothing is trained here")


class CellAnchors:
    """float32 [48, 4]: cells row by row, in each one of 0.3 x 0.2 and one of 0.25 x 0.4."""

    def num_anchors_per_location(self, num_feature_maps: int) -> list[int]:
        return [_PER_CELL] * num_feature_maps

    def generate(self, feature_map_shapes: object, image_size: object) -> np.ndarray:
        return _anchors()


def _anchors() -> np.ndarray:
    rows, columns = np.mgrid[0 : _CELLS[0], 0 : _CELLS[1]]
    centers = np.stack([(rows + 0.5) / _CELLS[0], (columns + 0.5) / _CELLS[1]], axis=-1)
    halves = np.array([[0.15, 0.1], [0.125, 0.2]])
    centers = centers[:, :, np.newaxis]  # [4, 6, 1, 2]
    return (
        np.concatenate([centers - halves, centers + halves], -1).reshape(-1, 4).astype(np.float32)
    )


def _build() -> Detector:
    keras.utils.set_random_seed(11)
    network = SmallNetwork()
    network(keras.Input((*IMAGE_SIZE, 3), batch_size=1))
    return Detector(
        network,
        anchor_generator=CellAnchors(),
        num_classes=NUM_CLASSES,
        image_resizer=FixedShapeResizer(*IMAGE_SIZE),
        box_coder=FasterRcnnBoxCoder((10.0, 8.0, 5.0, 4.0)),
        assign_targets=_not_trained,
        unmatched_class_label=[0.0] * (NUM_CLASSES + 1),
        loss=SsdLoss(_not_trained, _not_trained),
        post_processor=PostProcessor(NmsSettings(0.1, 0.6, 20, 25)),
        feature_map_shapes=[_CELLS],
    )


@pytest.fixture(scope="session")
def _shared_small_detector() -> tuple[Detector, list[np.ndarray]]:
    detector = _build()
    return detector, [np.array(variable) for variable in detector.network.variables]


@pytest.fixture
def small_detector(
    _shared_small_detector: tuple[Detector, list[np.ndarray]],
) -> Iterator[Detector]:
    """64x96, three classes, 48 anchors, four different box code scales; set back after use."""
    detector, initial = _shared_small_detector
    yield detector
    for variable, value in zip(detector.network.variables, initial, strict=True):
        variable.assign(value)


@pytest.fixture(scope="session")
def photos() -> np.ndarray:
    """float32 [40, 64, 96, 3], 0..255: smooth, no two alike."""
    rng = np.random.default_rng(3)
    coarse = rng.uniform(0, 255, (40, 8, 12, 3)).astype(np.float32)
    return tf.image.resize(coarse, IMAGE_SIZE).numpy()
