"""Pascal VOC folders -> records, through `convert voc`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd import label_map as label_maps
from ssd.errors import InputError
from ssd.label_map import LabelMap

# Further processes would run the script once more each: few have an `if __name__ == "__main__"`.
WORKERS = 1


@dataclass(frozen=True)
class Chosen:
    """Which annotations are taken; all of them as it stands.

    Attributes:
      names: of XML files, with or without `.xml`; None: all.
      most: the first so many by name.
      skips_difficult: objects that are marked `difficult` are left out.
    """

    names: Sequence[str] | None = None
    most: int | None = None
    skips_difficult: bool = False


def convert_voc(
    *,
    images: Path,
    annotations: Path,
    classes: LabelMap,
    chosen: Chosen,
    num_shards: int | None,
    output: Path,
) -> None:
    """Writes the annotated pictures to `output`, all of them as train-*.tfrecord.

    Raises:
      InputError: see `tfrecord_tools.convert.convert`.
    """
    from tfrecord_tools.convert import convert  # late: it needs NumPy and Pillow

    for folder, argument in ((images, "images_dir"), (annotations, "annotations_dir")):
        if not folder.is_dir():
            raise InputError(f"{argument}={str(folder)!r}: no such folder")
    with tempfile.TemporaryDirectory(prefix="model_maker-") as work:
        label_map = Path(work) / "label_map.pbtxt"
        label_maps.save(classes, label_map)
        convert(
            "voc",
            images=images,
            annotations=_only(annotations, chosen, Path(work) / annotations.name),
            output=output,
            label_map=label_map,
            val_fraction=0.0,
            shards=num_shards,
            workers=WORKERS,
        )


def _only(annotations: Path, chosen: Chosen, copies: Path) -> Path:
    """The folder with the chosen XML files and nothing else: copies, where not all are chosen."""
    if chosen == Chosen():
        return annotations
    files = sorted(annotations.rglob("*.xml"))
    if chosen.names is not None:
        files = _named(files, chosen.names, annotations)
    for file in files[: chosen.most]:
        copy = copies / file.relative_to(annotations)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        if chosen.skips_difficult:
            _drop_difficult(copy)
    return copies


def _named(files: Iterable[Path], names: Sequence[str], folder: Path) -> list[Path]:
    by_name = {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
    found = []
    for name in names:
        file = by_name.get(str(name).removesuffix(".xml"))
        if file is None:
            raise InputError(f"annotation_filenames: {name}: no {name}.xml in {folder}")
        found.append(file)
    return found


def _drop_difficult(copy: Path) -> None:
    """Takes the difficult objects out of a copy; which they are, the converter's reader says."""
    from lxml import etree  # late, as above

    from tfrecord_tools.annotations import RefusedError
    from tfrecord_tools.readers import voc_file

    try:
        difficult = voc_file.parse(copy).difficult
    except RefusedError:
        return  # the conversion says what is wrong with it
    tree = etree.parse(copy, etree.XMLParser(resolve_entities=False, no_network=True))
    for element, is_difficult in zip(tree.findall("object"), difficult, strict=True):
        if is_difficult:
            tree.getroot().remove(element)
    tree.write(copy)
