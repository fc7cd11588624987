"""Memory that TensorFlow Lite Micro needs for a file, estimated from its graph.

Tensors that are no constants share one block, laid out as its GreedyMemoryPlanner does: by size,
the largest first, each in the first gap between those that live at the same time (the greedy by
size of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
Behind them lie the runtime's own structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.targets.file_graph import FileGraph

_ALIGNMENT = 16
# Of the runtime's structures on a 32-bit processor: TfLiteEvalTensor; node and registration; what a
# kernel keeps of its settings; and, once, interpreter and allocator.
_TENSOR_BYTES, _NODE_BYTES, _KERNEL_BYTES, _FIXED_BYTES = 12, 44, 72, 1024
# Multiplier and shift of every output channel.
_CHANNEL_BYTES = 8
_BY_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@dataclass(frozen=True)
class Lifetime:
    """When a tensor needs its memory.

    Attributes:
      num_bytes: its size.
      first, last: numbers of the ops that make it and that read it last, both included.
    """

    num_bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Arena:
    """An estimate.

    Attributes:
      tensor_bytes: the block that tensors share.
      structure_bytes: the runtime's own structures on a 32-bit processor.
    """

    tensor_bytes: int
    structure_bytes: int

    @property
    def num_bytes(self) -> int:
        """Of both."""
        return self.tensor_bytes + self.structure_bytes


def estimate(graph: FileGraph) -> Arena:
    """Returns what the reference kernels need; optimized ones ask for scratch memory besides."""
    by_channel = sum(
        _CHANNEL_BYTES * graph.tensors[op.outputs[0]].shape[-1]
        for op in graph.ops
        if op.name in _BY_CHANNEL
    )
    structures = (
        _TENSOR_BYTES * len(graph.tensors)
        + (_NODE_BYTES + _KERNEL_BYTES) * len(graph.ops)
        + by_channel
        + _FIXED_BYTES
    )
    return Arena(planned_bytes(lifetimes(graph)), structures)


def lifetimes(graph: FileGraph) -> list[Lifetime]:
    """Returns those of all tensors that ops make or take and that are no constants."""
    first: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    last: dict[int, int] = {}
    for op in graph.ops:
        for number in op.outputs:
            first.setdefault(number, op.number)
            last[number] = op.number
        last.update(dict.fromkeys(op.inputs, op.number))
    last.update(dict.fromkeys(graph.outputs, max(len(graph.ops) - 1, 0)))
    return [
        Lifetime(graph.tensors[number].num_bytes, begin, last.get(number, begin))
        for number, begin in first.items()
        if not graph.tensors[number].is_constant
    ]


def planned_bytes(tensors: Sequence[Lifetime]) -> int:
    """Returns the size of the block in which all tensors find their place.

    Example: 32 and 48 bytes live together, 64 after the first and beside the second, so that the
    64 and the 48 lie behind each other and the 32 where the 64 will be.
      >>> planned_bytes([Lifetime(32, 0, 1), Lifetime(48, 1, 2), Lifetime(64, 2, 3)])
      112
    """
    placed: list[tuple[int, int, Lifetime]] = []  # (begin, end) in bytes
    for tensor in sorted(tensors, key=lambda t: -t.num_bytes):
        size = -(-tensor.num_bytes // _ALIGNMENT) * _ALIGNMENT
        begin = 0
        for other_begin, other_end, other in sorted(placed, key=lambda p: p[:2]):
            if other.first > tensor.last or tensor.first > other.last:
                continue
            if other_begin - begin >= size:
                break
            begin = max(begin, other_end)
        placed.append((begin, begin + size, tensor))
    return max((end for _, end, _ in placed), default=0)
