from __future__ import annotations

import io
import zipfile

import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export import metadata
from export.metadata_writer import Description, build
from export.tflite import TfliteConverter
from ssd import tflite_file
from ssd.label_map import LabelMap, LabelMapItem
from ssd.tflite_metadata import METADATA_IDENTIFIER, Slots, Table, TensorDescription
from ssd.tflite_predictor import label_map_of_lines

LABELS = ["Schraube M5", "écrou", "washer"]


@pytest.fixture(scope="module")
def root() -> Table:
    data = build(
        Description("name", "what", "ckpt-8", "somebody", "CC-BY-4.0"),
        label_file="labels.txt",
        is_float=True,
    )
    assert data[4:8] == METADATA_IDENTIFIER
    return Table.root(data)


@pytest.fixture(scope="module")
def with_metadata(_shared_small_detector) -> bytes:
    data = TfliteConverter(_shared_small_detector[0]).nms().data
    return metadata.attach(data, Description("small", "two convolutions"), LABELS)


def subgraph(root: Table) -> Table:
    (graph,) = root.tables(Slots.model["subgraphs"])
    return graph


def test_texts_of_the_model(root):
    texts = [
        root.text(Slots.model[name])
        for name in ("name", "description", "version", "author", "license", "min_parser_version")
    ]
    assert texts == ["name", "what", "ckpt-8", "somebody", "CC-BY-4.0", "1.2.0"]


def test_empty_texts_are_left_out():
    data = build(Description("n", "d"), label_file="labels.txt", is_float=True)
    assert Table.root(data).text(Slots.model["author"]) == ""
    assert len(data) < len(
        build(Description("n", "d", author="a"), label_file="labels.txt", is_float=True)
    )


@pytest.mark.parametrize(
    ("is_float", "lowest", "highest", "text"),
    [
        pytest.param(True, [-1.0], [1.0], "(pixel - 127.5) / 127.5", id="float"),
        pytest.param(False, [0.0], [255.0], "pixels as they are", id="uint8"),
    ],
)
def test_input(is_float, lowest, highest, text):
    data = build(Description("n", "d"), label_file="labels.txt", is_float=is_float)
    (image,) = subgraph(Table.root(data)).tables(Slots.subgraph["inputs"])
    assert image.text(Slots.tensor["name"]) == "image"
    assert text in image.text(Slots.tensor["description"])
    content = image.table(Slots.tensor["content"])
    assert content.int8(Slots.content["properties_type"]) == 2  # ImageProperties
    properties = content.table(Slots.content["properties"])
    assert properties.int8(Slots.image["color_space"]) == 1  # RGB
    (unit,) = image.tables(Slots.tensor["process_units"])
    assert unit.int8(Slots.process_unit["options_type"]) == 1  # NormalizationOptions
    options = unit.table(Slots.process_unit["options"])
    assert options.floats(Slots.normalization["mean"]) == [127.5]
    assert options.floats(Slots.normalization["std"]) == [127.5]
    stats = image.table(Slots.tensor["stats"])
    assert stats.floats(Slots.stats["min"]) == lowest
    assert stats.floats(Slots.stats["max"]) == highest


def test_outputs(root):
    outputs = subgraph(root).tables(Slots.subgraph["outputs"])
    names = [output.text(Slots.tensor["name"]) for output in outputs]
    assert names == ["location", "category", "score", "number of detections"]
    contents = [output.table(Slots.tensor["content"]) for output in outputs]
    # BoundingBoxProperties, then three times FeatureProperties
    assert [c.int8(Slots.content["properties_type"]) for c in contents] == [3, 1, 1, 1]
    assert all(c.table(Slots.content["properties"]) is not None for c in contents)
    box = contents[0].table(Slots.content["properties"])
    assert box.int32s(Slots.bounding_box["index"]) == [1, 0, 3, 2]
    assert box.int8(Slots.bounding_box["type"]) == 1  # BOUNDARIES
    assert box.int8(Slots.bounding_box["coordinate_type"]) == 0  # RATIO
    ranges = [c.table(Slots.content["range"]) for c in contents]
    assert ranges[3] is None
    for value_range in ranges[:3]:
        assert value_range.int32(Slots.value_range["min"]) == 2
        assert value_range.int32(Slots.value_range["max"]) == 2
    files = [output.tables(Slots.tensor["files"]) for output in outputs]
    assert [len(of) for of in files] == [0, 1, 0, 0]
    assert files[1][0].text(Slots.file["name"]) == "labels.txt"
    assert files[1][0].int8(Slots.file["type"]) == 3  # TENSOR_VALUE_LABELS


def test_output_group(root):
    (group,) = subgraph(root).tables(Slots.subgraph["output_groups"])
    assert group.text(Slots.group["name"]) == "detection_result"
    assert group.texts(Slots.group["tensor_names"]) == [
        "location",
        "category",
        "score",
        "number of detections",
    ]


def test_attached_file_says_it_all_and_still_runs(with_metadata):
    read = tflite_file.parse(with_metadata)
    assert read.inputs == (TensorDescription("image", 127.5, 127.5),)
    assert [output.name for output in read.outputs] == [
        "location",
        "category",
        "score",
        "number of detections",
    ]
    assert [output.label_file for output in read.outputs] == ["", "labels.txt", "", ""]
    assert read.labels == tuple(LABELS)
    assert read.detection_options["num_classes"] == 3
    interpreter = Interpreter(model_content=with_metadata)
    interpreter.allocate_tensors()
    interpreter.invoke()


def test_labels_are_a_plain_zip_entry(with_metadata):
    with zipfile.ZipFile(io.BytesIO(with_metadata)) as archive:
        (entry,) = archive.infolist()
        assert entry.filename == "labels.txt"
        # Consumers map the text in place.
        assert entry.compress_type == zipfile.ZIP_STORED
        assert archive.read(entry).decode() == "Schraube M5\nécrou\nwasher\n"


def test_same_model_same_bytes(small_detector, with_metadata):
    again = metadata.attach(
        TfliteConverter(small_detector).nms().data, Description("small", "two convolutions"), LABELS
    )
    assert again == with_metadata


def test_metadata_buffer_is_found_by_its_public_name(with_metadata):
    model = schema.Model.GetRootAs(with_metadata)
    names = [model.Metadata(n).Name() for n in range(model.MetadataLength())]
    assert names.count(b"TFLITE_METADATA") == 1
    assert b"min_runtime_version" in names
    assert tflite_file.metadata_of(model)[4:8] == b"M001"


def test_attaching_again_replaces(with_metadata):
    end = zipfile.ZipFile(io.BytesIO(with_metadata)).infolist()[0].header_offset
    again = metadata.attach(with_metadata[:end], Description("other", "d"), ["a", "b", "c"])
    read = tflite_file.parse(again)
    assert read.labels == ("a", "b", "c")
    model = schema.Model.GetRootAs(again)
    names = [model.Metadata(n).Name() for n in range(model.MetadataLength())]
    assert names.count(b"TFLITE_METADATA") == 1


@pytest.mark.parametrize(
    ("items", "num_classes", "lines"),
    [
        pytest.param([(1, "cat", ""), (2, "dog", "")], 2, ["cat", "dog"], id="plain"),
        pytest.param([(1, "/m/01yrx", "Cat")], 1, ["Cat"], id="display name"),
        pytest.param([(1, "cat", ""), (3, "cow", "")], 3, ["cat", "???", "cow"], id="gap"),
        pytest.param([(1, "cat", "")], 3, ["cat", "???", "???"], id="unused at the end"),
        pytest.param([(2, "cat", "")], 2, ["???", "cat"], id="unused at the start"),
    ],
)
def test_label_lines(items, num_classes, lines):
    label_map = LabelMap(tuple(LabelMapItem(*item) for item in items))
    assert metadata.label_lines(label_map, num_classes) == lines
    # What a reader of the file makes of them.
    back = label_map_of_lines(lines, num_classes)
    assert [item.id for item in back.items] == [item.id for item in label_map.items]
    assert back.display_names == label_map.display_names
