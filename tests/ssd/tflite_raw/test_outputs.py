"""Raw files as a predictor sees them; the file is a formula, so that its numbers are known."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd.errors import InputError
from ssd.standard_fields import DetectionFields
from ssd.tflite_predictor import TflitePredictor
from ssd.tflite_raw.outputs import RawOutputs, decoding_of_file

NAMES = ("box_encodings", "scores")
# Two cells side by side, one anchor each: ycenter 0.5, xcenter 0.25 and 0.75.
FACTS = {
    "format": "ssd_raw_detections",
    "version": 1,
    "num_classes": 3,
    "num_anchors": 2,
    "score_threshold": 0.2,
    "iou_threshold": 0.5,
    "max_detections_per_class": 2,
    "max_total_detections": 5,
    "box_encodings": {"scale_factors": [10, 8, 5, 4]},
    "scores": {},
    "anchors": {
        "levels": [
            {
                **{"rows": 1, "columns": 2, "first": [0.5, 0.25], "step": [0, 0.5]},
                "sizes": [[0.5, 0.25]],
            }
        ]
    },
    "labels": ["bolt", "nut", "washer"],
}
RED = np.full((1, 6, 8, 3), (255.0, 0.0, 0.0), np.float32)


class Formula(tf.Module):
    """Scores of anchor 0 are the image's red, green and blue in [0, 1], half of it of anchor 1."""

    def __init__(self, names: tuple[str, str]) -> None:
        super().__init__()

        @tf.function(input_signature=[tf.TensorSpec([1, 6, 8, 3], tf.float32, name="image")])
        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            mean = tf.reduce_mean(image, axis=[1, 2]) / 2 + 0.5  # [1, 3]
            scores = tf.stack([mean, mean / 2], axis=1)  # [1, 2, 3]
            # ty = 1 of anchor 0: 1 / 10 of its height down.
            encodings = tf.constant([[[1.0, 0, 0, 0], [0, 0, 0, 0]]]) + 0 * scores[..., :1]
            return dict(zip(names, (encodings, scores), strict=True))

        self.run = run


def made(folder: Path, names: tuple[str, str] = NAMES) -> bytes:
    module = Formula(names)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.run})
    return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()


@pytest.fixture(scope="module")
def formula(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("formula"))


def raw_file(path: Path, data: bytes, facts: object = FACTS) -> Path:
    path.write_bytes(data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("decoding.json", facts if isinstance(facts, str) else json.dumps(facts))
    return path


def test_detections_of_a_raw_file(formula, tmp_path):
    predictor = TflitePredictor(raw_file(tmp_path / "m.tflite", formula))
    assert predictor.image_size == (6, 8)
    assert predictor.label_map is not None
    assert predictor.label_map.display_names == ("bolt", "nut", "washer")
    grey = np.full((1, 6, 8, 3), (0.0, 96.9, 76.5), np.float32)
    found = predictor(np.concatenate([RED, grey]))
    # Red: 1 and 0.5. Grey: green 0.38 and 0.19, blue 0.3 and 0.15; only more than 0.2 passes.
    assert found[DetectionFields.detection_scores].shape == (2, 5)
    assert found[DetectionFields.num_detections][0] == 2
    np.testing.assert_allclose(
        found[DetectionFields.detection_scores][:, :2], [[1, 0.5], [0.38, 0.3]], atol=1e-6
    )
    classes = found[DetectionFields.detection_classes]
    assert classes[:, :2].tolist() == [[1, 1], [2, 3]]  # ids
    assert classes.dtype == found[DetectionFields.num_detections].dtype == np.int64
    # Anchor 0: 0.25 to 0.75, down by 0.1 * 0.5; anchor 1 as it is.
    np.testing.assert_allclose(
        found[DetectionFields.detection_boxes][0, :3],
        [[0.3, 0.125, 0.8, 0.375], [0.25, 0.625, 0.75, 0.875], [0, 0, 0, 0]],
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "names",
    [pytest.param(("a", "b"), id="sorted"), pytest.param(("z", "y"), id="the other way round")],
)
def test_outputs_without_their_names_are_found_by_shape(tmp_path, names):
    path = raw_file(tmp_path / "m.tflite", made(tmp_path / "saved", names))
    found = TflitePredictor(path)(RED)
    assert found[DetectionFields.num_detections].tolist() == [2]


class TwoAlike:
    """An interpreter whose outputs have no names to go by, and four classes."""

    def get_output_details(self) -> list[dict]:
        details = {"shape": np.array([1, 2, 4]), "quantization": (0.0, 0)}
        return [{"name": f"output_{n}", "index": n, **details} for n in range(2)]

    def get_signature_list(self) -> dict:
        return {}

    def get_signature_runner(self, name: str) -> None:
        raise AssertionError(f"there is no {name}")


def test_shapes_that_do_not_tell(tmp_path):
    path = tmp_path / "m_decoding.json"
    path.write_text(json.dumps(FACTS | {"num_classes": 4}))
    decoding = decoding_of_file(path)
    assert decoding is not None
    with pytest.raises(
        InputError, match=r"m: gives output_0 \[1, 2, 4\], output_1 \[1, 2, 4\], but"
    ):
        RawOutputs("m", TwoAlike(), decoding)


def test_the_decoding_beside_the_file(formula, tmp_path):
    (tmp_path / "m.tflite").write_bytes(formula)
    (tmp_path / "m_decoding.json").write_text(json.dumps(FACTS))
    found = TflitePredictor(tmp_path / "m.tflite")(RED)
    assert found[DetectionFields.num_detections].tolist() == [2]


def test_a_file_that_is_not_raw(formula, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(formula)
    assert decoding_of_file(path) is None
    with pytest.raises(InputError, match=r"m\.tflite: gives .*or a decoding\.json in the file"):
        TflitePredictor(path)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        pytest.param(
            "{", r"m\.tflite: decoding\.json in it or beside it is unusable", id="no JSON"
        ),
        pytest.param(
            FACTS | {"num_classes": 4},
            r"m\.tflite: gives .*\[1, 2, 4\].* of box_encodings \[1, 2, 4\] and scores \[1, 2, 4\]",
            id="of another model",
        ),
    ],
)
def test_unusable_decodings(formula, tmp_path, facts, message):
    path = raw_file(tmp_path / "m.tflite", formula, facts)
    with pytest.raises(InputError, match=message):
        TflitePredictor(path)
