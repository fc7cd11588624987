from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd import checkpoint, checkpoint_file
from ssd.errors import InputError
from ssd.fine_tune import restore_fine_tune

EXTRACTOR = "model/_feature_extractor/"
BACKBONE = EXTRACTOR + "classification_backbone/"
CLASS_HEAD = "/_class_predictor_layers/"
# 104 backbone layers hold 52 kernels and 52 batch norms of 4; pyramid: 3 projections of 2, 2 + 2
# separables of 2 with batch norm of 4; predictor: 4 separables of 2, 20 batch norms of 4, two
# heads of 3.
NUM_BACKBONE, NUM_EXTRACTOR, NUM_ALL = 52 * 5, 52 * 5 + 6 + 4 * 6, 52 * 5 + 6 + 4 * 6 + 8 + 80 + 6


def write(prefix: Path, arrays: dict[str, np.ndarray]) -> str:
    """A checkpoint with these values under these paths."""
    root = tf.train.Checkpoint()
    for path, value in arrays.items():
        *folders, leaf = path.split("/")
        node = root
        for folder in folders:
            if not hasattr(node, folder):
                setattr(node, folder, tf.train.Checkpoint())
            node = getattr(node, folder)
        setattr(node, leaf, tf.Variable(value))
    return root.write(str(prefix))


@pytest.fixture
def stored(tiny_detector, tmp_path) -> tuple[str, dict[str, np.ndarray]]:
    """A checkpoint of the tiny detector with every value 2 higher than the model's."""
    initial = values(tiny_detector)
    for variable in tiny_detector.checkpoint_variables().values():
        variable.assign_add(tf.fill(variable.shape, 2.0))
    saved = values(tiny_detector)
    prefix = checkpoint.save(tmp_path / "stored", tiny_detector, 9)
    for key, variable in tiny_detector.checkpoint_variables().items():
        variable.assign(initial[f"model/{key}"])
    return prefix, saved


def values(detector) -> dict[str, np.ndarray]:
    return {f"model/{key}": v.numpy() for key, v in detector.checkpoint_variables().items()}


def changed(detector, before: dict[str, np.ndarray]) -> set[str]:
    after = values(detector)
    return {key for key in after if not np.array_equal(after[key], before[key])}


def test_detection_restores_the_feature_extractor(tiny_detector, stored):
    prefix, saved = stored
    before = values(tiny_detector)
    report = restore_fine_tune(tiny_detector, prefix, "detection")
    restored = {key for key in saved if key.startswith(EXTRACTOR)}
    assert len(restored) == NUM_EXTRACTOR
    assert changed(tiny_detector, before) == restored == set(report.restored)
    for key in restored:
        np.testing.assert_array_equal(values(tiny_detector)[key], saved[key])
    assert set(report.kept_at_init.values()) == {"type detection leaves it new"}
    assert set(report.kept_at_init) == set(saved) - restored
    assert report.checkpoint_type == "detection"
    assert report.note == ""


def test_full_restores_everything(tiny_detector, stored):
    prefix, saved = stored
    before = values(tiny_detector)
    report = restore_fine_tune(tiny_detector, prefix, "full")
    assert changed(tiny_detector, before) == set(saved) == set(report.restored)
    assert len(saved) == NUM_ALL == 384
    assert report.kept_at_init == {}
    assert report.not_used == {"save_counter": "counter", "step": "counter"}


def with_other_classes(saved: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same with 6 classes: 6 anchors x 7 columns."""
    return {
        key: np.zeros([*value.shape[:-1], 42], np.float32)
        if CLASS_HEAD in key and "depthwise" not in key
        else value
        for key, value in saved.items()
    }


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("full", "class head of another number of classes"),
        ("matching", "class head of another shape in the file"),
    ],
)
def test_a_class_head_of_other_classes_stays_new(tiny_detector, stored, tmp_path, kind, reason):
    _, saved = stored
    prefix = write(tmp_path / "other", with_other_classes(saved))
    before = values(tiny_detector)
    report = restore_fine_tune(tiny_detector, prefix, kind)
    head = {key for key in saved if CLASS_HEAD in key}
    # All of the head stays new: half a head of another task would be of no use.
    assert set(report.kept_at_init) == head
    assert set(report.kept_at_init.values()) == {reason}
    assert changed(tiny_detector, before) == set(saved) - head
    assert all(report.not_used[key] == "new in this run" for key in head)


def test_fine_tune_is_detection(tiny_detector, stored):
    prefix, saved = stored
    report = restore_fine_tune(tiny_detector, prefix, "fine_tune")
    assert report.checkpoint_type == "detection"
    assert report.note == 'fine_tune_checkpoint_type "fine_tune" is "detection" for an SSD'
    assert set(report.restored) == {key for key in saved if key.startswith(EXTRACTOR)}


def test_matching_restores_all_that_agrees(tiny_detector, stored, tmp_path):
    _, saved = stored
    gone = {key for key in saved if "_coarse_feature_layers/1" in key}
    other = {key for key in saved if "_box_encoder_layers" in key and "depthwise" not in key}
    arrays = {
        key: np.zeros([*value.shape[:-1], 12], np.float32) if key in other else value
        for key, value in saved.items()
        if key not in gone
    } | {"model/_box_predictor/extra": np.ones(3, np.float32)}
    before = values(tiny_detector)
    report = restore_fine_tune(tiny_detector, write(tmp_path / "m", arrays), "matching")
    # A separable of 2 with a batch norm of 4; a pointwise kernel and a bias.
    assert (len(gone), len(other)) == (6, 2)
    assert changed(tiny_detector, before) == set(saved) - gone - other == set(report.restored)
    assert {k for k, why in report.kept_at_init.items() if why == "not in the file"} == gone
    assert {
        k for k, why in report.kept_at_init.items() if why == "of another shape in the file"
    } == other
    assert report.not_used == {
        **dict.fromkeys(other, "new in this run"),
        "model/_box_predictor/extra": "not part of the model",
    }


def test_classification_restores_the_backbone_of_a_classifier(tiny_detector, stored, tmp_path):
    _, saved = stored
    arrays = {
        "feature_extractor/" + key[len(BACKBONE) :]: value
        for key, value in saved.items()
        if key.startswith(BACKBONE)
    }
    arrays["dense/kernel"] = np.ones((3, 5), np.float32)
    before = values(tiny_detector)
    report = restore_fine_tune(tiny_detector, write(tmp_path / "c", arrays), "classification")
    restored = {key for key in saved if key.startswith(BACKBONE)}
    assert len(restored) == NUM_BACKBONE
    assert changed(tiny_detector, before) == restored == set(report.restored)
    assert report.not_used["dense/kernel"] == "not part of the model"
    stem = "layer_with_weights-0/kernel"
    assert report.renamed[BACKBONE + stem] == f"feature_extractor/{stem}"
    assert len(report.renamed) == NUM_BACKBONE
    assert len(report.kept_at_init) == NUM_ALL - NUM_BACKBONE


@pytest.mark.parametrize(
    ("wanted", "held", "served"),
    [
        ("classification", "detector", "detection"),
        ("detection", "classifier", "classification"),
        ("full", "classifier", "classification"),
        ("fine_tune", "classifier", "classification"),
        ("matching", "classifier", "classification"),
    ],
)
def test_the_type_that_the_file_can_serve(tiny_detector, stored, tmp_path, wanted, held, served):
    prefix, saved = stored
    if held == "classifier":
        prefix = write(
            tmp_path / "c",
            {
                "feature_extractor/" + key[len(BACKBONE) :]: value
                for key, value in saved.items()
                if key.startswith(BACKBONE)
            },
        )
    report = restore_fine_tune(tiny_detector, prefix, wanted)
    assert report.checkpoint_type == served
    assert report.note.startswith(
        f'fine_tune_checkpoint_type is "{wanted}", but the file holds a {held}'
    )
    assert report.note.endswith(f'restored as "{served}"')


def test_every_tensor_is_accounted_for_on_both_sides(tiny_detector, shared):
    index = "data/checkpoint_indexes/agasheaditya_fpnlite_training__ckpt-7.index"
    file = checkpoint_file.open_checkpoint(shared / index)
    # Only an index lies there: the shapes do not fit and nothing is read.
    with pytest.raises(InputError, match="belongs to another model"):
        restore_fine_tune(tiny_detector, shared / index, "detection")
    assert sum("OPTIMIZER_SLOT" in key for key in file.shapes) == 232


def test_a_training_checkpoint_leaves_its_optimizer_out(tiny_detector, tmp_path):
    saved = values(tiny_detector)
    slot = f"{next(iter(saved))}/.OPTIMIZER_SLOT/optimizer/momentum"
    arrays = {**saved, "optimizer/momentum": np.float32(0.9), "step": np.int64(4)}
    report = restore_fine_tune(tiny_detector, write(tmp_path / "t", arrays), "full")
    assert report.not_used == {"optimizer/momentum": "optimizer state", "step": "counter"}
    assert slot not in report.not_used


@pytest.mark.parametrize("kind", ["detection", "full", "classification", "matching"])
def test_another_depth_multiplier_is_refused(tiny_detector, shared, kind):
    before = values(tiny_detector)
    folder = shared / "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80"
    with pytest.raises(
        InputError,
        match=r"ckpt-0: model/_feature_extractor/.* is \(.*\) in the file, "
        r"the model expects \(.*\).*check .*depth_multiplier",
    ):
        restore_fine_tune(tiny_detector, folder, kind)
    assert not changed(tiny_detector, before)


def test_a_missing_part_is_refused(tiny_detector, stored, tmp_path):
    _, saved = stored
    gone = f"{EXTRACTOR}_coarse_feature_layers/1/0/depthwise_kernel"
    arrays = {key: value for key, value in saved.items() if key != gone}
    before = values(tiny_detector)
    with pytest.raises(InputError, match=rf"{gone} is not in the file, the model expects"):
        restore_fine_tune(tiny_detector, write(tmp_path / "p", arrays), "detection")
    assert not changed(tiny_detector, before)


def test_full_refuses_other_box_heads(tiny_detector, stored, tmp_path):
    _, saved = stored
    arrays = {
        key: np.zeros([*value.shape[:-1], 12], np.float32)
        if "_box_encoder_layers" in key
        else value
        for key, value in saved.items()
    }
    before = values(tiny_detector)
    with pytest.raises(InputError, match=r"_box_encoder_layers/0/\w+ is \(.*12\) in the file"):
        restore_fine_tune(tiny_detector, write(tmp_path / "b", arrays), "full")
    assert not changed(tiny_detector, before)


def test_a_foreign_checkpoint_is_refused(tiny_detector, tmp_path):
    prefix = write(tmp_path / "foreign", {"net/kernel": np.ones(3, np.float32)})
    with pytest.raises(
        InputError,
        match=r"foreign: holds neither a detector .* nor a classifier backbone .*; "
        r"first key: net/kernel",
    ):
        restore_fine_tune(tiny_detector, prefix, "detection")


def test_an_unknown_type_is_refused(tiny_detector, tmp_path):
    with pytest.raises(
        InputError,
        match="fine_tune_checkpoint_type: 'segmentation'; one of "
        "classification, detection, fine_tune, full, matching was expected",
    ):
        restore_fine_tune(tiny_detector, tmp_path, "segmentation")


@pytest.mark.parametrize("damage", ["missing", "cut in the middle"])
def test_damaged_data_changes_nothing(tiny_detector, stored, damage):
    prefix, _ = stored
    data = Path(f"{prefix}.data-00000-of-00001")
    if damage == "missing":
        data.unlink()
    else:
        os.truncate(data, data.stat().st_size // 2)
    before = values(tiny_detector)
    with pytest.raises(InputError, match=r"ckpt-9: .* cannot be read \(.+\): the \.data file"):
        restore_fine_tune(tiny_detector, prefix, "full")
    assert not changed(tiny_detector, before)


def test_report_is_written_and_summarized(tiny_detector, stored, tmp_path):
    prefix, _ = stored
    report = restore_fine_tune(tiny_detector, prefix, "detection")
    report.save(tmp_path / "restore_report.json")
    written = json.loads((tmp_path / "restore_report.json").read_text())
    assert written["checkpoint"] == prefix
    assert len(written["restored"]) == NUM_EXTRACTOR
    assert len(written["restored"]) + len(written["kept_at_init"]) == NUM_ALL
    assert report.summary() == (
        f"restored 290 of 384 tensors from {prefix} (type detection); 94 new: "
        "type detection leaves it new"
    )
