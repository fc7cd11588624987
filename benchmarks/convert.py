"""Pictures per second and memory of `convert`, beside the shortest converter that checks nothing.

    python benchmarks/convert.py [--voc FOLDER] [--images 5000] [--repeats 2] [--coco-megabytes 300]

FOLDER has JPEGImages/ and Annotations/; its pictures are repeated under other names, each made
unique by a comment in the file. Without it, pictures are drawn. The reference parses the same XML
and writes the same keys in one loop of one process: no check, no split, no report. Rows take turns;
each is the best of the repeats. Peak memory is that of the largest process (Linux only).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image

from ssd.standard_fields import TfExampleFields as F
from tfrecord_tools.record_file import frame
from tfrecord_tools.tf_example import example_class

PROJECT = Path(__file__).resolve().parents[1]
_SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Run:
    """What one command took: seconds, and megabytes of its largest process."""

    seconds: float
    megabytes: float


def main() -> None:
    """Makes the data in a temporary folder, measures, prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voc", type=Path, help="folder with JPEGImages/ and Annotations/")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--coco-megabytes", type=int, default=300, help="0 leaves COCO out")
    parser.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reference:
        reference(arguments.reference)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "voc")
        write_voc(data, arguments.images, arguments.voc)
        report_voc(data, arguments)
        shutil.rmtree(data)
        if arguments.coco_megabytes:
            report_coco(Path(folder, "coco"), arguments.coco_megabytes)


def report_voc(data: Path, arguments: argparse.Namespace) -> None:
    """Prints pictures per second of the reference and of `convert` in its settings."""
    single = data.parent / "single"
    first = sorted((data / "JPEGImages").iterdir())[0]
    for path in (first, data / "Annotations" / f"{first.stem}.xml"):
        target = single / path.parent.name / path.name
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    kilobytes = np.mean([p.stat().st_size for p in (data / "JPEGImages").iterdir()]) / 1000
    print(f"{arguments.images} JPEGs of {kilobytes:.0f} kB, {os.cpu_count()} CPUs")
    rows = {
        "reference: no check": [sys.executable, __file__, "--reference", str(data)],
        "1 worker, headers": voc_command(data, 1, "--no-decode"),
        "2 workers, headers": voc_command(data, 2, "--no-decode"),
        "1 worker, decoded": voc_command(data, 1),
        "2 workers, decoded": voc_command(data, 2),
        "one picture (start-up)": voc_command(single, 1),
    }
    best: dict[str, Run] = {}
    for _ in range(arguments.repeats):
        for name, command in rows.items():
            run = measure(command)
            if name not in best or run.seconds < best[name].seconds:
                best[name] = run
    base = best["reference: no check"]
    for name, run in best.items():
        speed = arguments.images / run.seconds
        rate = f"{speed:7.0f} images/s {base.seconds / run.seconds:5.2f} of reference"
        what = f"{run.seconds:7.2f} s" if "start-up" in name else rate
        print(f"{name:<24}{what}, {run.megabytes:4.0f} MB")


def voc_command(data: Path, workers: int, *flags: str) -> list[str]:
    """Returns the command that converts a VOC folder."""
    command = [sys.executable, "-m", "tfrecord_tools", "convert", "voc"]
    command += ["--images", str(data / "JPEGImages"), "--annotations", str(data / "Annotations")]
    return [*command, "--output", str(data.parent / "out"), "--workers", str(workers), *flags]


def report_coco(folder: Path, megabytes: int) -> None:
    """Prints seconds and memory for a large instances file, read alone and converted."""
    images, boxes = write_coco(folder, megabytes)
    size = (folder / "instances.json").stat().st_size / 1e6
    print(f"instances.json of {size:.0f} MB: {images} images, {boxes} boxes")
    read = (
        "import sys, pathlib\n"
        "from tfrecord_tools.readers import coco\n"
        "from tfrecord_tools.annotations import ProblemLog\n"
        "from tfrecord_tools.readers.image_index import ImageIndex\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "index = ImageIndex(folder / 'images')\n"
        "coco.read_annotations(folder / 'instances.json', index, ProblemLog())\n"
    )
    plain = "import json, sys\njson.load(open(sys.argv[1] + '/instances.json'))\n"
    convert = [sys.executable, "-m", "tfrecord_tools", "convert", "coco", "--no-decode"]
    convert += ["--images", str(folder / "images"), "--output", str(folder / "out")]
    convert += ["--annotations", str(folder / "instances.json")]
    rows = {
        "reference: json.load": [sys.executable, "-c", plain, str(folder)],
        "read_annotations": [sys.executable, "-c", read, str(folder)],
        "convert, headers": convert,
    }
    base: Run | None = None
    for name, command in rows.items():
        run = measure(command)
        base = base or run
        print(
            f"{name:<24}{run.seconds:7.1f} s {run.seconds / base.seconds:5.2f} of reference, "
            f"{run.megabytes:5.0f} MB {run.megabytes / base.megabytes:5.2f} of reference"
        )


def measure(command: list[str]) -> Run:
    """Returns what a command took; its output is shown where it fails."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, *(peak_megabytes(pid) for pid in family(process.pid)))
            time.sleep(_SAMPLE_SECONDS)
        seconds = time.perf_counter() - begin
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)}\n{said.read().decode()}")
    return Run(seconds, peak)


def family(pid: int) -> Iterator[int]:
    """Yields a process and its descendants."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def peak_megabytes(pid: int) -> float:
    """Returns the largest resident size a process has had so far; 0 where nobody says it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) / 1000 if found else 0.0


def reference(data: Path) -> None:
    """Converts without a look: what a converter script of the field does, without TensorFlow."""
    example_type = example_class()
    with (data.parent / "reference.tfrecord").open("wb") as shard:
        for path in sorted((data / "Annotations").iterdir()):
            root = ElementTree.parse(path).getroot()
            encoded = (data / "JPEGImages" / root.findtext("filename", "")).read_bytes()
            sides = (root.findtext(f"size/{side}", "0") for side in ("width", "height"))
            width, height = map(int, sides)
            example = example_type()
            features = example.features.feature
            for key, value in ((F.image_encoded, encoded), (F.image_format, b"jpeg")):
                features[key].bytes_list.value.append(value)
            digest = hashlib.sha256(encoded).hexdigest().encode()
            features[F.key_sha256].bytes_list.value.append(digest)
            for element in root.findall("object"):
                features[F.object_class_text].bytes_list.value.append(
                    element.findtext("name", "").encode()
                )
                for key, tag, side in (
                    (F.object_bbox_xmin, "xmin", width),
                    (F.object_bbox_ymin, "ymin", height),
                    (F.object_bbox_xmax, "xmax", width),
                    (F.object_bbox_ymax, "ymax", height),
                ):
                    value = float(element.findtext(f"bndbox/{tag}", "0")) / side
                    features[key].float_list.value.append(value)
            shard.write(frame(example.SerializeToString()))


def write_voc(folder: Path, count: int, source: Path | None) -> None:
    """Writes `count` different pictures with their XML files."""
    for name in ("JPEGImages", "Annotations"):
        (folder / name).mkdir(parents=True)
    pairs = _pairs_of(source) if source else _drawn_pairs(200)
    for number in range(count):
        encoded, text = pairs[number % len(pairs)]
        comment = b"copy %d" % number
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        root = ElementTree.fromstring(text)
        filename = root.find("filename")
        assert filename is not None
        filename.text = f"p{number:06d}.jpg"
        (folder / "JPEGImages" / filename.text).write_bytes(encoded[:2] + segment + encoded[2:])
        ElementTree.ElementTree(root).write(folder / "Annotations" / f"p{number:06d}.xml")


def _pairs_of(source: Path) -> list[tuple[bytes, str]]:
    files = sorted((source / "Annotations").glob("*.xml"))
    pictures = [source / "JPEGImages" / f"{file.stem}.jpg" for file in files]
    return [
        (picture.read_bytes(), file.read_text())
        for picture, file in zip(pictures, files, strict=True)
        if picture.exists()
    ]


def _drawn_pairs(count: int) -> list[tuple[bytes, str]]:
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8))
        buffer = io.BytesIO()
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
            f"<xmax>{x + 90}</xmax><ymax>{y + 60}</ymax></bndbox></object>"
            for name, x, y in zip(
                random.choice(["cat", "dog", "cow"], 8),
                random.integers(0, 540, 8),
                random.integers(0, 410, 8),
                strict=True,
            )
        )
        size = "<size><width>640</width><height>480</height><depth>3</depth></size>"
        pairs.append((buffer.getvalue(), f"<annotation><filename/>{size}{objects}</annotation>"))
    return pairs


def write_coco(folder: Path, megabytes: int) -> tuple[int, int]:
    """Writes instances.json with polygons, and its pictures; returns images and boxes."""
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(buffer, "JPEG")
    encoded = buffer.getvalue()
    polygon = [round(value, 2) for value in random.uniform(0, 48, 46).tolist()]
    images, annotations, size = [], 0, 0
    with (folder / "instances.json").open("w") as file:
        file.write('{"annotations": [')
        while size < megabytes * 1_000_000:
            number = len(images)
            name = f"{number:012d}.jpg"
            images.append({"id": number, "file_name": name, "width": 64, "height": 48})
            comment = b"copy %d" % number
            segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
            (folder / "images" / name).write_bytes(encoded[:2] + segment + encoded[2:])
            for index in range(7):
                box = [3.25 + index, 4.5, 20.75, 30.0 - index]
                text = json.dumps(
                    {
                        "id": annotations,
                        "image_id": number,
                        "category_id": 1 + index % 3,
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": 0,
                        "segmentation": [polygon],
                    }
                )
                size += file.write(", " * (annotations > 0) + text)
                annotations += 1
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(("cat", "dog", "cow"))]
        file.write(f'], "images": {json.dumps(images)}, "categories": {json.dumps(categories)}}}')
    return len(images), annotations


if __name__ == "__main__":
    main()
