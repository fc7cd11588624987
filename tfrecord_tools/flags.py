"""Flags of the data tools' verbs."""

from __future__ import annotations

import argparse

from ssd.errors import CommandParser

# Flags of one reader alone, by the names of their results.
READER_FLAGS = ("one_based", "layout", "names")
_KINDS = {
    "voc": ("folder of Pascal VOC .xml files, searched with its sub-folders", "DIR"),
    "coco": ("COCO detection annotations, one .json file", "FILE.json"),
    "csv": ("boxes in one .csv file, of one of the usual layouts", "FILE.csv"),
    "yolo": ("folder of YOLO .txt files", "DIR"),
}


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all verbs; names of the results are those of the verbs' functions."""
    root = CommandParser(prog="tfrecord_tools", description="Annotations in, TFRecords out.")
    verbs = root.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_convert(verbs)
    _add_lint(verbs)
    _add_show(verbs)
    _add_sample_data(verbs)
    return root


def _add_convert(verbs: argparse._SubParsersAction[CommandParser]) -> None:
    convert = verbs.add_parser(
        "convert",
        prog="convert",
        help="annotations to TFRecord shards, label_map.pbtxt and conversion_report.json",
        description=(
            "Decodes every picture, checks every box, and writes TFRecord shards, label_map.pbtxt "
            "and conversion_report.json. What is safe to mend is mended and said."
        ),
    )
    kinds = convert.add_subparsers(dest="kind", required=True, metavar="voc|coco|csv|yolo")
    for kind, (takes, metavar) in _KINDS.items():
        one = kinds.add_parser(
            kind,
            prog=f"convert {kind}",
            help=takes,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
            epilog=(
                "lists in --split-dir (or its folder Main), one picture a line: trainval.txt is\n"
                "train and test.txt is val if both are there; else train.txt and val.txt (and\n"
                "test.txt as a third split, if there); else train.txt, with test.txt as val; else\n"
                "the one list there is. For another choice give a folder with just the two lists."
            ),
        )
        add = one.add_argument
        add("--images", required=True, metavar="DIR", help="folder of pictures, sub-folders too")
        add("--annotations", required=True, metavar=metavar, help=takes)
        add("--output", default="data", metavar="DIR", help="folder to fill (default: data)")
        _add_reader_flags(one, {kind})
        _add_writing_flags(one)
        _add_checking_flags(one)


def _add_reader_flags(parser: argparse.ArgumentParser, kinds: set[str]) -> None:
    add = parser.add_argument
    if "voc" in kinds:
        add(
            "--voc-one-based",
            dest="one_based",
            action="store_true",
            help="corners count pixels from 1, as the VOC challenge's own files do",
        )
    if "csv" in kinds:
        add(
            "--layout",
            metavar="NAME",
            help="tensorflow, tensorflow-normalized, vott, open-images, keras-retinanet, automl, "
            "via, or via:ATTRIBUTE that holds the class (default: as the first row tells)",
        )
    if kinds & {"csv", "yolo"}:
        add(
            "--names",
            metavar="FILE",
            help="class names: data.yaml or one a line for YOLO, class descriptions for Open "
            "Images (default: looked for beside the annotations)",
        )


def _add_writing_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    split = parser.add_mutually_exclusive_group()
    split.add_argument(
        "--val-fraction",
        type=float,
        metavar="X",
        help="share of images for val, 0 to 1, by a hash that other images do not change "
        "(default: 0.2)",
    )
    split.add_argument("--split-dir", metavar="DIR", help="VOC ImageSets lists instead, see below")
    add("--shards", type=int, metavar="N", help="files per split (default: one per 128 MiB)")
    add("--strict", action="store_true", help="write nothing if anything needs mending (exit 3)")
    add("--seed", type=int, metavar="N", help="of split and record order (default: 0)")
    add(
        "--runner",
        choices=("beam",),
        help="make the records in an Apache Beam pipeline, whose own flags follow behind --",
    )


def _add_checking_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--label-map", metavar="FILE", help="label_map.pbtxt (default: from the annotations)")
    add("--workers", type=int, metavar="N", help="processes (default: one per processor)")
    add(
        "--no-decode",
        dest="decode",
        action="store_false",
        help="look at header and end of every picture, not at its pixels: faster, finds less",
    )
    add(
        "--exif",
        choices=("auto", "stored", "turned"),
        help="which view of a turned picture the boxes are on (default: as size and boxes tell)",
    )
    add("--max-megapixels", type=float, metavar="X", help="larger pictures stay out (100)")
    add(
        "--config",
        metavar="CONFIG",
        help="a pipeline.config, or the name of a shipped one: report boxes that its anchors do "
        "not fit, or that are tiny at its input",
    )
    add("--set", dest="overrides", action="append", metavar="section.field=value", help="for it")


def _add_lint(verbs: argparse._SubParsersAction[CommandParser]) -> None:
    lint = verbs.add_parser(
        "lint",
        prog="lint",
        help="the checks of convert, over annotations or finished records; writes nothing",
        description=(
            "Checks annotations (a folder of .xml or YOLO .txt files, a .json, a .csv) or records "
            "as convert does, and writes nothing. Exit code 3 where something is wrong."
        ),
        argument_default=argparse.SUPPRESS,
    )
    add = lint.add_argument
    add("paths", nargs="+", metavar="PATH", help="annotations, record files, or their folders")
    add("--images", metavar="DIR", help="folder of pictures (default: beside the annotations)")
    add("--json", dest="is_json", action="store_true", help="one JSON object on stdout")
    _add_reader_flags(lint, {"voc", "csv", "yolo"})
    _add_checking_flags(lint)


def _add_show(verbs: argparse._SubParsersAction[CommandParser]) -> None:
    show = verbs.add_parser(
        "show",
        prog="show",
        help="counts and pictures of a data set folder or record",
        description=(
            "Prints images, boxes and boxes per class of every split; with --output draws contact "
            "sheets, plots and single pictures. With --augment, "
            "paints what a config's data_augmentation_options do to the pictures."
        ),
        argument_default=argparse.SUPPRESS,
    )
    add = show.add_argument
    add(
        "path",
        nargs="?",
        metavar="PATH",
        help="record file, folder of records, or folder with images/ and annotations/",
    )
    add(
        "--output",
        metavar="DIR",
        help="gets sheet_<split>.png, splits.png, classes.png, boxes.png, pictures/",
    )
    add("--pictures", type=int, metavar="N", help="how many of each split at most (default: 16)")
    _add_augment(show)


def _add_augment(show: argparse.ArgumentParser) -> None:
    group = show.add_argument_group(
        "augmentation",
        "A contact sheet: pictures beside what training would make of them. PATH holds records; "
        "without it, those of the config or the sample data. The output is a .png (default: "
        "augmentation.png), of three pictures where no number is given.",
    )
    add = group.add_argument
    add("--augment", metavar="CONFIG", help="a pipeline.config or the name of a shipped one")
    add("--data", metavar="PATH", help="as PATH")
    add("--draws", type=int, metavar="N", help="how often each picture is augmented (default: 5)")
    add("--each-step", action="store_true", help="a row for every step on its own, too")
    add("--seed", type=int, metavar="N", help="other pictures, other draws (default: 0)")
    add("--label-map", metavar="FILE", help="of the records (default: beside them)")
    add("--set", action="append", metavar="section.field=value", help="changes the config")


def _add_sample_data(verbs: argparse._SubParsersAction[CommandParser]) -> None:
    sample = verbs.add_parser(
        "sample-data",
        prog="sample-data",
        help="the generated sample data set in VOC, COCO, CSV and YOLO form",
        description="Writes images/, annotations/ (Pascal VOC), annotations_coco.json, "
        "annotations.csv, labels/ and data.yaml (YOLO).",
        argument_default=argparse.SUPPRESS,
    )
    add = sample.add_argument
    add("--output", default="sample_data", metavar="DIR", help="(default: sample_data)")
    add("--images", type=int, metavar="N", help="how many pictures (default: 360)")
    add("--seed", type=int, metavar="N", help="other pictures (default: 0)")
    add("--workers", type=int, metavar="N", help="drawing threads (default: 1)")
