"""The targets by name; no TensorFlow, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from export.targets.findings import Findings
from ssd.errors import InputError

_ANY = ("int8", "none", "float16", "dynamic")


@dataclass(frozen=True)
class Preset:
    """What a target takes.

    Attributes:
      forms, quantizations: that it can run; the first of each is its default.
      for_whom: for the help text.
      module: of export.targets; its `check(data)` returns Findings.
      has_reference_kernels: int8 there is rounded as LiteRT's reference kernels round, not as its
        fast ones.
    """

    forms: tuple[str, ...]
    quantizations: tuple[str, ...]
    for_whom: str
    module: str
    has_reference_kernels: bool = False

    @property
    def form(self) -> str:
        """The default."""
        return self.forms[0]

    @property
    def quantize(self) -> str:
        """The default."""
        return self.quantizations[0]


TARGETS = {
    "mediapipe": Preset(("nms",), _ANY, "MediaPipe Tasks ObjectDetector", "task_libraries"),
    "android-task": Preset(("nms",), _ANY, "TFLite Task Library on Android", "task_libraries"),
    "edgetpu": Preset(("nms", "raw"), ("int8",), "Coral Edge TPU, before its compiler", "edge_tpu"),
    "ethos-u": Preset(("raw",), ("int8",), "Arm Ethos-U55 behind Vela", "ethos_u", True),
    "micro": Preset(
        ("raw",), ("int8",), "TensorFlow Lite Micro on a microcontroller", "micro", True
    ),
}


def options_for(target: str) -> Preset:
    """Returns what a target takes; `form` and `quantize` of it where the flags do not say.

    Raises:
      InputError: no such target.
    """
    if target not in TARGETS:
        raise InputError(f"--target {target}: no such target; {', '.join(TARGETS)} are known")
    return TARGETS[target]


def require_options(target: str, form: str, quantize: str) -> None:
    """Returns if a target can run files of this form and quantization.

    Raises:
      InputError: it cannot, or there is no such target.
    """
    preset = options_for(target)
    for flag, given, allowed in (
        ("--form", form, preset.forms),
        ("--quantize", quantize, preset.quantizations),
    ):
        if given not in allowed:
            raise InputError(
                f"--target {target} with {flag} {given}: {preset.for_whom} takes {flag} "
                f"{' or '.join(allowed)}; leave {flag} out, or the target"
            )


def check(target: str, data: bytes, form: str, quantize: str) -> Findings:
    """Returns what a target's rules say about a finished .tflite.

    Args:
      target: a key of TARGETS.
      data: of the file, metadata and labels attached.
      form, quantize: of the file.

    Raises:
      InputError: the target cannot run files of this form and quantization at all.
    """
    require_options(target, form, quantize)
    # Late: the rules need the readers of .tflite files.
    found: Findings = import_module(f"export.targets.{TARGETS[target].module}").check(data, target)
    return found
