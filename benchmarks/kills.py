"""Kills one training run again and again at random moments, and compares it with an unharmed one.

    python benchmarks/kills.py --output FOLDER [--kills 20] [--seed 0] -- TRAIN FLAGS

Trains twice with the given flags and --deterministic: once undisturbed into FOLDER/whole, once into
FOLDER/killed, where SIGKILL and SIGTERM take turns and the same command starts again each time. A
quarter of the kills falls into the start of a process, the rest into its steps, saves and
evaluations; no moment is left out. At the end every variable and optimizer slot, the best weights,
and all lines of metrics.jsonl must be equal to the bit. Exit code 0 if they are, else 1.

Each process is forked from this one, which has imported what training imports, but started nothing:
20 starts cost 20 models and 20 traces, not 20 times TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ssd.errors import EXIT_INTERRUPTED

_STARTING = 0.25  # share of the kills before the first step
_POLL_SECONDS = 0.01
_SIGNALS = (signal.SIGKILL, signal.SIGTERM)


def main() -> int:
    """Trains, kills, compares; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs=argparse.REMAINDER, help="-- and the flags of train")
    arguments = parser.parse_args()
    flags = [flag for flag in arguments.flags if flag != "--"]
    _preload()
    arguments.output.mkdir(parents=True, exist_ok=True)
    whole, killed = Run(arguments.output / "whole", flags), Run(arguments.output / "killed", flags)
    starting, training = _time(whole)
    print(f"undisturbed: {starting:.1f} s to the first step, {training:.1f} s from there on")
    draw = random.Random(arguments.seed)
    for number in range(arguments.kills):
        if killed.is_finished():
            print(f"finished after {number} kills: give more --steps")
            return 1
        if draw.random() < _STARTING:
            _kill(killed, _SIGNALS[number % 2], draw.uniform(0.0, starting))
            continue
        # So far that the steps last until the last kill, then a moment in the middle of something.
        left = whole.logged_step() - max(killed.saved_step(), 0)
        steps = draw.randint(1, max(1, round(1.4 * left / (arguments.kills - number + 1))))
        pause = 1.5 * training / whole.logged_step()
        _kill(killed, _SIGNALS[number % 2], draw.uniform(0.0, pause), steps)
    code = killed.start().wait()
    if code:
        print(f"the last start ended with code {code}; see {killed.log}")
        return 1
    return _compare(whole, killed)


class Run:
    """A run folder, and processes that train into it."""

    def __init__(self, folder: Path, flags: list[str]) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        self._flags = ["train", *flags, "--deterministic", "--output", str(folder)]

    def start(self) -> Process:
        """Starts the command."""
        return Process(self._flags, self.log)

    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        return (self.folder / "finished").exists()

    def saved_step(self) -> int:
        """The step of the newest checkpoint; -1 without any."""
        found = (self.folder / "checkpoints").glob("ckpt-*.index")
        return max((int(path.stem[5:]) for path in found), default=-1)

    def logged_step(self, since: float = 0.0) -> int:
        """The newest step in losses.jsonl; 0 without any, or if the file is older than `since`."""
        path = self.folder / "losses.jsonl"
        try:
            if path.stat().st_mtime < since:
                return 0
            *_, line = path.read_text().splitlines()
            return int(json.loads(line)["step"])
        except (FileNotFoundError, ValueError):  # nothing yet, or a line being written
            return 0


class Process:
    """A forked `python -m ssd`, its output appended to `log`."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        sys.stdout.flush()
        self._pid = os.fork()
        self._code: int | None = None
        if self._pid == 0:
            with log.open("a") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            from ssd.__main__ import main as train
            from ssd.errors import run_command

            code = 1
            try:
                code = run_command(lambda: train(arguments), "run.sh train")
            except BaseException:  # nothing may return into the parent's code
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(code)

    def is_over(self) -> bool:
        """Whether it has ended."""
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def wait(self) -> int:
        """Returns its exit code."""
        while not self.is_over():
            time.sleep(_POLL_SECONDS)
        return int(self._code or 0)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Returns when it is, or when the process is over."""
        while not self.is_over() and not is_so():
            time.sleep(_POLL_SECONDS)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, unless it is over."""
        if not self.is_over():
            os.kill(self._pid, number)


def _preload() -> None:
    """Imports what training imports on its way; TensorFlow must not start before the fork."""
    import matplotlib.figure  # noqa: F401

    import ssd.__main__
    import ssd.training.session  # noqa: F401


def _time(run: Run) -> tuple[float, float]:
    """Seconds to the first step and from there to the end, of a run without disturbance."""
    begun = time.monotonic()
    process = run.start()
    process.wait_until(lambda: run.logged_step() > 0)
    first = time.monotonic()
    if process.wait():
        sys.exit(f"the undisturbed run failed; see {run.log}")
    return first - begun, time.monotonic() - first


def _kill(run: Run, sent: signal.Signals, delay: float, steps: int = 0) -> None:
    """Starts the command and kills it `delay` seconds after so many steps of its own."""
    before, begun = max(run.saved_step(), 0), time.time()
    process = run.start()

    def has_made(count: int) -> bool:
        # Until its first own step, the file is that of the process before.
        return run.logged_step(begun) >= before + count

    if steps:
        process.wait_until(lambda: has_made(steps))
        time.sleep(delay)
    else:
        process.wait_until(lambda: time.time() > begun + delay or has_made(1))
    process.send(sent)
    code = process.wait()
    print(
        f"{sent.name} {delay:.2f} s after {f'{steps} steps' if steps else 'the start'}: "
        f"code {code}, logged step {run.logged_step()}, saved step {run.saved_step()}",
        flush=True,
    )
    expected = -sent if sent == signal.SIGKILL else EXIT_INTERRUPTED
    if code not in (expected, 0):
        sys.exit(f"expected code {expected}; see {run.log}")


def _compare(whole: Run, killed: Run) -> int:
    """Prints how many variables differ, and by how much; returns the exit code."""
    import numpy as np
    import tensorflow as tf

    worst, differing, total = 0.0, [], 0
    for part in ("checkpoints", "best"):
        ours, theirs = (tf.train.load_checkpoint(str(r.folder / part)) for r in (killed, whole))
        shapes = theirs.get_variable_to_shape_map()
        if ours.get_variable_to_shape_map() != shapes:
            print(f"{part}: other variables, or of another step")
            return 1
        for key in sorted(shapes.keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}):
            a, b = ours.get_tensor(key), theirs.get_tensor(key)
            total += 1
            if a.tobytes() != b.tobytes():
                differing.append(f"{part}: {key}")
                worst = max(worst, float(np.max(np.abs(a.astype(float) - b.astype(float)))))
    print(f"{len(differing)} of {total} variables differ, by up to {worst:.3g}")
    for line in differing[:5]:
        print(f"  {line}")
    texts = [(run.folder / "metrics.jsonl").read_text() for run in (whole, killed)]
    print(f"metrics.jsonl: {'the same' if texts[0] == texts[1] else 'NOT the same'}")
    left = [path.name for path in killed.folder.rglob(".writing-*")]
    print(f"left behind: {', '.join(left) or 'nothing'}")
    return 0 if not differing and texts[0] == texts[1] and not left else 1


if __name__ == "__main__":
    sys.exit(main())
