"""The `benchmark` verb: flags and journey."""

from __future__ import annotations

import argparse
from typing import Any

_THREADS, _RUNS = 2, 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `benchmark`; their names are those of the arguments of `run`."""
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE.tflite", help="ratios are to the first")
    add(
        "--threads",
        type=_positive,
        default=_THREADS,
        metavar="N",
        help=f"of the second column of times; the first is one thread ({_THREADS})",
    )
    add(
        "--runs",
        type=_positive,
        default=_RUNS,
        metavar="N",
        help=f"timed runs of every file and number of threads ({_RUNS})",
    )
    add("--image", metavar="FILE", help="the picture that goes in (a built-in one)")
    add("--json", action="store_true", dest="as_json", help="one JSON object instead of tables")


def run(arguments: dict[str, Any]) -> None:
    """Measures the files and prints what came out.

    Raises:
      InputError: a file is none, is not one that LiteRT runs, or takes no picture.
    """
    import json  # late, as all below: `--help` answers at once
    from pathlib import Path

    from export.benchmark import figures, measurement, tables
    from ssd.detect import read_image

    picture = arguments["image"]
    threads = sorted({1, arguments["threads"]})
    measured = measurement.measure(
        arguments["files"],
        threads=threads,
        runs=arguments["runs"],
        image=read_image(Path(picture)) if picture else None,
    )
    report = figures.report(measured, threads=threads, picture=picture)
    print(json.dumps(report) if arguments["as_json"] else tables.text(report))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)
