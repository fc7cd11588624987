"""How much memory a training step takes, read off its traced graph.

Tensors are given back after their last use, so a step takes what is alive at its fullest moment:
the end of the forward pass, with every activation that a gradient needs. That sum is found by
walking over the operations in the order in which they were traced. What kernels take beside their
outputs is in two measured numbers (docs/results.md compares with measured runs).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ssd.training.learner import Learner

# Kernels' own buffers and other orders of execution, as a factor of the walk; threads, compiled
# kernels, the allocator. Both measured on CPUs.
_BESIDE_OUTPUTS, _ALWAYS = 1.12, 150e6
# Of the input: in the step, made ready ahead (2), being filled.
_BATCHES_HELD = 4

# The output is the input, in another shape or under another name.
_VIEWS = {"EnsureShape", "ExpandDims", "Identity", "PreventGradient", "Reshape", "Squeeze"} | {
    "StopGradient"
}
# These write over an input of the same size that nobody needs any more.
_IN_PLACE = {
    *("Abs", "Add", "AddN", "AddV2", "BiasAdd", "DivNoNan", "Exp", "Log", "Log1p", "Maximum"),
    *("Minimum", "Mul", "Neg", "Pow", "RealDiv", "Relu", "Relu6", "Relu6Grad", "ReluGrad", "Rsqrt"),
    *("Select", "SelectV2", "Sigmoid", "SigmoidGrad", "Softplus", "Sqrt", "Square", "Sub", "Tanh"),
}
# Theirs is counted as weights, input or part of the program.
_HELD_ELSEWHERE = {"Const", "Placeholder", "ReadVariableOp"}


@dataclass(frozen=True)
class StepMemory:
    """Bytes that training takes on one device beyond those of the variables.

    Attributes:
      fixed: whatever the batch size is.
      per_image: for every image of a (global) batch.
    """

    fixed: float
    per_image: float

    def of(self, batch_size: int) -> float:
        """Returns the bytes with batches of so many images."""
        return self.fixed + self.per_image * batch_size


def step_memory(
    learner: Learner, batch_spec: dict[str, tf.TensorSpec], *, num_replicas: int = 1
) -> StepMemory | None:
    """Returns what a step of this learner takes; its function is traced for it.

    Args:
      learner: its network, losses, optimizer and precision.
      batch_spec: of the batches that this process reads, `element_spec` of the dataset.
      num_replicas: that share a batch, each on a device of its own.

    Returns:
      None where the size of the images is not known before they are read.
    """
    if any(spec.shape.num_elements() is None for spec in batch_spec.values()):
        return None
    batch_size = next(iter(batch_spec.values())).shape[0]
    inputs = sum(_bytes(spec) for spec in batch_spec.values())
    gradients = sum(4 * math.prod(v.shape) for v in learner.detector.network.trainable_variables)
    graph = learner.train_step.get_concrete_function(batch_spec).graph  # type: ignore[attr-defined]
    activations = _BESIDE_OUTPUTS * peak_bytes(graph.get_operations())
    # What does not grow with the batch (constants, kernels' casts) is small beside what does.
    per_image = (activations + _BATCHES_HELD * inputs) / batch_size
    return StepMemory(_ALWAYS + gradients, per_image / num_replicas)


def peak_bytes(operations: Iterable[tf.Operation]) -> int:
    """Returns the most bytes of outputs that are alive at once, run in this order.

    Variables, constants and placeholders are not counted, and of control flow only its outputs.
    An unknown dimension counts as 1.
    """
    operations = list(operations)
    holder = _holders(operations)
    uses = Counter(holder[id(tensor)] for op in operations for tensor in op.inputs)
    alive: dict[int, int] = {}
    total = peak = 0
    for op in operations:
        inputs = Counter(holder[id(tensor)] for tensor in op.inputs)
        for tensor in op.outputs:
            if holder[id(tensor)] != id(tensor) or op.type in _HELD_ELSEWHERE:
                continue
            size = _bytes(tensor)
            replaced = _written_over(op, inputs, uses, alive, size)
            if replaced is not None:
                total -= alive.pop(replaced)
            alive[id(tensor)] = size
            total += size
        peak = max(peak, total)
        uses.subtract(inputs)
        for key in {*inputs, *(holder[id(tensor)] for tensor in op.outputs)}:
            if not uses[key]:
                total -= alive.pop(key, 0)
    return peak


def _holders(operations: Iterable[tf.Operation]) -> dict[int, int]:
    """{id of a tensor: id of the tensor whose memory it is}."""
    holder: dict[int, int] = {}
    for op in operations:
        for number, tensor in enumerate(op.outputs):
            is_view = op.type in _VIEWS and number == 0 and op.inputs
            holder[id(tensor)] = holder[id(op.inputs[0])] if is_view else id(tensor)
    return holder


def _written_over(
    op: tf.Operation, inputs: Counter[int], uses: Counter[int], alive: dict[int, int], size: int
) -> int | None:
    if op.type not in _IN_PLACE or not size:
        return None
    for key, count in inputs.items():
        if uses[key] == count and alive.get(key) == size:
            return key
    return None


def _bytes(tensor: Any) -> int:
    """Of a tensor or its spec."""
    if tensor.dtype in (tf.resource, tf.variant, tf.string) or tensor.shape.rank is None:
        return 0
    return int(math.prod(side or 1 for side in tensor.shape) * tensor.dtype.size)
