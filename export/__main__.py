"""Command line of the exports: export-tflite, export-saved-model, benchmark."""

from __future__ import annotations

import argparse
import math
import sys

from export.benchmark import command as benchmark
from export.options import (
    FAST,
    FORMATS,
    FORMS,
    INPUT_TYPES,
    QUANTIZE_CHOICES,
    REGULAR,
    REQUESTED,
    TfliteOptions,
)
from export.targets import TARGETS, options_for, require_options
from ssd.errors import CommandParser, InputError, run_command


def main(argv: list[str]) -> None:
    """Parses `argv` (verb first) and runs the verb."""
    arguments = vars(_parser().parse_args(argv))
    _VERBS[arguments.pop("verb")](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="run.sh", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    _add_tflite(
        verbs.add_parser(
            "export-tflite",
            help="a run to .tflite, scored before it is written",
            allow_abbrev=False,
        )
    )
    _add_saved_model(
        verbs.add_parser("export-saved-model", help="a run to a SavedModel", allow_abbrev=False)
    )
    benchmark.add_arguments(
        verbs.add_parser(
            "benchmark",
            help="latency, memory, size and ops of .tflite files, side by side",
            allow_abbrev=False,
        )
    )
    return parser


def _add_run(parser: argparse.ArgumentParser, output: str) -> None:
    parser.add_argument(
        "--run", metavar="DIR", help="a run, a zoo folder or a checkpoint (the newest run)"
    )
    parser.add_argument("--output", metavar="DIR", help=f"({output})")
    parser.add_argument("--label-map", metavar="FILE", help="where the run has none")


def _add_tflite(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, "exports/<run>")
    add = parser.add_argument
    add(
        "--target",
        choices=TARGETS,
        help="who runs the file: its rules are checked before it is written, and set the defaults "
        "of --form and --quantize",
    )
    add(
        "--format",
        choices=FORMATS,
        default=TfliteOptions.format,
        help="onnx: an ONNX file of the raw float32 form comes along (tflite)",
    )
    add(
        "--quantize",
        choices=QUANTIZE_CHOICES,
        help="the float32 file always comes along (int8)",
    )
    add(
        "--form",
        choices=FORMS,
        help="nms: boxes, classes, scores and count come out; raw: no custom op, with decoders in "
        "C and NumPy beside it; all: both (nms)",
    )
    add(
        "--calibration",
        nargs="+",
        metavar="GLOB",
        help="records whose images set int8 ranges (the training records)",
    )
    add(
        "--calibration-images",
        type=_positive,
        metavar="N",
        help="how many of them (as many as it takes until ranges hardly move, 500 at most)",
    )
    add(
        "--force-calibration",
        action="store_true",
        help="go on with fewer than 50 calibration images, or with one picture only",
    )
    add(
        "--fine-tune-steps",
        type=_positive,
        metavar="N",
        default=TfliteOptions.fine_tune_steps,
        help="of quantization-aware fine-tuning, for int8 (only where int8 loses too much)",
    )
    add(
        "--max-map-drop",
        type=_points,
        default=TfliteOptions.max_map_drop,
        metavar="POINTS",
        help=f"AP that a file may lose against the float32 one ({TfliteOptions.max_map_drop})",
    )
    add("--max-detections", type=_positive, metavar="N", help="rows of the outputs (as the config)")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--regular-nms",
        action="store_const",
        const=REGULAR,
        default=TfliteOptions.nms,
        dest="nms",
        help="the op's own class by class NMS over all anchors: the same result, 20 times slower",
    )
    kinds.add_argument(
        "--fast-nms",
        action="store_const",
        const=FAST,
        dest="nms",
        help="the op's own fast NMS, as the TF Object Detection API exports it: boxes of different "
        "classes suppress each other",
    )
    add(
        "--classes-per-detection",
        type=_positive,
        metavar="N",
        default=TfliteOptions.classes_per_detection,
        help=f"of --fast-nms ({TfliteOptions.classes_per_detection})",
    )
    add(
        "--val-records",
        nargs="+",
        metavar="GLOB",
        help="records that score the files (the run's validation records)",
    )


def _add_saved_model(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, "exports/<run>; the model goes into saved_model/ there")
    parser.add_argument(
        "--input-type",
        choices=INPUT_TYPES,
        default="image_tensor",
        help="what the model takes (image_tensor: uint8 [1, h, w, 3])",
    )


def _export_tflite(arguments: dict) -> None:
    from export import tflite_files  # late: `--help` answers without TensorFlow

    for name in ("calibration", "val_records"):
        arguments[name] = tuple(arguments[name]) if arguments[name] else None
    tflite_files.run(TfliteOptions(**_complete(arguments)))


def _complete(arguments: dict) -> dict:
    """The arguments with form and quantization that nobody gave, as target and format want them."""
    target = arguments["target"]
    wanted = options_for(target) if target else TfliteOptions
    if arguments["format"] == "onnx":
        if arguments["form"] == "nms":
            raise InputError("--format onnx with --form nms: an ONNX file is raw; leave --form out")
        arguments["form"] = arguments["form"] or "raw"
    for name in ("form", "quantize"):
        arguments[name] = arguments[name] or getattr(wanted, name)
    _require_obeyed(arguments)
    if target:
        for form in FORMS[arguments["form"]]:
            for quantize in REQUESTED[arguments["quantize"]]:
                require_options(target, form, quantize)
    return arguments


def _require_obeyed(arguments: dict) -> None:
    """Raises where a flag would be ignored."""
    if arguments["classes_per_detection"] != 1 and arguments["nms"] != FAST:
        raise InputError("--classes-per-detection belongs to --fast-nms; add that, or leave it out")
    if arguments["nms"] != TfliteOptions.nms and arguments["form"] == "raw":
        raise InputError("--fast-nms and --regular-nms: a raw file has no NMS; give --form nms")
    if "int8" not in QUANTIZE_CHOICES[arguments["quantize"]] and arguments["fine_tune_steps"]:
        raise InputError(
            "--fine-tune-steps is for int8 files; add --quantize int8, or leave it out"
        )


def _export_saved_model(arguments: dict) -> None:
    from pathlib import Path  # late: `--help` answers without TensorFlow

    from export import saved_model, source

    exported = source.load(arguments["run"], arguments["label_map"])
    print(f"exporting {exported.predictor.name}", flush=True)
    output = Path(arguments["output"]) if arguments["output"] else exported.default_output
    folder = output / "saved_model"
    saved_model.export_saved_model(
        exported.detector, folder, label_map=exported.label_map, input_type=arguments["input_type"]
    )
    # Only that input type takes pictures of any size, as `detect` has them.
    is_runnable = arguments["input_type"] == "image_tensor"
    hint = f" Try it: ./run.sh detect --model {folder} photo.jpg" if is_runnable else ""
    print(f"{folder}: takes {arguments['input_type']}, detects what the checkpoint detects.{hint}")


_VERBS = {
    "export-tflite": _export_tflite,
    "export-saved-model": _export_saved_model,
    "benchmark": benchmark.run,
}


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _points(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a number of points")
    return value


if __name__ == "__main__":
    verb = sys.argv[1] if len(sys.argv) > 1 else "export"
    sys.exit(run_command(lambda: main(sys.argv[1:]), f"run.sh {verb}"))
