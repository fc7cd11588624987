"""`--set section.field=value`."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format

from ssd.config import overrides
from ssd.config.messages import TrainEvalPipelineConfig
from ssd.errors import InputError

CONFIG = """
model { ssd { num_classes: 3 image_resizer { fixed_shape_resizer { height: 96 width: 128 } } } }
train_config {
  batch_size: 128
  optimizer { momentum_optimizer { momentum_optimizer_value: 0.9 } use_moving_average: false }
  data_augmentation_options { random_horizontal_flip {} }
  data_augmentation_options { random_crop_image { min_area: 0.75 } }
}
train_input_reader { tf_record_input_reader { input_path: "old" } }
eval_input_reader { shuffle: false }
"""


def changed(*settings: str) -> Any:
    config = text_format.Parse(CONFIG, TrainEvalPipelineConfig())
    for setting in settings:
        overrides.apply(config, setting)
    return config


def test_numbers_truths_and_enums() -> None:
    config = changed(
        "train_config.batch_size=8",
        "train_config.gradient_clipping_by_norm = 1e-3",
        "train_config.fine_tune_checkpoint_version=V2",
        "eval_input_reader[0].shuffle=true",
    )
    assert config.train_config.batch_size == 8
    assert config.train_config.gradient_clipping_by_norm == pytest.approx(0.001, rel=1e-7)
    assert config.train_config.fine_tune_checkpoint_version == 2
    assert config.eval_input_reader[0].shuffle is True


@pytest.mark.parametrize(("written", "value"), [("0x10", 16), ("011", 9), ("+7", 7), ("0", 0)])
def test_whole_numbers_are_written_as_in_a_file(written: str, value: int) -> None:
    assert changed(f"train_config.num_steps={written}").train_config.num_steps == value


def test_floats_are_those_of_a_file() -> None:
    from_file = text_format.Parse(
        "train_config { gradient_clipping_by_norm: 0.08 }", TrainEvalPipelineConfig()
    )
    from_set = TrainEvalPipelineConfig()
    overrides.apply(from_set, "train_config.gradient_clipping_by_norm=0.08")
    assert from_set == from_file


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("a/b", "a/b"),
        ("C:\\new\\t", "C:\\new\\t"),
        ('"a b"', "a b"),
        ("'it'", "it"),
        ("", ""),
        ("a=b", "a=b"),
        ("it's", "it's"),
    ],
)
def test_text_needs_no_quotes(written: str, text: str) -> None:
    config = changed(f"train_config.fine_tune_checkpoint={written}")
    assert config.train_config.fine_tune_checkpoint == text


@pytest.mark.parametrize(
    ("written", "paths"),
    [
        ("a,b", ["a", "b"]),
        ("[a, b]", ["a", "b"]),
        ("['a,b', c]", ["a,b", "c"]),
        ("data/*-of-00004", ["data/*-of-00004"]),
        ("[]", []),
        ("", []),
    ],
)
def test_lists_replace_the_list_that_was_there(written: str, paths: list[str]) -> None:
    config = changed(f"train_input_reader.tf_record_input_reader.input_path={written}")
    assert list(config.train_input_reader.tf_record_input_reader.input_path) == paths


def test_items_of_lists_can_be_set_and_appended() -> None:
    path = "train_input_reader.tf_record_input_reader.input_path"
    config = changed(f"{path}[1]=second", f"{path}[0]=first")
    assert list(config.train_input_reader.tf_record_input_reader.input_path) == ["first", "second"]
    config = changed("train_config.data_augmentation_options[2]={ ssd_random_crop {} }")
    options = config.train_config.data_augmentation_options
    kinds = [option.WhichOneof("preprocessing_step") for option in options]
    assert kinds == ["random_horizontal_flip", "random_crop_image", "ssd_random_crop"]


def test_inside_a_list() -> None:
    path = "train_config.data_augmentation_options[0].random_horizontal_flip.probability"
    options = changed(f"{path}=0.3").train_config.data_augmentation_options
    assert options[0].random_horizontal_flip.probability == pytest.approx(0.3)
    assert options[1].HasField("random_crop_image")


def test_a_list_of_one_needs_no_index() -> None:
    config = TrainEvalPipelineConfig()
    config.eval_input_reader.add()
    assert overrides.apply(config, "eval_input_reader.shuffle=1") == "eval_input_reader[0].shuffle"
    assert config.eval_input_reader[0].shuffle is True


def test_a_section_replaces_the_section() -> None:
    text = "{ momentum_optimizer { learning_rate { constant_learning_rate {} } } }"
    optimizer = changed(f"train_config.optimizer={text}").train_config.optimizer
    assert optimizer.momentum_optimizer.learning_rate.HasField("constant_learning_rate")
    assert not optimizer.momentum_optimizer.HasField("momentum_optimizer_value")
    assert not optimizer.HasField("use_moving_average")


def test_lists_of_sections_are_replaced() -> None:
    one = changed("train_config.data_augmentation_options={ ssd_random_crop {} }")
    assert len(one.train_config.data_augmentation_options) == 1
    none = changed("train_config.data_augmentation_options=[]")
    assert len(none.train_config.data_augmentation_options) == 0


def test_an_empty_section_is_there() -> None:
    config = changed("train_config.optimizer.adam_optimizer={}")
    assert config.train_config.optimizer.WhichOneof("optimizer") == "adam_optimizer"


def test_an_alternative_clears_the_other() -> None:
    path = "model.ssd.image_resizer.keep_aspect_ratio_resizer.min_dimension"
    resizer = changed(f"{path}=300").model.ssd.image_resizer
    assert resizer.WhichOneof("image_resizer_oneof") == "keep_aspect_ratio_resizer"
    assert not resizer.HasField("fixed_shape_resizer")


def test_maps_take_entries() -> None:
    config = changed('eval_config.super_categories={ key: "VEHICLE" value: "car" }')
    assert dict(config.eval_config.super_categories) == {"VEHICLE": "car"}


def test_the_changed_path_is_returned() -> None:
    config = TrainEvalPipelineConfig()
    assert overrides.apply(config, " train_config.batch_size = 8") == "train_config.batch_size"


BAD = {
    "unknown field": (
        "train_config.batch_sise=8",
        r"^--set train_config\.batch_sise=8: unknown field\. Did you mean batch_size\?$",
    ),
    "unknown section": ("trainconfig.batch_size=8", r": unknown field\. Did you mean train_config"),
    "field of another section": (
        "model.batch_size=8",
        r": unknown field here\. It belongs in eval_config or train_config\.",
    ),
    "top level inside a section": (
        "train_config.model={}",
        r"model=\{\}: unknown field\. Known here: batch_size",
    ),
    "no value": (
        "train_config.batch_size",
        r"^--set train_config\.batch_size: expected section\.f",
    ),
    "no path": ("=8", r"^--set =8: expected section\.field=value"),
    "empty number": ("train_config.batch_size=", r"got nothing; expected a whole number"),
    "text for a number": ("train_config.batch_size=big", r"big: got big; expected a whole number"),
    "two numbers": ("train_config.batch_size=8 9", r": got 8 9; expected a whole number"),
    "wrong enum": (
        "train_config.fine_tune_checkpoint_version=2.0",
        r"got 2\.0; expected one of UN",
    ),
    "value for a section": (
        "train_config.optimizer=adam",
        r": got adam; expected a section in braces, optimizer=\{ \.\.\. \}\.$",
    ),
    "nothing for a section": ("train_config.optimizer=", r": got nothing; expected a section"),
    "mistake inside a section": (
        "train_config.optimizer={ momentum_optimiser {} }",
        r"\}: train_config\.optimizer\.momentum_optimiser: unknown field\. Did you mean momentum_",
    ),
    "wrong value inside a section": (
        "train_config.optimizer={ use_moving_average: no }",
        r": train_config\.optimizer\.use_moving_average: got no; expected true or false",
    ),
    "brace not closed": (
        "train_config.optimizer={ adam_optimizer {",
        r"optimizer\.adam_optimizer: the { opened here is never closed; add a }",
    ),
    "two sections for one": (
        "train_config.optimizer={} optimizer {}",
        r": set a second time; line 1 sets it already",
    ),
    "index on a single field": (
        "train_config[0].batch_size=8",
        r"train_config is no list; write it",
    ),
    "index beyond the end": (
        "eval_input_reader[3].shuffle=true",
        r"there is no eval_input_reader\[3\]; the list has 1 items, so \[0\] to \[1\] can be set",
    ),
    "index beyond the end of values": (
        "train_input_reader.tf_record_input_reader.input_path[4]=x",
        r"there is no input_path\[4\]; the list has 1 items",
    ),
    "index missing": (
        "train_config.data_augmentation_options.random_horizontal_flip.probability=0.3",
        r"data_augmentation_options is a list of 2; write data_augmentation_options\[0\] for",
    ),
    "field of a value": (
        "train_config.batch_size.x=8",
        r"batch_size is no section; nothing can be",
    ),
    "not a name": ("train_config.batch size=8", r"'batch size' is not a field name"),
    "negative index": (
        "eval_input_reader[-1].shuffle=true",
        r"'eval_input_reader\[-1\]' is not a f",
    ),
    "two sections for an item": (
        "eval_input_reader[0]=[{}, {}]",
        r"got 2 sections for one item of a list",
    ),
}


@pytest.mark.parametrize(("setting", "message"), BAD.values(), ids=BAD.keys())
def test_mistakes_name_the_set_argument(setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        changed(setting)
    assert str(raised.value).startswith("--set ")
    assert "\n" not in str(raised.value)
