"""TFLite metadata of a detection file: what its tensors mean, and the labels, inside the .tflite.

MediaPipe Tasks and the TFLite Task Library refuse a detector without it. They find the four outputs
by the names written here, feed pixels as the normalization says, and show the labels.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export import flatbuffer
from export.metadata_writer import Description, build
from ssd.label_map import LabelMap
from ssd.tflite_metadata import METADATA_NAME

LABELS_FILE = "labels.txt"
# With a line for the background first, as apps of the TF1 Object Detection API count.
BACKGROUND_LABELS_FILE = "labels_with_background.txt"
# Line of a class id that no class has; a class list with gaps keeps its numbers.
GAP = "???"

# Zip entries carry a date; a fixed one keeps the same model the same file.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def label_lines(label_map: LabelMap, num_classes: int) -> list[str]:
    """Returns the class names by class index, `num_classes` lines, `???` where an id is unused."""
    names = label_map.display_names
    return [(names[n] if n < len(names) else "") or GAP for n in range(num_classes)]


def labels_text(labels: Sequence[str]) -> str:
    """Returns the text of a label file: one name a line."""
    return "".join(f"{line}\n" for line in labels)


def attach(data: bytes, description: Description, labels: Sequence[str]) -> bytes:
    """Returns the .tflite with metadata inside and labels.txt appended.

    Args:
      data: a .tflite as `flatbuffer.put_in_order` leaves it.
      description: of the model.
      labels: class names by class index.
    """
    model = flatbuffer.unpack(data)
    graph = model.subgraphs[0]
    is_float = graph.tensors[int(graph.inputs[0])].type == schema.TensorType.FLOAT32
    metadata = build(description, label_file=LABELS_FILE, is_float=is_float)
    kept = [m for m in model.metadata or [] if m.name != METADATA_NAME.encode()]
    model.metadata = [*kept, schema.MetadataT(name=METADATA_NAME, buffer=len(model.buffers))]
    model.buffers.append(schema.BufferT(data=np.frombuffer(metadata, np.uint8)))
    return _append(flatbuffer.pack(model), LABELS_FILE, labels_text(labels))


def _append(data: bytes, name: str, text: str) -> bytes:
    """Returns `data` with a zip behind it that holds one text file, uncompressed."""
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), text)
    return stream.getvalue()
