from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd.errors import InputError
from ssd.standard_fields import DetectionFields
from ssd.tflite_file import TfliteFile
from ssd.tflite_metadata import TensorDescription
from ssd.tflite_predictor import TflitePredictor, input_values, label_map_of_lines

COCO = "nuvoton_ssd_mobilenet_v2_fpnlite_0.5_224_{}.tflite"
TV, CHAIR, PERSON = 63, 57, 1


@pytest.fixture
def files(shared: Path) -> Path:
    return shared / "data/tflite_coco"


@pytest.fixture
def photo(shared: Path) -> np.ndarray:
    """float32 [1, 224, 224, 3]: a living room, a television on the left."""
    from PIL import Image

    from ssd.core.image_resizer_numpy import resize_bilinear_legacy_numpy

    with Image.open(shared / "data/coco_val2017_64/val2017/000000000139.jpg") as image:
        return resize_bilinear_legacy_numpy(np.asarray(image.convert("RGB")), (224, 224))[None]


def described(mean: float | None, std: float | None) -> TfliteFile:
    return TfliteFile(inputs=(TensorDescription("image", mean, std),))


def detail(dtype: type, scale: float = 0.0, zero_point: int = 0) -> dict:
    return {"dtype": dtype, "quantization": (scale, zero_point)}


# One image of 1 x 2 pixels: [[[0, 100.4, 255], [12.5, 127.5, 200.6]]]
IMAGE = np.array([[[0, 100.4, 255], [12.5, 127.5, 200.6]]], np.float32)


@pytest.mark.parametrize(
    ("tensor", "file", "expected"),
    [
        pytest.param(
            # pixel / 127.5 - 1
            detail(np.float32),
            TfliteFile(),
            [-1, -0.21254902, 1, -0.90196078, 0, 0.57333333],
            id="float32 in [-1, 1]",
        ),
        pytest.param(
            # pixel / 255
            detail(np.float32),
            described(0.0, 255.0),
            [0, 0.39372549, 1, 0.04901961, 0.5, 0.78666667],
            id="float32 as its metadata says",
        ),
        pytest.param(
            detail(np.float32),
            described(None, None),
            [-1, -0.21254902, 1, -0.90196078, 0, 0.57333333],
            id="float32 with metadata that says nothing",
        ),
        pytest.param(
            detail(np.uint8, 1 / 127.5, 127),
            TfliteFile(),
            [0, 100, 255, 12, 128, 201],
            id="uint8 pixels",
        ),
        pytest.param(
            detail(np.uint8, 0.0078125, 128),
            TfliteFile(),
            [0, 100, 255, 12, 128, 201],
            id="uint8 pixels of a TF1 model",
        ),
        pytest.param(detail(np.uint8), TfliteFile(), [0, 100, 255, 12, 128, 201], id="no scale"),
        pytest.param(
            # 100.4 - 128 = -27.6, 12.5 - 128 = -115.5, 127.5 - 128 = -0.5
            detail(np.int8, 1 / 127.5, -1),
            TfliteFile(),
            [-128, -28, 127, -116, 0, 73],
            id="int8 pixels",
        ),
        pytest.param(
            # value / 0.02 + 100: -1 -> 50, -0.2125 -> 89.37, 1 -> 150, -0.90196 -> 54.9, 128.67
            detail(np.uint8, 0.02, 100),
            TfliteFile(),
            [50, 89, 150, 55, 100, 129],
            id="another scale",
        ),
        pytest.param(
            # value * 255: calibrated with [0, 1], so everything below 0 is lost
            detail(np.uint8, 1 / 255, 0),
            TfliteFile(),
            [0, 0, 255, 0, 0, 146],
            id="calibrated from 0 to 1",
        ),
    ],
)
def test_input_values(tensor, file, expected):
    before = IMAGE.copy()
    values = input_values(tensor, file)(IMAGE)
    assert values.dtype == tensor["dtype"]
    np.testing.assert_allclose(values.ravel(), expected, atol=1e-6)
    np.testing.assert_array_equal(IMAGE, before)


@pytest.mark.parametrize(
    ("lines", "num_classes", "expected"),
    [
        pytest.param(["cat", "dog"], 2, {1: "cat", 2: "dog"}, id="zero-based"),
        pytest.param(["???", "cat", "dog"], 2, {1: "cat", 2: "dog"}, id="one line too many"),
        pytest.param(["cat", "???", "dog"], 3, {1: "cat", 3: "dog"}, id="gap"),
        pytest.param(["???", "cat"], 2, {2: "cat"}, id="gap at the start"),
        pytest.param(["background", "cat"], None, {1: "cat"}, id="background, number unknown"),
        pytest.param(["cat", "dog"], None, {1: "cat", 2: "dog"}, id="number unknown"),
        pytest.param([" cat\r", "dog ", "", ""], 2, {1: "cat", 2: "dog"}, id="white space"),
        pytest.param(["cat", "n/a", "", "dog"], 4, {1: "cat", 4: "dog"}, id="kinds of gaps"),
        pytest.param([], 2, {}, id="empty"),
    ],
)
def test_label_lines(lines, num_classes, expected):
    label_map = label_map_of_lines(lines, num_classes)
    assert {item.id: item.name for item in label_map.items} == expected


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [pytest.param("f16", 1e-3, id="f16"), pytest.param("int8", 0.03, id="i8")],
)
def test_files_of_the_original(files, photo, kind, tolerance):
    """Exported by the TF Object Detection API: no metadata, outputs in another order."""
    predictor = TflitePredictor(files / COCO.format(kind))
    assert predictor.image_size == (224, 224)
    assert predictor.label_map is None
    detections = predictor(np.concatenate([photo, 255 - photo]))
    assert {name: value.shape for name, value in detections.items()} == {
        DetectionFields.detection_boxes: (2, 10, 4),
        DetectionFields.detection_classes: (2, 10),
        DetectionFields.detection_scores: (2, 10),
        DetectionFields.num_detections: (2,),
    }
    classes = detections[DetectionFields.detection_classes]
    assert (classes.dtype, detections[DetectionFields.num_detections].dtype) == (np.int64,) * 2
    assert classes[0, :3].tolist() == [TV, CHAIR, CHAIR]
    # The same network's checkpoint, run by TensorFlow.
    np.testing.assert_allclose(
        detections[DetectionFields.detection_scores][0, :3], [0.634, 0.5256, 0.5144], atol=tolerance
    )
    np.testing.assert_allclose(
        detections[DetectionFields.detection_boxes][0, 0],
        [0.3862, 0.0039, 0.6288, 0.2457],
        atol=tolerance,
    )
    assert detections[DetectionFields.detection_boxes].min() >= 0
    alone = predictor(255 - photo)
    for name, value in detections.items():
        np.testing.assert_array_equal(value[1:], alone[name])


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        pytest.param("labels.txt", "person\nbicycle\n", "person", id="labels.txt"),
        pytest.param("labelmap.txt", "\ufeffperson\r\nbicycle\r\n", "person", id="windows"),
    ],
)
def test_labels_beside(files, tmp_path, name, text, first):
    model = tmp_path / "model.tflite"
    model.symlink_to(files / COCO.format("int8"))
    (tmp_path / name).write_text(text)
    assert TflitePredictor(model).label_map.names[0] == first


def test_original_label_list_with_a_background(files, tmp_path):
    model = tmp_path / "model.tflite"
    model.symlink_to(files / COCO.format("int8"))
    (tmp_path / "labels.txt").symlink_to(files / "labels_coco_dataset_80.txt")
    names = TflitePredictor(model).label_map.names
    assert (len(names), names[TV - 1], names[CHAIR - 1]) == (80, "tv", "chair")


def test_file_without_detections(files):
    message = r"st_ssd.*\.tflite: gives .*float32 \[1, 6820, 81\].* the four outputs of TFLite_Det"
    with pytest.raises(InputError, match=message):
        TflitePredictor(files / "st_ssd_mobilenet_v2_fpnlite_100_256_int8.tflite")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, r"model\.tflite: No such file or directory; a \.tflite", id="absent"),
        pytest.param(b"", r"bytes 4 to 7 are b'', expected b'TFL3'", id="empty"),
        pytest.param(b"PK\x03\x04abcdefgh", r"bytes 4 to 7 are b'abcd'", id="zip"),
        pytest.param(
            b"\x1c\0\0\0TFL3" + b"\xff" * 40, r"model\.tflite: the \.tflite file is", id="junk"
        ),
    ],
)
def test_no_tflite(tmp_path, content, message):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        TflitePredictor(path)
    assert "\n" not in str(caught.value)


def test_truncated_file(files, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes((files / COCO.format("int8")).read_bytes()[:900_000])
    with pytest.raises(InputError, match=r"model\.tflite: "):
        TflitePredictor(path)
