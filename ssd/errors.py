"""What a person gets to see when something cannot go on, and the exit codes for it."""

from __future__ import annotations

import argparse
import io
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_DONE = 0
EXIT_INPUT = 2
EXIT_GATE = 3
EXIT_INTERRUPTED = 130


class InputError(Exception):
    """A person's file or flag is wrong.

    The message is one line: where, what came, what was expected, what to do.
    """


class GateError(Exception):
    """A promised quality was not reached; nothing was written under its final name.

    The message is one line with the figure, the limit and what to do.
    """


class CommandParser(argparse.ArgumentParser):
    """argparse whose complaints are InputErrors: one line instead of usage and a line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def run_command(main: Callable[[], object], prog: str) -> int:
    """Returns the exit code of `main()`; prints InputError and GateError as one line on stderr.

    A `KeyboardInterrupt` becomes 130 (its argument, if any, is printed: how to go on).
    Every other exception is a bug and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File and class names may hold what the terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    # SIGTERM unwinds like Ctrl-C, so that temporary files are removed on the way out.
    signal.signal(signal.SIGTERM, raise_interrupt)
    try:
        main()
    except InputError as error:
        return _say(prog, error, EXIT_INPUT)
    except GateError as error:
        return _say(prog, error, EXIT_GATE)
    except KeyboardInterrupt as interrupt:
        return _say(prog, interrupt if str(interrupt) else "interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); devnull keeps the shutdown flush quiet.
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115
        return EXIT_DONE
    return EXIT_DONE


def _say(prog: str, what: object, code: int) -> int:
    print(f"{prog}: {what}", file=sys.stderr)
    return code


def raise_interrupt(signum: int, frame: object) -> None:
    """The handler of SIGTERM in a command."""
    raise KeyboardInterrupt
