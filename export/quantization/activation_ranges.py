"""What every tensor of a float network reaches on calibration images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from export import flatbuffer
from export.network_graph import BOX_ENCODINGS
from export.quantization.calibration import Batches
from ssd.errors import GateError
from ssd.tflite_file import SCORES

_NUM_THREADS = 2
# Tensors reach from the lower to this percentile of the images' minima and maxima. Leaving out the
# images that reach furthest costs those something, and gives all others finer steps.
CLIP_PERCENTILE = 97.0
# Ranges have converged when this many more images move them by less than this, on average.
_BLOCK, _CONVERGED = 50, 0.01
# Any real images have pixels that are darker and brighter than this; images / 255 have not.
_PIXELS_REACH = 0.1
_PIXELS_END = 1.01
# Anchors of an image whose boxes have to be exact: as many as there are detections.
_NUM_BEST_ANCHORS = 100


@dataclass(frozen=True)
class ActivationRanges:
    """Extremes by image.

    Attributes:
      tensors: int [T], numbers in the network's file: its input, then the outputs of all operators.
      low, high: float32 [N, T], per image.
      box_reach: float32 [N, 4], the largest |ty|, |tx|, |th|, |tw| in the anchors of the image with
        the highest scores.
    """

    tensors: np.ndarray
    low: np.ndarray
    high: np.ndarray
    box_reach: np.ndarray

    def limits(self, percentile: float = CLIP_PERCENTILE) -> tuple[np.ndarray, np.ndarray]:
        """Returns float [T] low and high of each tensor; at 100 the extremes of all images."""
        low = np.percentile(self.low, 100.0 - percentile, axis=0)
        return low, np.percentile(self.high, percentile, axis=0)

    def change(self) -> float:
        """Returns by which part the last block of 50 images moved the limits, mean of tensors."""
        before = ActivationRanges(
            self.tensors, *(rows[:-_BLOCK] for rows in (self.low, self.high, self.box_reach))
        )
        (low, high), (low_before, high_before) = self.limits(), before.limits()
        moved = np.abs(low - low_before) + np.abs(high - high_before)
        return float(np.mean(moved / np.maximum(high - low, 1e-9)))


def interpreter_of_all_tensors(data: bytes) -> Interpreter:
    """Returns an allocated interpreter of a .tflite whose every tensor can be read after a run."""
    # A delegate keeps what lies between two of its operators to itself.
    interpreter = Interpreter(
        model_content=data,
        num_threads=_NUM_THREADS,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return interpreter


def observe(network: bytes, images: Batches, *, until_converged: bool = False) -> ActivationRanges:
    """Returns the ranges of a float .tflite network that gives box_encodings and scores.

    Args:
      network: as `NetworkGraph` is converted.
      images: at least one.
      until_converged: no more of them than it takes until the ranges hardly move.

    Raises:
      GateError: the values of the images are in another range than the network takes.
    """
    interpreter = interpreter_of_all_tensors(network)
    model = flatbuffer.unpack(network)
    graph, given = model.subgraphs[0], flatbuffer.signature_outputs(model)
    image_tensor = int(graph.inputs[0])
    tensors = [image_tensor, *(int(n) for o in graph.operators for n in o.outputs)]
    low, high, reach = [], [], []
    for image in images():
        interpreter.set_tensor(image_tensor, image)
        interpreter.invoke()
        values = [interpreter.get_tensor(number) for number in tensors]
        low.append([value.min() for value in values])
        high.append([value.max() for value in values])
        scores = interpreter.get_tensor(given[SCORES])[0].max(axis=1)
        best = np.argsort(-scores, kind="stable")[:_NUM_BEST_ANCHORS]
        reach.append(np.abs(interpreter.get_tensor(given[BOX_ENCODINGS])[0][best]).max(axis=0))
        if until_converged and len(low) % _BLOCK == 0 and len(low) > _BLOCK:
            ranges = _ranges(tensors, low, high, reach)
            if ranges.change() < _CONVERGED:
                break
    return _ranges(tensors, low, high, reach)


def _ranges(tensors: list[int], *rows: list[Any]) -> ActivationRanges:
    ranges = ActivationRanges(np.array(tensors), *(np.array(one, np.float32) for one in rows))
    darkest, brightest = float(ranges.low[:, 0].min()), float(ranges.high[:, 0].max())
    is_dull = darkest > -_PIXELS_REACH or brightest < _PIXELS_REACH
    if is_dull or max(-darkest, brightest) > _PIXELS_END:
        raise GateError(
            f"conversion: the values of the calibration images lie in [{darkest:.2f}, "
            f"{brightest:.2f}]; the network takes pixels in [-1, 1]"
        )
    return ranges
