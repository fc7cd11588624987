"""What the real `convert` makes of a case: the lines of its report and its record."""

from __future__ import annotations

import functools
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rule_cases import CODE, SCENE_SEED, SIZE, SOUND, Case, voc_text, yolo_text

from tfrecord_tools import tf_example
from tfrecord_tools.annotations import ImageAnnotation
from tfrecord_tools.convert import convert
from tfrecord_tools.record_file import read_records
from tfrecord_tools.sample.scene import make_scene

_EXIF_ORIENTATION = 0x0112
_TURNED_BY_90 = 6


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
      lines: of the report, each with its rule in front.
      picture: as the record holds it, its EXIF ignored as training does; None where left out.
      annotation: as the record holds it.
    """

    lines: tuple[str, ...]
    picture: Image.Image | None = None
    annotation: ImageAnnotation | None = None


@functools.cache
def _scene() -> Image.Image:
    return make_scene(np.random.default_rng(SCENE_SEED))[0]


def shown_picture(case: Case) -> Image.Image:
    """Returns the picture as the annotating tool shows it."""
    scene = _scene()
    return scene.transpose(Image.Transpose.ROTATE_270) if case.is_seen_turned else scene


def convert_case(case: Case) -> Outcome:
    """Returns what the real `convert` makes of a case: its report's lines and its record."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        annotations = _write(case, folder)
        report = convert(
            kind=case.kind,
            images=folder / "photos",
            annotations=annotations,
            output=folder / "data",
            val_fraction=0.0,
            workers=1,
            say=lambda line: None,
            **case.choices,
        )
        own = [p for p in report.log.problems if Path(p.file.split(":")[0]).stem in ("case", "all")]
        lines = tuple(f"{p.rule}: {p}".replace(f"{folder}/", "") for p in own)
        for shard in sorted((folder / "data").glob("*.tfrecord")):
            for record in read_records(shard):
                annotation, encoded, _, _ = tf_example.decode(record)
                if annotation.source_id == "case.jpg":
                    return Outcome(lines, Image.open(io.BytesIO(encoded)), annotation)
        return Outcome(lines)


def _write(case: Case, folder: Path) -> Path:
    """Writes photos/ and xml/, labels/ or all.json; returns what `--annotations` names."""
    (folder / "photos").mkdir()
    scene = _scene()
    scene.resize((60, 45)).resize(SIZE).save(folder / f"photos/{SOUND}.jpg")
    options: dict[str, Any] = {"quality": 90}
    if case.is_turned:
        options["exif"] = Image.Exif()
        options["exif"][_EXIF_ORIENTATION] = _TURNED_BY_90
    scene.resize(case.size).save(folder / "photos/case.jpg", **options)
    if case.kind == "coco":
        (folder / "all.json").write_text(case.text)
        return folder / "all.json"
    place, ending = ("xml", "xml") if case.kind == "voc" else ("labels", "txt")
    sound = voc_text((CODE,)).replace("case.jpg", f"{SOUND}.jpg")
    (folder / place).mkdir()
    (folder / place / f"case.{ending}").write_text(case.text)
    (folder / place / f"{SOUND}.{ending}").write_text(
        sound if case.kind == "voc" else yolo_text(CODE)
    )
    if case.kind == "yolo":
        (folder / place / "classes.txt").write_text("code\n")
    return folder / place
