"""Files of the small detector, and small graphs written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from export import metadata
from export.metadata_writer import Description
from export.raw import facts, files
from export.targets.file_graph import FileGraph, Op, Tensor
from export.tflite import TfliteConverter
from ssd.models.detector import Detector

_LABELS = ("bolt", "nut", "washer")


@pytest.fixture(scope="session")
def made(
    _shared_small_detector: tuple[Detector, list[np.ndarray]], photos: np.ndarray
) -> dict[tuple[str, str], bytes]:
    """(form, quantize) -> the finished file of the small detector."""
    detector, initial = _shared_small_detector
    for variable, value in zip(detector.network.variables, initial, strict=True):
        variable.assign(value)
    images = [(photo[np.newaxis] / 127.5 - 1).astype(np.float32) for photo in photos]
    converter = TfliteConverter(detector, lambda: iter(images))
    about = Description("small", "a test")
    done = {}
    for quantize in ("none", "int8"):
        data = converter.nms(quantize).data
        done["nms", quantize] = metadata.attach(data, about, _LABELS)
        raw = converter.raw(quantize)
        decoding = facts.decoding_of(detector, raw.data, _LABELS, box_factors=raw.box_factors)
        done["raw", quantize] = files.attach(raw.data, decoding, about)
    done["nms", "regular"] = metadata.attach(converter.nms(kind="regular").data, about, _LABELS)
    done["nms", "bare"] = converter.nms().data
    return done


@dataclass(frozen=True)
class Settings:
    """What rules ask an op for."""

    fusedActivationFunction: int = 0  # noqa: N815
    dilationHFactor: int = 1  # noqa: N815
    dilationWFactor: int = 1  # noqa: N815
    ellipsisMask: int = 0  # noqa: N815
    newAxisMask: int = 0  # noqa: N815
    halfPixelCenters: bool = False  # noqa: N815
    strideH: int = 1  # noqa: N815
    strideW: int = 1  # noqa: N815
    axis: int = 1


def chain(
    *names: str,
    shapes: Sequence[tuple[int, ...]] = (),
    dtypes: Sequence[str] = (),
    settings: Sequence[Settings] = (),
    is_fixed: bool = True,
) -> FileGraph:
    """Ops one behind the other; tensor n goes into op n, int8 [1, 4, 6, 8] unless said."""
    count = len(names)
    shapes = [*shapes, *[(1, 4, 6, 8)] * (count + 1 - len(shapes))]
    dtypes = [*dtypes, *["int8"] * (count + 1 - len(dtypes))]
    tensors = tuple(
        Tensor(f"t{n}", dtype, shape, is_fixed, False)
        for n, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
    )
    ops = tuple(
        Op(
            number=n,
            name=name,
            dtype=dtypes[n] if dtypes[n] == dtypes[n + 1] else f"{dtypes[n]}->{dtypes[n + 1]}",
            is_int8={dtypes[n], dtypes[n + 1]} <= {"int8", "uint8"},
            is_custom=False,
            macs=100 if "CONV" in name else 0,
            version=1,
            inputs=(n,),
            outputs=(n + 1,),
            output_name=f"t{n + 1}",
            settings=settings[n] if n < len(settings) else Settings(),
        )
        for n, name in enumerate(names)
    )
    return FileGraph(tensors, ops, (0,), (count,), 1, False, 1000)


@pytest.fixture(scope="session")
def ops_in_a_row() -> Callable[..., FileGraph]:
    """`chain`."""
    return chain


@pytest.fixture(scope="session")
def op_settings() -> type[Settings]:
    """What an op's builtinOptions say."""
    return Settings


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[object, FileGraph], bytes]:
    """Makes a target's module read a graph, whatever the bytes; returns those."""

    def read(module: object, graph: FileGraph) -> bytes:
        monkeypatch.setattr(module, "read", lambda data: replace(graph, num_bytes=len(data)))
        return b"file"

    return read
