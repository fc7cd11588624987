from __future__ import annotations

import math

import pytest

from export import verify
from export.verify import Score, ScoredFile
from ssd.errors import GateError

FLOAT = ScoredFile("model_float32.tflite", "nms", "none", 4 * 2**20, Score(0.42, 0.61))


def quantized(ap: float | None, quantize: str = "int8") -> ScoredFile:
    return ScoredFile(f"model_{quantize}.tflite", "nms", quantize, 2**20, Score(ap, 0.6))


def test_drop_is_in_points():
    # (0.42 - 0.405) * 100
    assert verify.drop(Score(0.42), Score(0.405)) == pytest.approx(1.5)
    assert verify.drop(Score(0.42), Score(0.43)) == pytest.approx(-1.0)
    assert verify.drop(Score(None), Score(0.4)) is None
    assert verify.drop(Score(0.4), Score(None)) is None


def test_score_without_records_is_not_measured():
    assert verify.score(None, [], None) == Score(None, None)


def test_twin_has_the_same_form():
    raw = ScoredFile("model_float32_raw.tflite", "raw", "none", 1, Score(0.5))
    file = ScoredFile("model_int8_raw.tflite", "raw", "int8", 1, Score(0.4))
    assert verify.float_twin(file, [FLOAT, raw, file]) is raw


@pytest.mark.parametrize(
    ("ap", "limit"),
    [
        pytest.param(0.411, 1.0, id="0.9 of 1.0"),
        pytest.param(0.43, 0.0, id="better than float"),
        pytest.param(None, 1.0, id="not scored"),
        pytest.param(0.3, 12.5, id="12 of 12.5"),
    ],
)
def test_allowed(ap, limit):
    verify.require_accuracy([FLOAT, quantized(ap)], limit)


@pytest.mark.parametrize(
    ("files", "limit", "message"),
    [
        pytest.param(
            [FLOAT, quantized(0.40)],
            1.0,
            r"^model_int8\.tflite: AP 0\.4000 is 2\.00 points below model_float32\.tflite "
            r"\(0\.4200\); --max-map-drop allows 1\.00; ",
            id="two of one",
        ),
        pytest.param(
            [FLOAT, quantized(0.40, "float16"), quantized(0.38)],
            1.0,
            r"^model_int8\.tflite: AP 0\.3800 is 4\.00",
            id="the worst is named",
        ),
        pytest.param([FLOAT, quantized(0.42)], -1.0, r"0\.00 points", id="forced to fail"),
        pytest.param([FLOAT, quantized(math.nan)], 1.0, r"AP nan", id="not a number"),
    ],
)
def test_refused(files, limit, message):
    with pytest.raises(GateError, match=message) as caught:
        verify.require_accuracy(files, limit)
    assert "\n" not in str(caught.value)


def test_a_float_file_detects_what_the_checkpoint_does():
    # 0.9 and 1.4 points; quantized files have a limit of their own
    verify.require_as_checkpoint(Score(0.429), [FLOAT, quantized(0.2)], 0.1)
    verify.require_as_checkpoint(Score(None), [FLOAT], 1.0)
    verify.require_as_checkpoint(Score(0.434), [FLOAT], 1.5)
    with pytest.raises(
        GateError,
        match=r"^model_float32\.tflite: AP 0\.4200 is 1\.40 points below the checkpoint "
        r"\(0\.4340\), and 1\.00 are allowed; .*--max-map-drop 2$",
    ):
        verify.require_as_checkpoint(Score(0.434), [FLOAT, quantized(0.42)], 0.5)


def test_table():
    # drops: (0.42 - 0.405) * 100 = 1.50 and (0.44 - 0.405) * 100 = 3.50
    lines = verify.table(Score(0.44, 0.62), [FLOAT, quantized(0.405)]).split("\n")
    assert [line.split() for line in lines] == [
        ["size", "AP", "AP50", "drop", "drop", "from", "checkpoint"],
        ["checkpoint", "0.4400", "0.6200"],
        ["model_float32.tflite", "4.00", "MB", "0.4200", "0.6100", "0.00", "2.00"],
        ["model_int8.tflite", "1.00", "MB", "0.4050", "0.6000", "1.50", "3.50"],
    ]


def test_table_of_files_that_were_not_scored():
    files = [
        ScoredFile("model_float32.tflite", "nms", "none", 2**20, Score()),
        quantized(None),
    ]
    assert "n/a" in verify.table(Score(), files)
