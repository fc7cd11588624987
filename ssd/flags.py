"""Flags of the engine's verbs."""

from __future__ import annotations

import argparse

from ssd.errors import CommandParser
from ssd.metric_names import COCO_NAMES

_MODEL = "PATH|hub:HANDLE_OR_FOLDER"
_MODELS = "a run, a zoo folder, a checkpoint, a SavedModel, a TF Hub module or a .tflite"


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all verbs; names of the results are those of the verbs' functions."""
    root = CommandParser(prog="run.sh", allow_abbrev=False)
    verbs = root.add_subparsers(dest="verb", required=True)
    _add_train(verbs.add_parser("train", help="fine-tune a detector", allow_abbrev=False))
    _add_evaluate(verbs.add_parser("evaluate", help="COCO metrics on records", allow_abbrev=False))
    _add_detect(verbs.add_parser("detect", help="draw detections", allow_abbrev=False))
    _add_demo(verbs.add_parser("demo", help="a web page to compare models on", allow_abbrev=False))
    _add_config(verbs.add_parser("config", help="check or show a pipeline.config"))
    _add_zoo(verbs.add_parser("zoo", help="pretrained checkpoints"))
    _add_anchors(
        verbs.add_parser(
            "anchors", help="do the anchors fit the boxes, and which would", allow_abbrev=False
        )
    )
    doctor = verbs.add_parser("doctor", help="what is installed, what is missing")
    doctor.add_argument("--json", action="store_true", dest="as_json")
    _add_augmentation_sheet(
        verbs.add_parser(
            "augmentation-sheet",
            help="what a config's data_augmentation_options do to pictures",
            allow_abbrev=False,
        )
    )
    recall = verbs.add_parser(
        "anchor-recall", help="what a config makes of boxes, for the data tools", allow_abbrev=False
    )
    recall.add_argument("--config", required=True, metavar="FILE|NAME")
    recall.add_argument("--boxes", required=True, metavar="IN.npz")
    recall.add_argument("--output", required=True, metavar="OUT.npz")
    _add_overrides(recall)
    return root


def _add_train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", metavar="FILE|NAME", help="a pipeline.config or the name of a shipped one")
    add("--data", metavar="DIR", help="folder made by `convert`")
    add("--train-records", nargs="+", metavar="GLOB")
    add("--val-records", nargs="+", metavar="GLOB")
    add("--label-map", metavar="FILE")
    add(
        "--checkpoint",
        default="auto",
        metavar="auto|none|PATH|ZOO_NAME",
        help="what to fine-tune from (auto: what the config names, else the zoo's, else random)",
    )
    add("--output", metavar="DIR", help="the run's folder (runs/<config>-<date>)")
    add("--steps", type=_positive, metavar="N", help="the schedule is fitted to it")
    add(
        "--batch-size",
        type=_batch_size,
        metavar="N|auto",
        help="the learning rate is fitted to it (auto: what fits into memory)",
    )
    _add_overrides(parser)
    add(
        "--anchors",
        choices=("auto", "fit", "config"),
        default="auto",
        help="fit anchor_scale to the boxes (auto: only in the kit's own configs)",
    )
    add(
        "--precision",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
        default="float32",
        help="of the network in training (mixed: faster on GPUs and TPUs made for it)",
    )
    add("--eval-every", type=_positive, metavar="N", help="steps (a fifth of the run)")
    add("--checkpoint-every", type=_positive, metavar="N", help="steps (as --eval-every)")
    add(
        "--best-metric",
        choices=tuple(COCO_NAMES),
        default="AP",
        metavar="NAME",
        help="of COCO's 12: what the weights in best/ are best at (AP)",
    )
    add(
        "--patience",
        type=_positive,
        metavar="N",
        help="stop after N evaluations without a better one",
    )
    add(
        "--min-delta",
        type=_fraction,
        default=0.0,
        metavar="X",
        help="what counts as better for --patience: more than this, as a fraction (0)",
    )
    add(
        "--moving-average-decay",
        type=_fraction,
        metavar="X",
        help="keep averages of the weights, evaluate and export these",
    )
    add(
        "--freeze",
        type=_part_to_freeze,
        metavar="backbone|N",
        help="do not train the backbone, or its first N blocks",
    )
    add("--seed", type=int, default=0, metavar="N")
    add(
        "--deterministic",
        action="store_true",
        help="the same command gives the same weights to the bit (slower)",
    )
    add("--fresh", action="store_true", help="start over into a new folder")
    add(
        "--batch-norm-statistics",
        choices=("reestimated", "moving"),
        default="reestimated",
        help="for evaluation, best/ and export (moving: as the TF Object Detection API)",
    )


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder made by `convert`")
    add("--split", default="val", choices=("train", "val"))
    add("--records", nargs="+", default=[], metavar="GLOB")
    add("--label-map", metavar="FILE")
    add("--output", metavar="DIR", help="writes metrics.json there")
    add(
        "--reference-kernels",
        action="store_true",
        help="run a .tflite as microcontrollers do, to the bit (30 times slower)",
    )
    add("--json", action="store_true", dest="as_json")


def _add_detect(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    add = parser.add_argument
    add("inputs", nargs="+", metavar="IMAGE|DIR|VIDEO|camera:N")
    add("--output", default="detections", metavar="DIR", help="of the drawings (detections)")
    add("--score-threshold", type=_fraction, default=0.3, metavar="X")
    add("--label-map", metavar="FILE", help="names the model's classes")
    add("--frames", type=_positive, metavar="N", help="of a video or camera: stop after N")
    add("--annotations", metavar="FILE.json", help="write the boxes as COCO annotations, too")
    add("--json", action="store_true", dest="as_json", help="numbers instead of drawings")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    what = f"{_MODELS}; others are compared with the first (the newest export or run)"
    add("--model", nargs="+", action="extend", default=[], metavar=_MODEL, help=what)
    add("--data", metavar="DIR", help="folder made by `convert`: validation pictures to pick from")
    add("--label-map", metavar="FILE", help="names the models' classes")
    add("--port", type=_positive, metavar="N", help="(the first free one from 7860 on)")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="who may come (this machine only)")
    add("--no-browser", action="store_true", help="do not open the page")
    add("--threads", type=_positive, default=2, metavar="N", help="of a .tflite")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar=_MODEL, help=_MODELS)
    parser.add_argument("--threads", type=_positive, default=2, metavar="N", help="of a .tflite")


def _add_config(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser("check", help="is it obeyed, or which line is refused and why")
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument("--json", action="store_true", dest="as_json")
    show = actions.add_parser("show", help="the message with every default filled in")
    show.add_argument("file", metavar="FILE")
    show.add_argument("--set", action="append", default=[], dest="overrides")


def _add_zoo(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="the catalogue and what is cached")
    for action in ("fetch", "verify"):
        actions.add_parser(action).add_argument("name", nargs="?" if action == "verify" else None)


def _add_anchors(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("data", nargs="?", metavar="DATA", help="folder made by `convert`, or a record file")
    add("--records", nargs="+", default=[], metavar="GLOB")
    add("--label-map", metavar="FILE", help="of the records (default: beside them)")
    add("--split", default="train", metavar="NAME", help="which records of the folder (train)")
    add("--config", metavar="FILE|NAME", help="whose anchors (default: the one of `train`)")
    _add_overrides(parser)
    add("--k", type=_positive, metavar="N", help="shapes to find (anchors of a location)")
    add("--seed", type=int, default=0, metavar="N")
    add("--output", metavar="FILE.png", help="draws shapes and recall, too")
    add("--json", action="store_true", dest="as_json")


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="section.field=value"
    )


def _add_augmentation_sheet(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", required=True, metavar="FILE|NAME")
    add("--data", metavar="PATH", help="folder made by `convert`, or a record file")
    add("--label-map", metavar="FILE")
    _add_overrides(parser)
    add("--output", default="augmentation.png", metavar="FILE.png")
    add("--pictures", type=_positive, default=3, metavar="N")
    add("--draws", type=_positive, default=5, metavar="N")
    add("--each-step", action="store_true", help="a row for every step on its own, too")
    add("--seed", type=int, default=0, metavar="N")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _batch_size(text: str) -> int | str:
    if text != "auto" and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is neither a positive number nor auto")
    return text if text == "auto" else int(text)


def _part_to_freeze(text: str) -> str:
    if text != "backbone" and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is neither backbone nor a number of blocks")
    return text


def _fraction(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
