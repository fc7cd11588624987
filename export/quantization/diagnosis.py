"""Where an int8 network loses what: the error of every layer, and the layers to look at first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export import flatbuffer
from export.flatbuffer import code_of, schema
from export.quantization.activation_ranges import interpreter_of_all_tensors
from export.quantization.box_columns import box_tensors, scale_box_columns
from export.quantization.calibration import Batches
from export.quantization.fake_quantized_network import MOVES
from export.quantization.grids import pair_operators
from export.quantization.int8 import Int8Network
from export.quantization.operator_noise import operator_noise

_KINDS = {
    schema.BuiltinOperator.CONV_2D: "conv",
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: "depthwise",
}
# Words of a tensor's path that say nothing about where it is.
_EMPTY_WORDS = ("StatefulPartitionedCall", "separable_conv2d", "classification_backbone")


@dataclass(frozen=True)
class LayerError:
    """What one operator's output loses in int8. SQNR is signal to noise in dB: 6 dB are one bit.

    Attributes:
      tensor: name of its output in the file.
      name: the same for people, as short as it tells where it is.
      kind: "conv", "depthwise", else TFLite's word in small letters, such as "add".
      sqnr: of its output as the file runs, with all errors before it.
      own_sqnr: of its output when it gets what the float network gives it; infinite without error.
      share: the part of the noise in scores and boxes of the best anchors that it makes, 0 to 1.
    """

    tensor: str
    name: str
    kind: str
    sqnr: float
    own_sqnr: float
    share: float


def layer_errors(
    network: bytes, int8_network: Int8Network, images: Batches, *, gives_logits: bool
) -> list[LayerError]:
    """Returns the errors of all layers that compute something, those that cost most first.

    Of box encodings only values that the int8 file means to represent are counted.

    Args:
      network: the float .tflite.
      int8_network: made from it by `int8.quantize`.
      images: at least one; a dozen tells enough.
      gives_logits: whether the network's `scores` are logits.

    Raises:
      InputError: the network has an operator that is not known here.
    """
    model, int8_model = flatbuffer.unpack(network), flatbuffer.unpack(int8_network.data)
    scale_box_columns(model, np.array(int8_network.box_factors))
    noise = operator_noise(model, int8_model, images, gives_logits=gives_logits)
    signal, error = _accumulated(model, int8_model, int8_network.data, images)
    sqnr, own_sqnr = _decibels(signal, error), _decibels(noise.signal, noise.error)
    share = noise.arriving / max(noise.arriving.sum(), np.finfo(float).tiny)
    found = []
    for number, operator in enumerate(model.subgraphs[0].operators):
        code = code_of(model, operator)
        if code in MOVES:
            continue
        tensor = model.subgraphs[0].tensors[int(operator.outputs[0])].name.decode()
        figures = (float(row[number]) for row in (sqnr, own_sqnr, share))
        found.append(LayerError(tensor, short_name(tensor), _kind(code), *figures))
    return sorted(found, key=lambda one: (-one.share, one.sqnr))


def worst_tensors(errors: Sequence[LayerError], n: int) -> tuple[str, ...]:
    """Returns the names that leave the n costliest layers in float (`Int8Settings`)."""
    return tuple(one.tensor for one in errors[:n])


def table(errors: Sequence[LayerError], n: int) -> str:
    """Returns the n costliest layers as plain text for a screen."""
    rows = [("layer", "kind", "SQNR", "own SQNR", "share of the noise")]
    rows += [
        (one.name, one.kind, _text(one.sqnr), _text(one.own_sqnr), f"{100 * one.share:.1f}%")
        for one in errors[:n]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def short_name(tensor: str) -> str:
    """Returns the last three words that tell the place of a tensor named by joined Keras paths.

    Example:
      >>> short_name("ssd_1/box_predictor_1/Relu6_8;ssd_1/box_predictor_1/norm_17/FusedBatchNormV3")
      'box_predictor/norm_17/Relu6_8'
    """
    paths = [path.split("/") for path in tensor.split(";")]
    longest = max(paths[:2], key=len)
    words = [*longest[1:-1], paths[0][-1]]
    kept = [w for w in words if not w.startswith(_EMPTY_WORDS)]
    return "/".join(word.removesuffix("_1") for word in kept[-3:]) or tensor


def _kind(code: int) -> str:
    names = (name for name, value in vars(schema.BuiltinOperator).items() if value == code)
    return _KINDS.get(code) or next(names).lower()


def _text(decibels: float) -> str:
    return f"{decibels:.1f} dB" if np.isfinite(decibels) else "exact"


def _decibels(signal: np.ndarray, error: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = 10.0 * np.log10(signal / error)
    return np.where(error > 0, decibels, np.inf)


def _accumulated(
    model: Any, int8_model: Any, int8_data: bytes, images: Batches
) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 [operators] squared values and squared errors, as both files run."""
    pairs = pair_operators(model, int8_model)
    boxes = set(box_tensors(model) or ())
    floats = _tensors(flatbuffer.pack(model), [int(p.float_operator.outputs[0]) for p in pairs])
    int8s = _tensors(int8_data, [int(p.int8_operator.outputs[0]) for p in pairs])
    sums = np.zeros((2, len(pairs)))
    for image in images():
        both = zip(pairs, floats(image), int8s(image), strict=True)
        for number, (pair, values, given) in enumerate(both):
            counts: Any = ...
            if int(pair.float_operator.outputs[0]) in boxes:
                counts = np.abs(values) <= 1.0  # beyond, they are cut off on purpose
            error = given[counts] - values[counts]
            sums[:, number] += (np.sum(values[counts] ** 2.0), np.sum(error**2.0))
    return sums[0], sums[1]


def _tensors(data: bytes, numbers: Sequence[int]) -> Any:
    """Returns a function: image float32 [1, H, W, 3] in [-1, 1] -> tensors of the file in float."""
    interpreter = interpreter_of_all_tensors(data)
    given = interpreter.get_input_details()[0]
    steps = {one["index"]: one["quantization"] for one in interpreter.get_tensor_details()}

    def run(image: np.ndarray) -> Iterator[np.ndarray]:
        is_pixels = given["dtype"] == np.uint8
        taken = np.rint((image + 1.0) * 127.5).astype(np.uint8) if is_pixels else image
        interpreter.set_tensor(given["index"], taken)
        interpreter.invoke()
        for number in numbers:
            values, (scale, zero_point) = interpreter.get_tensor(number), steps[number]
            is_float = values.dtype == np.float32
            yield values if is_float else (values.astype(np.float32) - zero_point) * scale

    return run
