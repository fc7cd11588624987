"""--target ethos-u: a raw int8 file for Arm's Vela, compiled where Vela is installed."""

from __future__ import annotations

from export.targets import op_rules, vela
from export.targets.file_graph import FileGraph, Op, read
from export.targets.findings import Findings
from export.targets.supported_ops import ETHOS_U55

_RUNNER = "the Ethos-U55"
_FACTORS = (2, 4, 8)
_LARGEST_STRIDE = 3  # of depthwise convolutions
_COMPILED = "vela.tflite"


def check(data: bytes, target: str) -> Findings:
    """Returns what Vela's rules, and Vela itself if it is there, say about a raw int8 file."""
    graph = read(data)
    reasons = op_rules.unsupported(graph, ETHOS_U55, _RUNNER)
    for op in graph.ops:
        if op.number not in reasons and (reason := _limit(op, graph)):
            reasons[op.number] = reason
    problems = [
        f"{reason}: it would run on the CPU; export --form raw --quantize int8, or choose a "
        "feature extractor without that op"
        for reason in reasons.values()
    ]
    problems += [
        f"output {name!r} is not int8; export --form raw --quantize int8"
        for name in op_rules.outputs_in_float(graph)
    ]
    facts = {**op_rules.share_facts(graph), "cpu_ops": len(reasons)}
    line = op_rules.share_line(graph)
    if problems:
        return Findings(target, tuple(problems), facts, (line,))
    return _compiled(data, target, facts, line)


def _compiled(data: bytes, target: str, facts: dict[str, float], line: str) -> Findings:
    command = vela.command()
    if command is None:
        missing = (
            "not compiled: `pip install -r requirements/deploy.txt` brings vela; the op list says "
            "that every op can run on the Ethos-U"
        )
        return Findings(target, (), {**facts, "vela": None}, (line, missing))
    try:
        compiled = vela.compile_file(data, command)
    except vela.VelaError as error:
        problem = f"vela does not compile the file ({error}); report it with the file"
        return Findings(target, (problem,), facts, (line,))
    problems = []
    if compiled.cpu_ops:
        problems.append(
            f"vela leaves {compiled.cpu_ops} ops on the CPU; see which with `vela "
            "--verbose-cpu-operators`, and choose a feature extractor without them"
        )
    total = compiled.npu_ops + compiled.cpu_ops
    summary = {
        "accelerator": vela.ACCELERATOR,
        "npu_ops": compiled.npu_ops,
        "cpu_ops": compiled.cpu_ops,
        "cycles": compiled.cycles,
        "ms": round(compiled.milliseconds, 3),
        "mhz": compiled.megahertz,
        "sram_kib": round(compiled.sram_kib, 1),
    }
    said = (
        f"vela, {vela.ACCELERATOR}: {compiled.npu_ops} of {total} ops on the NPU, "
        f"{compiled.cycles / 1e6:.2f} M cycles, {compiled.milliseconds:.1f} ms at "
        f"{compiled.megahertz:.0f} MHz, {compiled.sram_kib:.0f} KiB of SRAM (its estimate)"
    )
    files = {_COMPILED: compiled.data}
    return Findings(target, tuple(problems), {**facts, "vela": summary}, (line, said), files)


def _limit(op: Op, graph: FileGraph) -> str | None:
    """Returns which of the limits in Vela's SUPPORTED_OPS.md an op breaks, or None."""
    if op.name == "RESIZE_NEAREST_NEIGHBOR":
        return _resize(op, graph)
    if op.name == "DEPTHWISE_CONV_2D":
        strides = (op.settings.strideH, op.settings.strideW)
        if max(strides) > _LARGEST_STRIDE:
            return f"{op}: strides are {strides}; {_RUNNER} has up to {_LARGEST_STRIDE}"
    return None


def _resize(op: Op, graph: FileGraph) -> str | None:
    (_, h, w, _), (_, height, width, _) = (
        graph.tensors[n].shape for n in (op.inputs[0], op.outputs[0])
    )
    factors = (height / h, width / w)
    if (h, w) == (1, 1) or (factors[0] == factors[1] and factors[0] in _FACTORS):
        return None
    return f"{op}: resizes {h}x{w} to {height}x{width}; {_RUNNER} does by 2, 4 or 8"
