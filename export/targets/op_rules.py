"""Rules that accelerators and small runtimes share: known ops, int8, fixed sizes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from export.targets.file_graph import FileGraph, Op

_INT8 = ("int8", "uint8")


def why_not(op: Op, graph: FileGraph, supported: Collection[str], runner: str) -> str | None:
    """Returns why `runner` cannot run an op, as the beginning of a problem; None if it can."""
    if op.name not in supported:
        return f"{op} is no op that {runner} has"
    if not op.is_int8:
        return f"{op} works in {op.dtype}; {runner} works in int8"
    for number in (*op.inputs, *op.outputs):
        tensor = graph.tensors[number]
        if not tensor.is_fixed:
            return f"{op}: tensor {tensor.name!r} is of no fixed size, as {runner} needs it"
    return None


def unsupported(graph: FileGraph, supported: Collection[str], runner: str) -> dict[int, str]:
    """Returns number of the op -> why `runner` cannot run it."""
    found = {op.number: why_not(op, graph, supported, runner) for op in graph.ops}
    return {number: reason for number, reason in found.items() if reason}


def outputs_in_float(graph: FileGraph) -> list[str]:
    """Returns the names of outputs that are not int8."""
    outputs = [graph.tensors[number] for number in graph.outputs]
    return [tensor.name for tensor in outputs if tensor.dtype not in _INT8]


def num_int8(ops: Sequence[Op]) -> int:
    """Returns how many ops take and give int8."""
    return sum(op.is_int8 for op in ops)


def share_line(graph: FileGraph) -> str:
    """Returns how many ops are int8, for the screen."""
    count = num_int8(graph.ops)
    return f"{count} of {len(graph.ops)} ops in int8 ({count / max(len(graph.ops), 1):.0%})"


def share_facts(graph: FileGraph) -> dict[str, float]:
    """Returns the same for the report."""
    count = num_int8(graph.ops)
    return {
        "ops": len(graph.ops),
        "int8_ops": count,
        "int8_share": round(count / max(len(graph.ops), 1), 4),
    }
