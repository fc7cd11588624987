"""Which image goes to train, val or test: by a hash of its source id, or by VOC ImageSets lists."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd.errors import InputError
from tfrecord_tools.annotations import ProblemLog, StatedAnnotation
from tfrecord_tools.image_index import basename, fold, stem

TRAIN, VAL, TEST = "train", "val", "test"

# Which lists make which splits: the first row whose files are all there decides.
LIST_RULES: tuple[dict[str, str], ...] = (
    {TRAIN: "trainval.txt", VAL: "test.txt"},
    {TRAIN: "train.txt", VAL: "val.txt", TEST: "test.txt"},
    {TRAIN: "train.txt", VAL: "val.txt"},
    {TRAIN: "train.txt", VAL: "test.txt"},
    {TRAIN: "trainval.txt"},
    {TRAIN: "train.txt"},
    {VAL: "val.txt"},
    {VAL: "test.txt"},
)
LIST_RULE_HELP = (
    "trainval.txt + test.txt (train and val) if both are there; else train.txt + val.txt (and "
    "test.txt as a third split, if there); else train.txt + test.txt (train and val); else the "
    "one list there is"
)


@dataclass(frozen=True)
class Splits:
    """The images of each split, and the rule that put them there, in words for the screen."""

    images: dict[str, list[StatedAnnotation]]
    rule: str


def by_hash(images: Sequence[StatedAnnotation], val_fraction: float, seed: int) -> Splits:
    """Returns train and val; an image keeps its split when others are added or removed.

    An image is in val where the hash of seed and source id, as a number in [0, 1), is below
    `val_fraction`. Where that leaves one of the two empty although 0 < val_fraction < 1 and there
    are two images or more, the nearest image goes there alone.

    Args:
      images: any order; the split does not depend on it.
      val_fraction: in [0, 1].
      seed: another seed, another split.
    """
    draws = [_fraction(f"split:{seed}:{image.source_id}") for image in images]
    is_val = [draw < val_fraction for draw in draws]
    if 0.0 < val_fraction < 1.0 and len(images) > 1 and len(set(is_val)) == 1:
        extreme = max(draws) if is_val[0] else min(draws)
        is_val[draws.index(extreme)] = not is_val[0]
    split: dict[str, list[StatedAnnotation]] = {TRAIN: [], VAL: []}
    for image, to_val in zip(images, is_val, strict=True):
        split[VAL if to_val else TRAIN].append(image)
    return Splits(split, f"by hash of the source id, val fraction {val_fraction:g}, seed {seed}")


def by_lists(images: Sequence[StatedAnnotation], split_dir: Path, log: ProblemLog) -> Splits:
    """Returns the splits that the lists in `split_dir` (or its folder Main) name.

    A line is the name of a picture, with or without folder and extension. LIST_RULE_HELP says
    which lists count. Names without picture, in two lists, and pictures in no list are noted.

    Raises:
      InputError: no such folder, none of the lists in it, or a name that fits several pictures.
    """
    folder, rule = _find_lists(split_dir)
    by_name = _names_of(images)
    split: dict[str, list[StatedAnnotation]] = {}
    taken: dict[str, str] = {}
    for name, list_name in rule.items():
        split[name] = []
        for line in _read_list(folder / list_name):
            place = str(folder / list_name)
            matches = _matches(line, by_name)
            if len(matches) > 1:
                raise InputError(
                    f"{place}: {line} fits {len(matches)} pictures "
                    f"({matches[0].image_name}, {matches[1].image_name}); give the path below "
                    "--images"
                )
            if not matches:
                log.add("split-missing-image", place, f"{line}: no usable annotation of that name")
                continue
            image = matches[0]
            if image.source_id in taken:
                detail = f"{line} is in {taken[image.source_id]} already; kept there alone"
                log.add("split-overlap", place, detail, fixed=True)
                continue
            taken[image.source_id] = list_name
            split[name].append(image)
    for image in images:
        if image.source_id not in taken:
            log.add("not-in-split", str(image.image_path), "in none of the lists; left out")
    parts = ", ".join(f"{name} = {list_name}" for name, list_name in rule.items())
    return Splits(split, f"by the lists in {folder}: {parts}")


def record_order(images: Sequence[StatedAnnotation], seed: int) -> list[StatedAnnotation]:
    """Returns the images shuffled by a hash of seed and source id: any slice is a fair sample."""
    return sorted(images, key=lambda i: (_fraction(f"order:{seed}:{i.source_id}"), i.source_id))


def _fraction(text: str) -> float:
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    # 53 bits: what a float64 holds exactly, so the result stays below 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def _find_lists(split_dir: Path) -> tuple[Path, dict[str, str]]:
    if not split_dir.is_dir():
        raise InputError(f"{split_dir}: no such folder; --split-dir takes a folder of .txt lists")
    for folder in (split_dir, split_dir / "Main"):
        for rule in LIST_RULES:
            if all((folder / list_name).is_file() for list_name in rule.values()):
                return folder, rule
    raise InputError(
        f"{split_dir}: no train.txt, val.txt, trainval.txt or test.txt here or in its folder Main"
    )


def _read_list(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8 text") from None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line]


def _matches(line: str, by_name: dict[str, list[StatedAnnotation]]) -> list[StatedAnnotation]:
    # Lists of one class end in a flag, 1 or -1, after the name; but a name may end so itself.
    head, _, last = line.rpartition(" ")
    names = [line, head.strip()] if head and last in ("1", "-1", "0") else [line]
    for name in [name for line in names for name in (line, basename(line), stem(line))]:
        if found := by_name.get(fold(name.replace("\\", "/"))):
            return found
    return []


def _names_of(images: Sequence[StatedAnnotation]) -> dict[str, list[StatedAnnotation]]:
    """Returns what lists may call each picture: path or name, with extension or without."""
    names: dict[str, list[StatedAnnotation]] = {}
    for image in images:
        path = image.image_name
        bare = path[: len(path) - len(basename(path))] + stem(path)
        for name in dict.fromkeys(fold(n) for n in (path, basename(path), bare, stem(path))):
            names.setdefault(name, []).append(image)
    return names
