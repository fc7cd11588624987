"""Which image goes to train, val or test: by a hash of its name, or by VOC ImageSets lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd.errors import InputError
from tfrecord_tools.annotations import ProblemLog
from tfrecord_tools.readers.image_index import basename, fold, stem

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
    """The image names of each split, and the rule that put them there, in words for the screen."""

    names: dict[str, list[str]]
    rule: str


def by_hash(
    names: Sequence[str], val_fraction: float, seed: int, copies: Mapping[str, str] | None = None
) -> Splits:
    """Returns train and val; an image keeps its split when others are added or removed.

    An image is in val where the hash of seed and name, as a number in [0, 1), is below
    `val_fraction`; a copy goes where its original goes. Where that leaves one of the two empty
    although 0 < val_fraction < 1 and there are two different images or more, the nearest image goes
    there alone.

    Args:
      names: of the images, any order; the split does not depend on it.
      val_fraction: in [0, 1].
      seed: another seed, another split.
      copies: see `same_pictures.find_copies`.
    """
    originals = [(copies or {}).get(name, name) for name in names]
    draws = {name: _fraction(f"split:{seed}:{name}") for name in set(originals)}
    is_val = {name: draw < val_fraction for name, draw in draws.items()}
    if 0.0 < val_fraction < 1.0 and len(draws) > 1 and len(set(is_val.values())) == 1:
        to_val = not next(iter(is_val.values()))
        nearest = min(draws, key=lambda n: (draws[n] if to_val else -draws[n], n))
        is_val[nearest] = to_val
    split: dict[str, list[str]] = {TRAIN: [], VAL: []}
    for name, original in zip(names, originals, strict=True):
        split[VAL if is_val[original] else TRAIN].append(name)
    return Splits(split, f"by hash of the image name, val fraction {val_fraction:g}, seed {seed}")


def by_lists(
    names: Sequence[str],
    split_dir: Path,
    images_folder: Path,
    log: ProblemLog,
    copies: Mapping[str, str] | None = None,
) -> Splits:
    """Returns the splits that the lists in `split_dir` (or its folder Main) name.

    A line is the name of a picture, with or without folder and extension. LIST_RULE_HELP says
    which lists count. Names without picture, in two lists, and pictures in no list are noted. A
    picture whose bytes are in an earlier list too is kept there alone.

    Raises:
      InputError: no such folder, none of the lists in it, or a name that fits several pictures.
    """
    folder, rule = _find_lists(split_dir)
    by_name = _names_of(names)
    split: dict[str, list[str]] = {}
    taken: dict[str, str] = {}
    owner: dict[str, tuple[str, str]] = {}  # original -> (list, name) that has its bytes
    for split_name, list_name in rule.items():
        split[split_name] = []
        place = str(folder / list_name)
        for line in _read_list(folder / list_name):
            name = _only_match(line, by_name, place)
            if name is None:
                log.add("split-missing-image", place, f"{line}: no usable annotation of that name")
                continue
            if name in taken:
                detail = f"{line} is in {taken[name]} already; kept there alone"
                log.add("split-overlap", place, detail, fixed=True)
                continue
            taken[name] = list_name
            first_list, first = owner.setdefault((copies or {}).get(name, name), (list_name, name))
            if first_list != list_name:
                detail = f"{line} has the bytes of {first} in {first_list}; left out of this list"
                log.add("same-picture", place, detail, fixed=True)
                continue
            split[split_name].append(name)
    for name in names:
        if name not in taken:
            where = str(images_folder / name)
            log.add("not-in-split", where, "in none of the lists; left out")
    parts = ", ".join(f"{name} = {list_name}" for name, list_name in rule.items())
    return Splits(split, f"by the lists in {folder}: {parts}")


def record_order(names: Sequence[str], seed: int) -> list[str]:
    """Returns the names shuffled by a hash of seed and name: any slice is a fair sample."""
    return sorted(names, key=lambda name: (_fraction(f"order:{seed}:{name}"), name))


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


def _only_match(line: str, by_name: dict[str, list[str]], place: str) -> str | None:
    matches = _matches(line, by_name)
    if len(matches) > 1:
        raise InputError(
            f"{place}: {line} fits {len(matches)} pictures ({matches[0]}, {matches[1]}); give the "
            "path below --images"
        )
    return matches[0] if matches else None


def _matches(line: str, by_name: dict[str, list[str]]) -> list[str]:
    # Lists of one class end in a flag, 1 or -1, after the name; but a name may end so itself.
    head, _, last = line.rpartition(" ")
    lines = [line, head.strip()] if head and last in ("1", "-1", "0") else [line]
    for name in [name for line in lines for name in (line, basename(line), stem(line))]:
        if found := by_name.get(fold(name.replace("\\", "/"))):
            return found
    return []


def _names_of(paths: Sequence[str]) -> dict[str, list[str]]:
    """Returns what lists may call each picture: path or name, with extension or without."""
    names: dict[str, list[str]] = {}
    for path in paths:
        bare = path[: len(path) - len(basename(path))] + stem(path)
        for name in dict.fromkeys(fold(n) for n in (path, basename(path), bare, stem(path))):
            names.setdefault(name, []).append(path)
    return names
