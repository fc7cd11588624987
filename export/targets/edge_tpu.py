"""--target edgetpu: what Coral's compiler will map to the Edge TPU, checked without it.

The compiler cuts a file once: an op that the Edge TPU does not have runs on the CPU, and so does
every op that needs what it makes. So nothing of the network may stand behind such an op; what
decodes boxes and removes overlaps in an `nms` file does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from export.targets import op_rules
from export.targets.file_graph import FileGraph, Op, read
from export.targets.findings import Findings
from export.targets.supported_ops import EDGE_TPU

_RUNNER = "the Edge TPU"
_NUM_LARGE_DIMENSIONS = 3
_NO_ACTIVATION = 0


def check(data: bytes, target: str) -> Findings:
    """Returns what the Edge TPU's published rules say about an int8 file of either form."""
    graph = read(data)
    reasons = op_rules.unsupported(graph, EDGE_TPU, _RUNNER)
    for op in graph.ops:
        if op.number not in reasons and (reason := _limit(op, graph)):
            reasons[op.number] = reason
    on_cpu = _behind(graph, set(reasons))
    convolutions = sum(op.macs > 0 for op in on_cpu)
    problems = []
    if convolutions:
        problems.append(
            f"{reasons[min(reasons)]}: with what needs its output {len(on_cpu)} ops, "
            f"{convolutions} convolutions among them, would run on the CPU; export --quantize "
            "int8, or choose a feature extractor without that op"
        )
    if graph.num_subgraphs != 1:
        problems.append(f"the file has {graph.num_subgraphs} subgraphs; {_RUNNER} takes one")
    num_mapped = len(graph.ops) - len(on_cpu)
    facts = {
        **op_rules.share_facts(graph),
        "edge_tpu_ops": num_mapped,
        "cpu_ops": len(on_cpu),
        "first_cpu_op": str(on_cpu[0]) if on_cpu else None,
    }
    where = f" (from {on_cpu[0]} on)" if on_cpu else ""
    line = f"{num_mapped} ops for the Edge TPU, {len(on_cpu)} on the CPU{where}; compile it with "
    return Findings(
        target, tuple(problems), facts, (op_rules.share_line(graph), line + "edgetpu_compiler")
    )


def _behind(graph: FileGraph, numbers: set[int]) -> list[Op]:
    """Returns these ops and all that need what they make, in the order of execution."""
    found: list[Op] = []
    made: set[int] = set()
    for op in graph.ops:
        if op.number in numbers or made.intersection(op.inputs):
            found.append(op)
            made.update(op.outputs)
    return found


def _limit(op: Op, graph: FileGraph) -> str | None:
    """Returns which of the published limits an op breaks, or None."""
    for number in (*op.inputs, *op.outputs):
        tensor = graph.tensors[number]
        # Sizes above 1 in the three innermost dimensions only; weights are no such tensors.
        if not tensor.is_constant and any(n > 1 for n in tensor.shape[:-_NUM_LARGE_DIMENSIONS]):
            return (
                f"{op}: tensor {tensor.name!r} is {list(tensor.shape)}, but {_RUNNER} has three "
                "dimensions"
            )
    limit = _LIMITS.get(op.name)
    said = limit(op.settings, op, graph) if limit is not None and op.settings is not None else None
    return f"{op}: {_RUNNER} wants {said}" if said else None


def _no_activation(settings: Any, op: Op, graph: FileGraph) -> str | None:
    return None if settings.fusedActivationFunction == _NO_ACTIVATION else "no fused activation"


def _same_dilation(settings: Any, op: Op, graph: FileGraph) -> str | None:
    is_same = settings.dilationHFactor == settings.dilationWFactor
    return None if is_same else "the same dilation in x and y"


def _unit_strides(settings: Any, op: Op, graph: FileGraph) -> str | None:
    return "no ellipsis and no new axes" if settings.ellipsisMask or settings.newAxisMask else None


def _plain_resize(settings: Any, op: Op, graph: FileGraph) -> str | None:
    # Half-pixel centers came with a version of the op that the compiler does not map.
    return "no half_pixel_centers" if settings.halfPixelCenters else None


def _no_batch_axis(settings: Any, op: Op, graph: FileGraph) -> str | None:
    return "no packing in the batch dimension" if settings.axis == 0 else None


_LIMITS: dict[str, Callable[[Any, Op, FileGraph], str | None]] = {
    "AVERAGE_POOL_2D": _no_activation,
    "CONCATENATION": _no_activation,
    "MAX_POOL_2D": _no_activation,
    "CONV_2D": _same_dilation,
    "DEPTHWISE_CONV_2D": _same_dilation,
    "STRIDED_SLICE": _unit_strides,
    "RESIZE_NEAREST_NEIGHBOR": _plain_resize,
    "PACK": _no_batch_axis,
}
