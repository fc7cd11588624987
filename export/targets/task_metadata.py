"""What MediaPipe Tasks and the TFLite Task Library want of a detector's metadata.

The rules are those of their own checks: detection_postprocessing_graph.cc and
image_tensor_specs.cc in github.com/google-ai-edge/mediapipe, object_detector.cc and
image_tensor_specs.cc in github.com/tensorflow/tflite-support.
"""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from export.metadata_writer import OUTPUT_NAMES
from ssd import tflite_file
from ssd.tflite_file import TfliteFile
from ssd.tflite_metadata import (
    BOUNDING_BOX_BOUNDARIES,
    BOUNDING_BOX_PROPERTIES,
    COLOR_SPACE_RGB,
    COORDINATE_RATIO,
    IMAGE_PROPERTIES,
    Slots,
    Table,
)

_AGAIN = "attach the metadata again"


def problems(data: bytes) -> list[str]:
    """Returns what is missing or wrong in the metadata of an `nms` file; empty if nothing is."""
    metadata = tflite_file.metadata_of(schema.Model.GetRootAs(data))
    if metadata is None:
        return [f"the file has no metadata, without which the library refuses it; {_AGAIN}"]
    file = tflite_file.parse(data)
    subgraphs = Table.root(metadata).tables(Slots.model["subgraphs"])
    inputs, outputs = (
        subgraphs[0].tables(Slots.subgraph[side]) if subgraphs else [] for side in _SIDES
    )
    names = tuple(output.text(Slots.tensor["name"]) for output in outputs)
    if len(inputs) != 1 or names != OUTPUT_NAMES:
        return [
            f"the metadata describes {len(inputs)} inputs and the outputs {list(names)}, expected "
            f"1 and {list(OUTPUT_NAMES)}; {_AGAIN}"
        ]
    return [*_of_image(inputs[0]), *_of_boxes(outputs[0]), *_of_labels(file)]


_SIDES = ("inputs", "outputs")


def _of_image(image: Table) -> list[str]:
    content = image.table(Slots.tensor["content"])
    kind = content.int8(Slots.content["properties_type"]) if content else 0
    properties = content.table(Slots.content["properties"]) if content else None
    if kind != IMAGE_PROPERTIES or properties is None:
        return [f"the metadata does not say that the input is an image; {_AGAIN}"]
    if properties.int8(Slots.image["color_space"]) != COLOR_SPACE_RGB:
        return [f"the metadata does not say that the input is RGB; {_AGAIN}"]
    return []


def _of_boxes(location: Table) -> list[str]:
    content = location.table(Slots.tensor["content"])
    kind = content.int8(Slots.content["properties_type"]) if content else 0
    box = content.table(Slots.content["properties"]) if content else None
    if kind != BOUNDING_BOX_PROPERTIES or box is None:
        return [f"the metadata of output 'location' has no BoundingBoxProperties; {_AGAIN}"]
    if (
        box.int8(Slots.bounding_box["type"]) != BOUNDING_BOX_BOUNDARIES
        or box.int8(Slots.bounding_box["coordinate_type"]) != COORDINATE_RATIO
    ):
        return [f"the metadata of output 'location' is not of BOUNDARIES in RATIO; {_AGAIN}"]
    order = box.int32s(Slots.bounding_box["index"])
    # Left, top, right, bottom out of ymin, xmin, ymax, xmax.
    if order != [1, 0, 3, 2]:
        return [f"the metadata reads boxes in the order {order}, expected [1, 0, 3, 2]; {_AGAIN}"]
    return []


def _of_labels(file: TfliteFile) -> list[str]:
    num_classes = int(file.detection_options.get("num_classes", 0))
    if file.labels is None:
        return [f"the file holds no labels for output 'category'; {_AGAIN}"]
    if len(file.labels) < num_classes:
        return [
            f"the labels in the file have {len(file.labels)} lines for {num_classes} classes; "
            "give --label-map the one it was trained with"
        ]
    return []
