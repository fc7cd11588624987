"""`python -m tfrecord_tools VERB ...`: convert, lint, show, sample-data."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ssd.errors import InputError, run_command
from tfrecord_tools.flags import READER_FLAGS, parser

# The rooms behind the verbs are imported inside: `--help` must not wait for numpy and Pillow.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = arguments[0] if arguments and not arguments[0].startswith("-") else "tfrecord_tools"
    return run_command(lambda: _run(arguments), prog=verb)


def _run(arguments: list[str]) -> None:
    own, behind = arguments, []
    if "--" in arguments:
        end = arguments.index("--")
        own, behind = arguments[:end], arguments[end + 1 :]
    options = parser().parse_args(own)
    if behind:
        if own[0] != "convert":
            raise InputError(f"{behind[0]}: only convert --runner beam takes flags behind --")
        options.pipeline_options = behind
    _VERBS[options.verb](options)


def _convert(options: argparse.Namespace) -> None:
    from tfrecord_tools.convert import convert

    convert(**_with_reader(_arguments(options)))


def _lint(options: argparse.Namespace) -> None:
    from tfrecord_tools.lint import lint

    lint(**_with_reader(_arguments(options)))


def _with_reader(arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments with those of one reader alone under `reader`."""
    own = {name: arguments.pop(name) for name in READER_FLAGS if name in arguments}
    return arguments | {"reader": own}


def _show(options: argparse.Namespace) -> None:
    arguments = _arguments(options)
    if "augment" in arguments:
        _augmentation_sheet(arguments)
        return
    for name in ("data", "draws", "each_step", "seed", "label_map", "set"):
        if name in arguments:
            raise InputError(f"--{name.replace('_', '-')} needs --augment CONFIG")
    if "path" not in arguments:
        raise InputError("the following arguments are required: PATH; see show --help")
    from tfrecord_tools.show.verb import show

    show(**arguments)


def _augmentation_sheet(arguments: dict[str, Any]) -> None:
    """Hands over to the engine; in a process, because the data tools never load TensorFlow."""
    if "path" in arguments and "data" in arguments:
        raise InputError("PATH and --data are the same; give one of them")
    flags = {
        "--config": arguments.pop("augment"),
        "--data": arguments.pop("path", None) or arguments.pop("data", None),
    }
    command = [sys.executable, "-m", "ssd", "augmentation-sheet"]
    command += [part for flag, value in flags.items() if value for part in (flag, value)]
    command += ["--each-step"] * arguments.pop("each_step", False)
    command += [part for override in arguments.pop("set", []) for part in ("--set", override)]
    for name, value in arguments.items():
        # One word, so that a value may begin with a dash.
        command.append(f"--{name.replace('_', '-')}={value}")
    code = subprocess.run(command, check=False).returncode
    if code:
        # It has said why; a signal counts as in a shell.
        sys.exit(code if code > 0 else 128 - code)


def _sample_data(options: argparse.Namespace) -> None:
    from tfrecord_tools.sample.data import write_sample_data

    write_sample_data(**_arguments(options))


def _arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the flags that were given; the functions behind the verbs know the defaults."""
    return {name: value for name, value in vars(options).items() if name != "verb"}


_VERBS: dict[str, Callable[[argparse.Namespace], None]] = {
    "convert": _convert,
    "lint": _lint,
    "show": _show,
    "sample-data": _sample_data,
}


if __name__ == "__main__":
    sys.exit(main())
