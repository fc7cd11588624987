from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from ssd.training.interrupts import Interrupts, Stopped

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers():
    """Those of a program that is not a command of ours; set back afterwards."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_waits_for_the_check(number, capfd):
    with Interrupts() as interrupts:
        interrupts.check()
        os.kill(os.getpid(), number)
        assert interrupts.asked == signal.Signals(number).name
        with pytest.raises(Stopped, match=f"^{signal.Signals(number).name}$"):
            interrupts.check()
    assert signal.getsignal(number) is signal.default_int_handler
    assert capfd.readouterr().err == (
        f"\n{signal.Signals(number).name}: stopping and saving; a second signal ends at once, "
        "without saving\n"
    )


def test_stopped_is_what_an_interrupt_is():
    """So that nothing that takes errors takes this one."""
    assert issubclass(Stopped, KeyboardInterrupt)
    assert not issubclass(Stopped, Exception)


def test_the_second_signal_goes_where_it_went_before():
    with Interrupts():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.asked == ""
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_another_thread_leaves_the_handlers_alone():
    seen = []

    def look() -> None:
        with Interrupts():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


BUSY = """
import sys, time
from ssd.errors import run_command
from ssd.training.interrupts import Interrupts

def main():
    with Interrupts() as interrupts:
        print("ready", flush=True)
        while not interrupts.asked:
            time.sleep(0.01)
        print("asked", flush=True)
        if "long" in sys.argv:
            sum(range(10**11))  # one operation that no Python handler can interrupt
        interrupts.check()

sys.exit(run_command(main, "verb"))
"""


def start(project, *arguments: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_command_ends_with_130(project):
    process = start(project)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "asked\n")
    assert err.splitlines()[-1] == "verb: SIGTERM"


def test_the_second_signal_ends_a_command_in_the_middle_of_an_operation(project):
    process = start(project, "long")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
