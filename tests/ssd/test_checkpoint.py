from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from ssd import checkpoint, checkpoint_file, checkpoint_folder
from ssd.config.messages import TrainEvalPipelineConfig
from ssd.errors import InputError
from ssd.optimizer import build_optimizer
from ssd.optimizers.moving_average import MovingAverages

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def build(detector, text: str):
    config = TrainEvalPipelineConfig()
    text_format.Parse(text, config.train_config.optimizer)
    made = build_optimizer(config.train_config.optimizer)
    made.build(detector.network.trainable_variables)
    return made


@pytest.fixture
def optimizer(tiny_detector):
    return build(
        tiny_detector,
        "momentum_optimizer { momentum_optimizer_value: 0.75 "
        "learning_rate { constant_learning_rate { learning_rate: 0.1 } } }",
    )


def values(detector) -> dict[str, np.ndarray]:
    return {key: v.numpy() for key, v in detector.checkpoint_variables().items()}


def shift(detector, by: float) -> None:
    for variable in detector.checkpoint_variables().values():
        variable.assign_add(tf.fill(variable.shape, by))


def require_equal(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_array_equal(value, theirs[key], err_msg=key)


def test_what_was_saved_comes_back(tiny_detector, tmp_path):
    shift(tiny_detector, 0.25)
    saved = values(tiny_detector)
    prefix = checkpoint.save(tmp_path / "made/here", tiny_detector, 40)
    assert prefix == str(tmp_path / "made/here/ckpt-40")
    shift(tiny_detector, 1.0)
    file = checkpoint.restore_model(tiny_detector, prefix)
    require_equal(values(tiny_detector), saved)
    assert file.prefix == prefix
    assert file.step() == 40


def test_training_state_comes_back(tiny_detector, optimizer, tmp_path):
    for n, slot in enumerate(optimizer.momentums):
        slot.assign(tf.fill(slot.shape, 0.5 + n))
    saved = values(tiny_detector)
    checkpoint.save(tmp_path, tiny_detector, 7, optimizer)
    shift(tiny_detector, 1.0)
    for slot in optimizer.momentums:
        slot.assign(tf.zeros(slot.shape))
    assert checkpoint.restore_training(tiny_detector, optimizer, tmp_path) == 7
    require_equal(values(tiny_detector), saved)
    assert int(optimizer.iterations) == 7
    for n, slot in enumerate(optimizer.momentums):
        np.testing.assert_array_equal(slot.numpy(), np.full(slot.shape, 0.5 + n))


@pytest.mark.parametrize(
    ("kind", "slots"),
    [("rms_prop_optimizer", ("rms", "momentum")), ("adam_optimizer", ("m", "v"))],
)
def test_averages_and_all_slots_come_back(tiny_detector, tmp_path, kind, slots):
    text = f"{kind} {{ learning_rate {{ constant_learning_rate {{}} }} }}"
    optimizer = build(tiny_detector, text)
    averages = MovingAverages([v.value for v in tiny_detector.network.trainable_variables], 0.9)
    state = [*(slot.value for name in slots for slot in optimizer.slots[name]), *averages.averages]
    for n, variable in enumerate(state):
        variable.assign(tf.fill(variable.shape, 0.5 + n))
    checkpoint.save(tmp_path, tiny_detector, 7, optimizer, averages)
    for variable in state:
        variable.assign(tf.zeros(variable.shape))
    assert checkpoint.restore_training(tiny_detector, optimizer, tmp_path, averages) == 7
    for n, variable in enumerate(state):
        np.testing.assert_array_equal(variable.numpy(), np.full(variable.shape, 0.5 + n))
    file = checkpoint_file.open_checkpoint(tmp_path)
    assert file.read("optimizer/base_optimizer/iter") == 7
    other = build(tiny_detector, text)
    with pytest.raises(
        InputError, match=rf"OPTIMIZER_SLOT/optimizer/{slots[0]} is missing, .*\(464 of 464 "
    ):
        checkpoint.restore_training(tiny_detector, other, tmp_path)  # of a run without averages


def test_averages_can_take_the_place_of_the_weights(tiny_detector, optimizer, tmp_path):
    averages = MovingAverages([v.value for v in tiny_detector.network.trainable_variables], 0.9)
    for average in averages.averages:
        average.assign(tf.fill(average.shape, 0.125))
    saved = values(tiny_detector)
    trained = {id(v.value) for v in tiny_detector.network.trainable_variables}
    prefix = checkpoint.save(tmp_path, tiny_detector, 7, optimizer, averages)
    checkpoint.restore_model(tiny_detector, prefix, prefers_averages=True)
    for key, variable in tiny_detector.checkpoint_variables().items():
        expected = np.full(variable.shape, 0.125) if id(variable) in trained else saved[key]
        np.testing.assert_array_equal(variable.numpy(), expected, err_msg=key)
    checkpoint.restore_model(tiny_detector, prefix)
    require_equal(values(tiny_detector), saved)
    # Where none are stored, the weights it is.
    prefix = checkpoint.save(tmp_path / "best", tiny_detector, 7)
    checkpoint.restore_model(tiny_detector, prefix, prefers_averages=True)
    require_equal(values(tiny_detector), saved)


def test_slots_belong_to_their_variables(tiny_detector, optimizer, tmp_path):
    paths = {id(v): key for key, v in tiny_detector.checkpoint_variables().items()}
    for variable, slot in zip(
        tiny_detector.network.trainable_variables, optimizer.momentums, strict=True
    ):
        slot.assign(variable.value * 2.0 + 1.0)
    checkpoint.save(tmp_path, tiny_detector, 1, optimizer)
    file = checkpoint_file.open_checkpoint(tmp_path)
    for variable in tiny_detector.network.trainable_variables:
        key = f"model/{paths[id(variable.value)]}"
        np.testing.assert_allclose(
            file.read(f"{key}/.OPTIMIZER_SLOT/optimizer/momentum"),
            file.read(key) * 2.0 + 1.0,
            rtol=1e-6,
        )


def test_keys_are_those_of_a_training_checkpoint_of_the_original(
    tiny_detector, optimizer, tmp_path, shared
):
    prefix = checkpoint.save(tmp_path, tiny_detector, 3, optimizer)
    ours = tf.train.load_checkpoint(prefix)
    theirs = tf.train.load_checkpoint(
        str(shared / "data/checkpoint_indexes/agasheaditya_fpnlite_training__ckpt-7")
    )
    our_shapes, their_shapes = ours.get_variable_to_shape_map(), theirs.get_variable_to_shape_map()
    assert our_shapes.keys() == their_shapes.keys()
    assert ours.get_variable_to_dtype_map() == theirs.get_variable_to_dtype_map()
    # Depth 0.25 against 1.0: shapes differ, ranks and what does not depend on the depth agree.
    for key, shape in our_shapes.items():
        assert len(shape) == len(their_shapes[key]), key
    assert our_shapes["_CHECKPOINTABLE_OBJECT_GRAPH"] == []
    for name, value in (
        ("step", 3),
        ("save_counter", 3),
        ("optimizer/iter", 3),
        ("optimizer/decay", 0.0),
        ("optimizer/momentum", 0.75),
    ):
        assert ours.get_tensor(name + SUFFIX) == value, name


def test_an_object_based_reader_finds_every_variable(tiny_detector, optimizer, tmp_path):
    """The original restores by object: a tree of its shape must find values and slots."""
    prefix = checkpoint.save(tmp_path, tiny_detector, 3, optimizer)
    tree = tf.train.Checkpoint()
    wanted = {}
    for key, v in tiny_detector.checkpoint_variables().items():
        *folders, leaf = key.split("/")
        node = tree
        for folder in ["model", *folders]:
            if not hasattr(node, folder):
                setattr(node, folder, tf.train.Checkpoint())
            node = getattr(node, folder)
        wanted[key] = tf.Variable(tf.zeros_like(v) - 5.0)
        setattr(node, leaf, wanted[key])
    tf.train.Checkpoint(model=tree.model).read(prefix).assert_existing_objects_matched()
    require_equal({key: v.numpy() for key, v in wanted.items()}, values(tiny_detector))


def test_a_model_checkpoint_is_no_training_checkpoint(tiny_detector, optimizer, tmp_path):
    checkpoint.save(tmp_path, tiny_detector, 3)
    shift(tiny_detector, 1.0)
    before = values(tiny_detector)
    with pytest.raises(
        InputError,
        match=r"ckpt-3: model/.*OPTIMIZER_SLOT/optimizer/momentum is "
        r"missing, .*\(232 of 232 variables differ\)",
    ):
        checkpoint.restore_training(tiny_detector, optimizer, tmp_path)
    require_equal(values(tiny_detector), before)


class TestFinding:
    """Files are empty: finding reads no checkpoint."""

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path: Path) -> None:
        for name in (
            "run/checkpoints/ckpt-9",
            "run/checkpoints/ckpt-10",
            "run/best/ckpt-4",
            "zoo/checkpoint/ckpt-0",
            "plain/ckpt-2",
        ):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / f"{path.name}.index").touch()
            (path.parent / f"{path.name}.data-00000-of-00001").touch()
        (tmp_path / "run/checkpoints/checkpoint").write_text('model_checkpoint_path: "ckpt-9"\n')
        (tmp_path / "empty").mkdir()

    @pytest.mark.parametrize(
        ("given", "found"),
        [
            pytest.param("run", "run/best/ckpt-4", id="run: best"),
            pytest.param("run/checkpoints", "run/checkpoints/ckpt-9", id="folder: its state file"),
            pytest.param("run/checkpoints/", "run/checkpoints/ckpt-9", id="slash at the end"),
            pytest.param("zoo", "zoo/checkpoint/ckpt-0", id="zoo folder"),
            pytest.param("zoo/checkpoint", "zoo/checkpoint/ckpt-0", id="its checkpoint folder"),
            pytest.param("plain", "plain/ckpt-2", id="folder without state file"),
            pytest.param("run/checkpoints/ckpt-10", "run/checkpoints/ckpt-10", id="prefix"),
            pytest.param("plain/ckpt-2.index", "plain/ckpt-2", id="index"),
            pytest.param("plain/ckpt-2.data-00000-of-00001", "plain/ckpt-2", id="data"),
        ],
    )
    def test_forms(self, tmp_path, given, found):
        # As text: a Path would drop the slash at the end.
        assert checkpoint_file.find_prefix(f"{tmp_path}/{given}") == f"{tmp_path}/{found}"

    def test_the_highest_number_counts_where_the_state_file_is_wrong(self, tmp_path):
        (tmp_path / "run/checkpoints/checkpoint").write_text('model_checkpoint_path: "ckpt-77"\n')
        found = checkpoint_file.find_prefix(tmp_path / "run/checkpoints")
        assert found == f"{tmp_path}/run/checkpoints/ckpt-10"

    def test_a_copied_folder_is_searched_itself(self, tmp_path):
        """State files of the original can hold the absolute path of another machine."""
        (tmp_path / "plain/checkpoint").write_text('model_checkpoint_path: "/home/x/m/ckpt-2"\n')
        assert checkpoint_file.find_prefix(tmp_path / "plain") == f"{tmp_path}/plain/ckpt-2"

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            pytest.param(
                "empty", r"empty: no checkpoint \(ckpt-N.index\) in this folder", id="empty"
            ),
            pytest.param("nowhere", r"nowhere: no such checkpoint; give a run", id="nowhere"),
            pytest.param("plain/ckpt-3", r"plain/ckpt-3: no such checkpoint", id="other number"),
        ],
    )
    def test_nothing_there(self, tmp_path, given, message):
        with pytest.raises(InputError, match=message):
            checkpoint_file.find_prefix(tmp_path / given)


def test_a_damaged_index(tmp_path):
    (tmp_path / "ckpt-1.index").write_bytes(b"this is no table of anything" * 9)
    with pytest.raises(
        InputError, match=r"ckpt-1\.index: not a readable checkpoint \(.+\)"
    ) as caught:
        checkpoint_file.open_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["missing", "cut in the middle"])
def test_damaged_data_changes_nothing(tiny_detector, tmp_path, damage):
    prefix = checkpoint.save(tmp_path, tiny_detector, 3)
    data = Path(f"{prefix}.data-00000-of-00001")
    if damage == "missing":
        data.unlink()
    else:
        os.truncate(data, data.stat().st_size // 2)
    shift(tiny_detector, 1.0)
    before = values(tiny_detector)
    with pytest.raises(
        InputError,
        match=r"ckpt-3: model/.* cannot be read \(.+\): the \.data file "
        r"is missing or damaged",
    ) as caught:
        checkpoint.restore_model(tiny_detector, prefix)
    assert "\n" not in str(caught.value)
    require_equal(values(tiny_detector), before)


DAMAGES = {
    "cut data": lambda prefix: os.truncate(f"{prefix}.data-00000-of-00001", 100_000),
    "empty data": lambda prefix: os.truncate(f"{prefix}.data-00000-of-00001", 0),
    "no data": lambda prefix: os.remove(f"{prefix}.data-00000-of-00001"),
    "a flipped bit": lambda prefix: flip_bit(Path(f"{prefix}.data-00000-of-00001")),
    "cut index": lambda prefix: os.truncate(f"{prefix}.index", 5_000),
    "empty index": lambda prefix: os.truncate(f"{prefix}.index", 0),
    "zeros for an index": lambda prefix: Path(f"{prefix}.index").write_bytes(bytes(9_000)),
}


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_newest_readable_one_is_gone_on_from(tiny_detector, optimizer, tmp_path, damage):
    saved = {}
    for step in (2, 3):
        shift(tiny_detector, 0.5)
        saved[step] = values(tiny_detector)
        checkpoint.save(tmp_path, tiny_detector, step, optimizer)
    damage(f"{tmp_path}/ckpt-3")

    def restore(prefix: str) -> int:
        return checkpoint.restore_training(tiny_detector, optimizer, prefix)

    step, number, lines = checkpoint_folder.restore_newest(tmp_path, restore)
    assert (step, number, int(optimizer.iterations)) == (2, 2, 2)
    require_equal(values(tiny_detector), saved[2])
    (line,) = lines
    assert line.startswith(f"DAMAGED, not used: {tmp_path}/ckpt-3")
    assert "\n" not in line
    # Its step comes again, and takes its place.
    tiny_detector.network.trainable_variables[0].assign_add(
        tf.ones_like(tiny_detector.network.trainable_variables[0])
    )
    again = values(tiny_detector)
    checkpoint.save(tmp_path, tiny_detector, 3, optimizer)
    shift(tiny_detector, 1.0)
    assert checkpoint_folder.restore_newest(tmp_path, restore) == (3, 3, [])
    require_equal(values(tiny_detector), again)


def test_the_index_of_another_model_is_passed_over(tiny_detector, optimizer, tmp_path, shared):
    checkpoint.save(tmp_path, tiny_detector, 2, optimizer)
    other = checkpoint_file.find_prefix(
        shared / "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80"
    )
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{other}{suffix}", f"{tmp_path}/ckpt-7{suffix}")
    step, _, lines = checkpoint_folder.restore_newest(
        tmp_path, lambda prefix: checkpoint.restore_training(tiny_detector, optimizer, prefix)
    )
    assert step == 2
    assert "ckpt-7: model/" in lines[0]


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe" * 40, b"model_checkpoint_path: 7"])
def test_a_damaged_state_file_is_in_nobodys_way(tiny_detector, tmp_path, content):
    for step in (9, 10):
        checkpoint.save(tmp_path, tiny_detector, step)
    (tmp_path / "checkpoint").write_bytes(content)
    assert checkpoint_file.open_checkpoint(tmp_path).step() == 10
    checkpoint.save(tmp_path, tiny_detector, 11)
    assert "ckpt-11" in (tmp_path / "checkpoint").read_text()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["weight", "statistic", "slot"])
def test_what_is_not_finite_is_not_written(tiny_detector, optimizer, tmp_path, what, value):
    checkpoint.save(tmp_path, tiny_detector, 5, optimizer)
    layer = "model/_feature_extractor/classification_backbone/layer_with_weights-"
    variable, key = {
        "weight": (tiny_detector.network.trainable_variables[0], f"{layer}0/kernel"),
        "statistic": (tiny_detector.network.non_trainable_variables[0], f"{layer}1/moving_mean"),
        "slot": (optimizer.momentums[0], f"{layer}0/kernel/.OPTIMIZER_SLOT/optimizer/momentum"),
    }[what]
    broken = variable.numpy()
    broken.flat[broken.size // 2] = value
    variable.assign(broken)
    with pytest.raises(
        InputError,
        match=rf"ckpt-6: not written: 1 of \d+ variables are not finite, the first is "
        rf"{re.escape(key)}; lower the learning rate .* earlier checkpoints are untouched$",
    ):
        checkpoint.save(tmp_path, tiny_detector, 6, optimizer)
    assert checkpoint_folder.numbers(tmp_path) == [5]


def test_another_model_changes_nothing(tiny_detector, shared):
    before = values(tiny_detector)
    folder = shared / "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80"
    with pytest.raises(
        InputError,
        match=r"ckpt-0: model/.* is \(.*\), the model expects \(.*\) "
        r"\(\d+ of 384 variables differ\)",
    ):
        checkpoint.restore_model(tiny_detector, folder)
    require_equal(values(tiny_detector), before)


def test_old_checkpoints_are_deleted(tiny_detector, tmp_path):
    for step in (5, 10, 15, 20):
        checkpoint.save(tmp_path, tiny_detector, step, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint",
        "ckpt-15.data-00000-of-00001",
        "ckpt-15.index",
        "ckpt-20.data-00000-of-00001",
        "ckpt-20.index",
    ]
    state = (tmp_path / "checkpoint").read_text()
    assert 'model_checkpoint_path: "ckpt-20"' in state
    assert re.findall(r'all_model_checkpoint_paths: "(.*)"', state) == ["ckpt-15", "ckpt-20"]
    checkpoint.save(tmp_path, tiny_detector, 12, keep=1)
    assert checkpoint_file.find_prefix(tmp_path) == f"{tmp_path}/ckpt-12"
    assert len(list(tmp_path.glob("*.index"))) == 1


def test_saving_twice_replaces(tiny_detector, tmp_path):
    checkpoint.save(tmp_path, tiny_detector, 5)
    shift(tiny_detector, 1.0)
    checkpoint.save(tmp_path, tiny_detector, 5)
    saved = values(tiny_detector)
    shift(tiny_detector, 1.0)
    checkpoint.restore_model(tiny_detector, tmp_path)
    require_equal(values(tiny_detector), saved)


@pytest.mark.parametrize("failing", ["data", "index"])
def test_a_failed_write_leaves_the_newest_readable(tiny_detector, tmp_path, monkeypatch, failing):
    checkpoint.save(tmp_path, tiny_detector, 5)
    saved = values(tiny_detector)
    shift(tiny_detector, 1.0)
    replace = os.replace

    def full_disk(source, target):
        # Only our own renames of the finished files; not those inside of TensorFlow.
        if failing in Path(target).name and Path(target).parent == tmp_path:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(
        InputError,
        match=r"ckpt-6: cannot be written \(.*No space left on device.*\);"
        r" earlier checkpoints are untouched",
    ):
        checkpoint.save(tmp_path, tiny_detector, 6)
    monkeypatch.undo()
    assert checkpoint_file.find_prefix(tmp_path) == f"{tmp_path}/ckpt-5"
    checkpoint.restore_model(tiny_detector, tmp_path)
    require_equal(values(tiny_detector), saved)
    assert not list(tmp_path.glob(".writing-*"))


def test_a_folder_that_cannot_be_made(tiny_detector, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"file/checkpoints.*cannot be written"):
        checkpoint.save(tmp_path / "file/checkpoints", tiny_detector, 6)


def test_a_copied_checkpoint_is_read_where_it_lies(tiny_detector, tmp_path):
    checkpoint.save(tmp_path / "a", tiny_detector, 5)
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert checkpoint_file.open_checkpoint(tmp_path / "b").step() == 5
