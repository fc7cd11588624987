from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from ssd.errors import GateError, InputError, run_command


@pytest.fixture(autouse=True)
def _sigterm():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.xml: object 2: wrong"), 2, "convert: a.xml: object 2: wrong\n"),
        (GateError("drop 1.4 points, limit 1.0"), 3, "convert: drop 1.4 points, limit 1.0\n"),
        (KeyboardInterrupt("stopped at step 4"), 130, "convert: stopped at step 4\n"),
        (KeyboardInterrupt(), 130, "convert: interrupted\n"),
    ],
)
def test_one_line_and_a_code(capsys, error, code, line):
    assert run_command(raising(error), "convert") == code
    assert capsys.readouterr() == ("", line)


def test_done(capsys):
    assert run_command(lambda: "ignored", "convert") == 0
    assert capsys.readouterr() == ("", "")


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 / 0, "convert")


def test_termination_unwinds():
    code = (
        "import sys, time\nfrom ssd.errors import run_command\n"
        "def main():\n"
        "    try:\n        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n        print('cleaned up', flush=True)\n"
        "sys.exit(run_command(main, 'verb'))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "cleaned up\n", "verb: interrupted\n")


def test_a_reader_that_goes_away_is_no_error():
    code = (
        "import sys\nfrom ssd.errors import run_command\n"
        "def main():\n    for n in range(200000): print(n)\n"
        "sys.exit(run_command(main, 'verb'))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (process.returncode, process.stderr.read()) == (0, "")
    process.stderr.close()
