"""What goes into a raw .tflite, and the files beside it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export import flatbuffer
from export.metadata import LABELS_FILE, labels_text
from export.metadata_writer import Description
from export.raw import c_header, metadata_writer
from export.raw.facts import to_json
from ssd.tflite_metadata import METADATA_NAME
from ssd.tflite_raw import ssd_decode
from ssd.tflite_raw.ssd_decode import DECODING_FILE, Decoding

_ANCHORS_FILE = "anchors.npy"
# Zip entries carry a date; a fixed one keeps the same model the same file.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_C_SOURCES = tuple(Path(__file__).with_name(f"ssd_decode.{suffix}") for suffix in "ch")


def attach(data: bytes, decoding: Decoding, description: Description) -> bytes:
    """Returns the raw .tflite with its metadata, labels and decoding inside.

    labels.txt and decoding.json are appended as a zip, and anchors.npy where the anchors lie on no
    regular grids.

    Args:
      data: a .tflite whose outputs are named.
      decoding: of `facts.decoding_of`.
      description: of the model.
    """
    model = flatbuffer.unpack(data)
    graph = model.subgraphs[0]
    is_float = graph.tensors[int(graph.inputs[0])].type == schema.TensorType.FLOAT32
    metadata = metadata_writer.build(
        description, decoding, label_file=LABELS_FILE, is_float_input=is_float
    )
    kept = [m for m in model.metadata or [] if m.name != METADATA_NAME.encode()]
    model.metadata = [*kept, schema.MetadataT(name=METADATA_NAME, buffer=len(model.buffers))]
    model.buffers.append(schema.BufferT(data=np.frombuffer(metadata, np.uint8)))
    inside = {
        LABELS_FILE: labels_text(decoding.labels).encode(),
        DECODING_FILE: to_json(decoding, anchors_file=_ANCHORS_FILE).encode(),
    }
    if not decoding.levels:
        inside[_ANCHORS_FILE] = _npy(decoding.anchors)
    stream = io.BytesIO(flatbuffer.pack(model))
    with zipfile.ZipFile(stream, "a") as archive:
        for name, content in inside.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), content)
    return stream.getvalue()


def side_files(decoding: Decoding, stem: str) -> dict[str, bytes]:
    """Returns name -> bytes of the files beside <stem>.tflite.

    <stem>_decoding.json, <stem>_anchors.npy (float32 [A, 4]: ycenter, xcenter, height, width) and
    ssd_decode.py; for int8 outputs also <stem>_decoding.h, ssd_decode.c and ssd_decode.h.

    Args:
      decoding: of the file.
      stem: name of the file without its suffix.
    """
    anchors_file = f"{stem}_{_ANCHORS_FILE}"
    python = Path(ssd_decode.__file__)
    files = {
        f"{stem}_{DECODING_FILE}": to_json(decoding, anchors_file=anchors_file).encode(),
        anchors_file: _npy(decoding.anchors),
        python.name: python.read_bytes(),
    }
    if decoding.score_quantization is not None:
        files[f"{stem}_decoding.h"] = c_header.header(decoding, stem).encode()
        files.update({source.name: source.read_bytes() for source in _C_SOURCES})
    return files


def _npy(anchors: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, anchors)
    return stream.getvalue()
