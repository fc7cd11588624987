"""The schema as data, and the classes built from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ssd.config import messages
from ssd.config.messages import StringIntLabelMap, TrainEvalPipelineConfig, message_class

PACKAGE = "object_detection.protos."
# Taken out of the original since, but still in pipeline.configs of its TF1 model zoo.
RETIRED = {"SsdFeatureExtractor": {"batch_norm_trainable"}}
# Type numbers of descriptor.proto.
TYPE_NAMES = {2: "float", 5: "int32", 8: "bool", 9: "string", 13: "uint32"}


@pytest.fixture(scope="module")
def facts(shared: Path) -> dict[str, Any]:
    """The original's schema, as recorded from its descriptors."""
    recorded: dict[str, Any] = json.loads((shared / "oracle/pipeline_schema.json").read_text())
    return recorded


def type_name(field: Any) -> str:
    """The type of a FieldDescriptor, as the record writes it."""
    named = field.message_type or field.enum_type
    return named.full_name if named is not None else TYPE_NAMES[field.type]


def test_every_recorded_message_and_no_other_exists(facts: dict[str, Any]) -> None:
    recorded = {
        name.removeprefix(PACKAGE)
        for name, fact in facts.items()
        if fact["kind"] == "message" and not fact.get("map_entry")
    }
    assert set(messages.read_schema()["messages"]) == recorded


def test_fields_have_the_recorded_numbers_types_and_labels(facts: dict[str, Any]) -> None:
    for name, fact in facts.items():
        if fact["kind"] != "message":
            continue
        built = message_class(name.removeprefix(PACKAGE)).DESCRIPTOR.fields_by_name
        recorded = {field["name"] for field in fact["fields"]}
        assert set(built) == recorded | RETIRED.get(name.removeprefix(PACKAGE), set()), name
        for fact_field in fact["fields"]:
            field = built[fact_field["name"]]
            label = "repeated" if messages.is_repeated(field) else "optional"
            recorded = (fact_field["number"], fact_field["type"], fact_field["label"])
            assert (field.number, type_name(field), label) == recorded, field.full_name
            is_deprecated = fact_field.get("deprecated", False)
            assert field.GetOptions().deprecated == is_deprecated, field.full_name


def test_defaults_are_the_recorded_ones(facts: dict[str, Any]) -> None:
    compared = 0
    for name, fact in facts.items():
        if fact["kind"] != "message" or fact.get("map_entry"):
            continue
        descriptor = message_class(name.removeprefix(PACKAGE)).DESCRIPTOR
        empty = message_class(name.removeprefix(PACKAGE))()
        for field in fact["fields"]:
            built = descriptor.fields_by_name[field["name"]]
            assert built.has_default_value == ("default" in field), f"{name}.{field['name']}"
            if "default" not in field:
                continue
            value = getattr(empty, field["name"])
            if built.enum_type is not None:
                value = built.enum_type.values_by_number[value].name
            expected = field["default"]
            if isinstance(expected, float):
                # Floats are kept in 32 bits: 0.997 is 0.99699998.
                expected = pytest.approx(expected, rel=1e-7)
            assert value == expected, f"{name}.{field['name']}"
            assert isinstance(value, type(field["default"])), f"{name}.{field['name']}"
            assert not empty.HasField(field["name"])
            compared += 1
    assert compared == 509


def test_enums_have_the_recorded_values(facts: dict[str, Any]) -> None:
    recorded = {
        name.removeprefix(PACKAGE): fact["values"]
        for name, fact in facts.items()
        if fact["kind"] == "enum"
    }
    assert messages.read_schema()["enums"] == recorded


def test_alternatives_are_the_recorded_ones(facts: dict[str, Any]) -> None:
    for name, fact in facts.items():
        if fact["kind"] != "message":
            continue
        descriptor = message_class(name.removeprefix(PACKAGE)).DESCRIPTOR
        built = {oneof.name: {field.name for field in oneof.fields} for oneof in descriptor.oneofs}
        assert built == {key: set(value) for key, value in fact.get("oneofs", {}).items()}, name


def test_maps_are_the_recorded_ones(facts: dict[str, Any]) -> None:
    recorded = {name for name, fact in facts.items() if fact.get("map_entry")}
    built = set()
    for name in messages.read_schema()["messages"]:
        for field in message_class(name).DESCRIPTOR.fields:
            if messages.is_map(field):
                built.add(field.message_type.full_name)
    assert built == recorded
    assert len(built) == 5


def test_unset_fields_show_their_default_and_are_not_there() -> None:
    config = TrainEvalPipelineConfig()
    assert config.train_config.optimizer.use_moving_average is True
    assert config.train_config.fine_tune_checkpoint_version == 1  # V1
    assert config.eval_config.groundtruth_box_visualization_color == "black"
    assert config.train_config.batch_size == 32
    assert not config.HasField("train_config")
    assert not config.train_config.HasField("batch_size")


def test_a_float_default_equals_the_same_number_set() -> None:
    config = TrainEvalPipelineConfig()
    hyperparams = config.model.ssd.feature_extractor.conv_hyperparams
    default = hyperparams.batch_norm.decay
    hyperparams.batch_norm.decay = 0.999
    assert hyperparams.batch_norm.decay == default
    # 0.999 in 32 bits.
    assert default == 0.9990000128746033


def test_a_field_set_to_its_default_is_there() -> None:
    config = TrainEvalPipelineConfig()
    config.train_config.batch_size = 32
    assert config.train_config.HasField("batch_size")


def test_setting_one_alternative_clears_the_other() -> None:
    resizer = TrainEvalPipelineConfig().model.ssd.image_resizer
    resizer.fixed_shape_resizer.height = 120
    resizer.keep_aspect_ratio_resizer.min_dimension = 200
    assert resizer.WhichOneof("image_resizer_oneof") == "keep_aspect_ratio_resizer"
    assert not resizer.HasField("fixed_shape_resizer")


def test_maps_are_dictionaries() -> None:
    config = TrainEvalPipelineConfig()
    config.eval_config.super_categories["VEHICLE"] = "car,truck"
    assert dict(config.eval_config.super_categories) == {"VEHICLE": "car,truck"}
    calibration = config.model.ssd.post_processing.calibration_config
    calibration.class_id_sigmoid_calibrations.class_id_sigmoid_parameters_map[3].a = 0.5
    again = TrainEvalPipelineConfig.FromString(config.SerializeToString())
    assert again == config


def test_wire_format_is_that_of_the_field_numbers() -> None:
    # item is field 1 (tag 0x0a, 7 bytes); name is field 1, id field 2 (tag 0x10), 300 = 0xac 0x02.
    label_map = StringIntLabelMap.FromString(b"\x0a\x07\x0a\x02ab\x10\xac\x02")
    assert (label_map.item[0].name, label_map.item[0].id) == ("ab", 300)


def test_the_default_pool_stays_free_of_our_names() -> None:
    from google.protobuf import descriptor_pool

    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}TrainEvalPipelineConfig")


def test_paths_reach_every_section() -> None:
    paths = dict(messages.fields_by_path(TrainEvalPipelineConfig.DESCRIPTOR))
    field = paths["model.ssd.box_predictor.convolutional_box_predictor.conv_hyperparams.batch_norm"]
    assert field.message_type.name == "BatchNorm"
    assert messages.is_repeated(paths["eval_input_reader"])
    assert not messages.is_repeated(paths["train_input_reader"])
