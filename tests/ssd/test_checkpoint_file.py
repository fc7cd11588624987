from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd import checkpoint_file
from ssd.errors import InputError

V1 = "FeatureExtractor/MobilenetV1/"
STEM = "model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel"
OFFICIAL_V2 = (
    "data/checkpoint_indexes/official_tf1_ssd_mobilenet_v2_coco_2018_03_29__model.ckpt.index"
)


def write_tf1(prefix: Path, arrays: dict[str, np.ndarray]) -> str:
    """A name-based checkpoint, as TF1 writes them."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(value) for value in arrays.values()],
    )
    return str(prefix)


@pytest.fixture
def stem() -> np.ndarray:
    return np.arange(3 * 3 * 3 * 5, dtype=np.float32).reshape(3, 3, 3, 5)


class TestFindingTf1:
    """Files are empty: finding reads no checkpoint."""

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path: Path) -> None:
        for name in (
            "zoo/model.ckpt",
            "training/model.ckpt-50000",
            "training/model.ckpt-9000",
            "mobiledet/model.ckpt-400000",
        ):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            for ending in ("index", "meta", "data-00000-of-00001"):
                (path.parent / f"{path.name}.{ending}").touch()
        (tmp_path / "zoo/saved_model").mkdir()
        (tmp_path / "zoo/frozen_inference_graph.pb").touch()

    @pytest.mark.parametrize(
        ("given", "found"),
        [
            pytest.param("zoo", "zoo/model.ckpt", id="zoo folder"),
            pytest.param("zoo/model.ckpt", "zoo/model.ckpt", id="prefix"),
            pytest.param("zoo/model.ckpt.meta", "zoo/model.ckpt", id="meta"),
            pytest.param("training", "training/model.ckpt-50000", id="highest step"),
            pytest.param("training/model.ckpt-9000.index", "training/model.ckpt-9000", id="index"),
            pytest.param("mobiledet", "mobiledet/model.ckpt-400000", id="only with a step"),
        ],
    )
    def test_forms(self, tmp_path, given, found):
        assert checkpoint_file.find_prefix(tmp_path / given) == f"{tmp_path}/{found}"

    @pytest.mark.parametrize(
        ("state", "found"),
        [
            pytest.param("/home/someone/train/model.ckpt-9000", 9000, id="another machine's path"),
            pytest.param("C:\\\\Users\\\\x\\\\training\\\\model.ckpt-9000", 9000, id="Windows"),
            pytest.param("model.ckpt-9000", 9000, id="relative"),
            pytest.param("/home/someone/train/model.ckpt-77", 50000, id="not copied along"),
        ],
    )
    def test_a_state_file_names_the_file_beside_it(self, tmp_path, state, found):
        (tmp_path / "training/checkpoint").write_text(f'model_checkpoint_path: "{state}"\n')
        assert (
            checkpoint_file.find_prefix(tmp_path / "training")
            == f"{tmp_path}/training/model.ckpt-{found}"
        )

    @pytest.mark.parametrize("content", [b"no state at all {", b"\xff\xfe\x00bin", b""])
    def test_a_state_file_that_is_none(self, tmp_path, content):
        (tmp_path / "training/checkpoint").write_bytes(content)
        found = checkpoint_file.find_prefix(tmp_path / "training")
        assert found == f"{tmp_path}/training/model.ckpt-50000"

    def test_the_copy_goes_before_the_original(self, tmp_path):
        (tmp_path / "zoo/checkpoint").write_text(
            f'model_checkpoint_path: "{tmp_path}/mobiledet/model.ckpt"\n'
        )
        assert checkpoint_file.find_prefix(tmp_path / "zoo") == f"{tmp_path}/zoo/model.ckpt"


def test_a_tf1_checkpoint_is_read_by_tf2_path(tmp_path, stem):
    arrays = {
        f"{V1}Conv2d_0/weights": stem,
        f"{V1}Conv2d_0/weights/RMSProp": stem * 0,
        f"{V1}Conv2d_0/weights/ExponentialMovingAverage": stem + 0.5,
        "global_step": np.int64(41748),
    }
    file = checkpoint_file.open_checkpoint(write_tf1(tmp_path / "t/model.ckpt-41748", arrays))
    assert file.is_tf1
    assert file.shapes == {STEM: (3, 3, 3, 5), "global_step": ()}
    np.testing.assert_array_equal(file.read(STEM), stem)
    assert file.name(STEM) == f"{V1}Conv2d_0/weights"
    assert file.step() == 41748
    assert file.left_out == {
        f"{V1}Conv2d_0/weights/RMSProp": "optimizer state",
        f"{V1}Conv2d_0/weights/ExponentialMovingAverage": (
            "moving average; the variable itself counts"
        ),
    }
    assert file.note == (
        "of 1 variables the file also holds moving averages; the variables themselves are taken, "
        "as the original does"
    )


def test_paths_follow_the_model(tmp_path, stem):
    level = "model/_feature_extractor/_feature_map_generator/convolutions/2"
    name = f"{V1}Conv2d_13_pointwise_2_Conv2d_2_3x3_s2_5/weights"
    prefix = write_tf1(tmp_path / "model.ckpt", {name: stem, f"{V1}Conv2d_0/weights": stem + 1})
    file = checkpoint_file.open_checkpoint(prefix)
    assert set(file.shapes) == {STEM, f"{level}/3/kernel"}
    aligned = file.aligned_to([STEM, f"{level}/4/kernel"])
    assert set(aligned.shapes) == {STEM, f"{level}/4/kernel"}
    np.testing.assert_array_equal(aligned.read(f"{level}/4/kernel"), stem)
    assert aligned.name(f"{level}/4/kernel") == name


def test_a_tf2_checkpoint_has_its_own_paths(tmp_path):
    root = tf.train.Checkpoint(model=tf.train.Checkpoint(a=tf.Variable([1.5, 2.5])))
    root.step = tf.Variable(7, dtype=tf.int64)
    file = checkpoint_file.open_checkpoint(root.write(str(tmp_path / "ckpt-7")))
    assert not file.is_tf1
    assert file.note == ""
    assert file.left_out == {}
    assert file.shapes == {"model/a": (2,), "step": ()}
    assert file.name("model/a") == "model/a"
    assert file.step() == 7
    assert file.aligned_to(["model/b"]) is file
    np.testing.assert_array_equal(file.read("model/a"), [1.5, 2.5])


def test_the_official_index_of_tf1(shared):
    file = checkpoint_file.open_checkpoint(shared / OFFICIAL_V2)
    # 344 variables and global_step; depthwise extra levels, plain 3x3 heads.
    assert len(file.shapes) == 345
    assert file.left_out == {}
    generator = "model/_feature_extractor/feature_map_generator/convolutions/2"
    assert file.shapes[f"{generator}/3/depthwise_kernel"] == (3, 3, 256, 1)
    assert file.shapes[f"{generator}/6/kernel"] == (1, 1, 256, 512)
    heads = "model/_box_predictor/_prediction_heads/class_predictions_with_background"
    assert file.shapes[f"{heads}/0/_class_predictor_layers/0/kernel"] == (3, 3, 576, 273)
    with pytest.raises(InputError, match=r"model\.ckpt: .* cannot be read \(.+\): the \.data file"):
        file.read(STEM)


def test_snappy_blocks_are_read(shared):
    index = "data/checkpoint_indexes/official_tf2_ssd_mobilenet_v2_fpnlite_320_coco17__ckpt-0.index"
    assert len(checkpoint_file.open_checkpoint(shared / index).shapes) == 385


def test_another_tf1_family_is_named(oracle):
    with pytest.raises(
        InputError,
        match=r"model\.ckpt: a TF1 checkpoint of a MobileNetV3 detector; of TF1 models, those on "
        "MobileNetV1 and MobileNetV2 .* can be restored$",
    ):
        checkpoint_file.open_checkpoint(oracle / "tf1/ssd_mobilenet_v3_large_narrow")


def test_a_foreign_name_based_checkpoint(tmp_path):
    prefix = write_tf1(tmp_path / "x/model.ckpt", {"net/w": np.ones(3, np.float32)})
    with pytest.raises(
        InputError,
        match=re.escape(f"{prefix}: holds neither a detector (TF2: model/_feature_extractor/...")
        + r".*, TF1: FeatureExtractor/\.\.\.\) nor a MobileNet classifier; first key: net/w$",
    ):
        checkpoint_file.open_checkpoint(prefix)


def test_nothing_in_the_folder_names_both_kinds(tmp_path):
    with pytest.raises(
        InputError,
        match=r"no checkpoint \(ckpt-N\.index\) in this folder, .*, "
        r"and none of TF1 \(model\.ckpt\.index\)",
    ):
        checkpoint_file.find_prefix(tmp_path)
