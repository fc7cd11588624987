from __future__ import annotations

import pytest

from export import targets
from export.targets.findings import Findings
from ssd.errors import GateError, InputError

GOOD = (
    ("mediapipe", "nms", "none"),
    ("mediapipe", "nms", "int8"),
    ("android-task", "nms", "int8"),
    ("edgetpu", "nms", "int8"),
    ("edgetpu", "raw", "int8"),
    ("micro", "raw", "int8"),
)


@pytest.mark.parametrize(("target", "form", "quantize"), GOOD)
def test_our_files_are_good(made, target, form, quantize):
    found = targets.check(target, made[form, quantize], form, quantize)
    assert found.problems == ()
    assert found.target == target
    assert found.facts["ops"] > 5
    assert any("int8" in line for line in found.lines)
    found.require_none()


def test_defaults():
    assert list(targets.TARGETS) == ["mediapipe", "android-task", "edgetpu", "ethos-u", "micro"]
    chosen = {name: targets.options_for(name) for name in targets.TARGETS}
    assert {name: (p.form, p.quantize) for name, p in chosen.items()} == {
        "mediapipe": ("nms", "int8"),
        "android-task": ("nms", "int8"),
        "edgetpu": ("nms", "int8"),
        "ethos-u": ("raw", "int8"),
        "micro": ("raw", "int8"),
    }


@pytest.mark.parametrize(
    ("target", "form", "quantize", "message"),
    [
        pytest.param(
            "tpu", "nms", "int8", r"^--target tpu: no such target; mediapipe, android", id="name"
        ),
        pytest.param(
            "micro",
            "nms",
            "int8",
            r"^--target micro with --form nms: TensorFlow Lite Micro on .* takes --form raw; leave",
            id="form",
        ),
        pytest.param(
            "edgetpu",
            "raw",
            "float16",
            r"with --quantize float16: Coral Edge TPU, .* takes --quantize int8; leave",
            id="quantize",
        ),
    ],
)
def test_what_does_not_go_together(target, form, quantize, message):
    with pytest.raises(InputError, match=message):
        targets.require_options(target, form, quantize)
    with pytest.raises(InputError, match=message):
        targets.check(target, b"", form, quantize)


@pytest.mark.parametrize(
    ("problems", "message"),
    [
        (("x is wrong",), r"^--target micro: x is wrong$"),
        (("x is wrong", "y", "z"), r"^--target micro: x is wrong \(and 2 more\)$"),
    ],
)
def test_problems_stop_the_export(problems, message):
    with pytest.raises(GateError, match=message):
        Findings("micro", problems).require_none()
