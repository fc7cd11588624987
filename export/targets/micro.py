"""--target micro: a raw int8 file for TensorFlow Lite Micro, with an estimate of its arena."""

from __future__ import annotations

from collections import Counter

from export.targets import arena, op_rules
from export.targets.file_graph import read
from export.targets.findings import Findings
from export.targets.supported_ops import TFLITE_MICRO

_RUNNER = "TensorFlow Lite Micro"
_KIB = 1024


def check(data: bytes, target: str) -> Findings:
    """Returns what TensorFlow Lite Micro's rules say about a raw int8 file."""
    graph = read(data)
    reasons = op_rules.unsupported(graph, TFLITE_MICRO, _RUNNER)
    problems = [f"{reason}; export --form raw --quantize int8" for reason in reasons.values()]
    problems += [
        f"output {name!r} is not int8; export --form raw --quantize int8"
        for name in op_rules.outputs_in_float(graph)
    ]
    needed = arena.estimate(graph)
    names = sorted(Counter(op.name for op in graph.ops))
    facts = {
        **op_rules.share_facts(graph),
        "resolver_ops": names,
        "arena_bytes_estimated": needed.num_bytes,
        "arena_tensor_bytes_estimated": needed.tensor_bytes,
        "file_bytes": graph.num_bytes,
    }
    memory = (
        f"arena about {needed.num_bytes / _KIB:.0f} KiB ({needed.tensor_bytes / _KIB:.0f} KiB of "
        f"tensors; an estimate without scratch memory of optimized kernels), "
        f"file {graph.num_bytes / _KIB:.0f} KiB"
    )
    resolver = f"op resolver: {', '.join(names)}"
    return Findings(target, tuple(problems), facts, (op_rules.share_line(graph), memory, resolver))
