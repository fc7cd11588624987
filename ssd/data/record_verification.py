"""Are converted records what their conversion wrote, and do they go with the run's label map?"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from ssd import label_map as label_maps
from ssd.data.manifest import REPORT_NAME, Manifest, Request, Shard, requests
from ssd.data.record_files import shard_set
from ssd.errors import InputError
from ssd.label_map import LabelMap

# Above this, reading every byte from a slow disk would keep people waiting for minutes.
_MOST_HASHED_BYTES = 8 << 30
_READ_BYTES = 1 << 20
_SECONDS_BEFORE_BAR = 1.0
_AGAIN = "copy it here again, or convert again"


def verify(
    patterns: Sequence[str], label_map: LabelMap | None = None, place: str = "label map"
) -> list[str]:
    """Returns a line about what was verified; none where no record lies beside a manifest.

    The files that a pattern names must be those that the manifest lists under such names, with
    their sizes and SHA-256. Above 8 GiB only the first shard of each split is hashed; the line says
    so. Files that the manifest does not know are left to their other tool, unless they are called
    like a shard of one of its splits or a pattern takes them together with its shards.

    Args:
      patterns: paths and patterns of record files. What names no file is no error here, unless a
        manifest knows better.
      label_map: of the run; None where classes do not matter.
      place: where it comes from, for messages.

    Raises:
      InputError: a shard is missing, was changed, or is from another conversion; a split is empty;
        the label map gives a class another name than the records; a manifest is damaged.
    """
    asked = requests(patterns)
    for request in asked:
        _require_no_stranger(request)
        _require_all(request)
    for folder, manifest in {r.folder: r.manifest for r in asked if r.listed}.items():
        if label_map is not None:
            _require_same_items(label_map, place, folder, manifest)
    # One shard may be asked for twice: to train and to calibrate.
    shards = {path: shard for request in asked for path, shard in request.listed.items()}
    return [_verify_content(shards)] if shards else []


def _require_no_stranger(request: Request) -> None:
    splits = request.manifest.splits
    takes_listed = any(path in request.listed for path in request.present)
    for file in request.present:
        stem = os.path.basename((shard_set(file) or ("", ""))[0])
        if file in request.listed or not (takes_listed or stem in splits):
            continue
        own = [splits[stem]] if stem in splits else splits.values()
        first = next((f", but {shard.file}" for split in own for shard in split.shards), "")
        raise InputError(
            f"{file}: {REPORT_NAME} beside it does not list it{first}: files of two conversions "
            "are mixed here; remove those that are not wanted, or give a pattern that leaves them "
            "out"
        )


def _require_all(request: Request) -> None:
    for path, shard in request.listed.items():
        if path not in request.present:
            raise InputError(
                f"{path}: no such file; {REPORT_NAME} beside it lists it with {shard.bytes} bytes; "
                + _AGAIN
            )
    name = os.path.basename(request.pattern).partition("-")[0]
    split = request.manifest.splits.get(name)
    if request.present or split is None:
        return
    where = f", the first into {split.shards[0].file}" if split.shards else ""
    what = "correct the pattern" if split.shards else "convert again with a split that gives some"
    raise InputError(
        f"{request.pattern}: matches no file; the conversion put {split.images} images into "
        f"{name}{where}; {what}"
    )


def _require_same_items(label_map: LabelMap, place: str, folder: str, manifest: Manifest) -> None:
    """Raises unless the label map has the records' ids and names; display names may differ."""
    own = {item.id: item.name for item in label_map.items}
    records = _names_by_id(folder, manifest, own)
    changed = [i for i in sorted(own.keys() | records.keys()) if own.get(i) != records.get(i)]
    if changed:
        came, expected = (
            repr(names[changed[0]]) if changed[0] in names else "absent" for names in (own, records)
        )
        more = f" (and {len(changed) - 1} more ids)" if changed[1:] else ""
        raise InputError(
            f"{place}: class id {changed[0]} is {came}, but {expected} in the records of "
            f"{folder or '.'}{more}; take the label map they were converted with, or convert again "
            "with --label-map"
        )


def _names_by_id(folder: str, manifest: Manifest, own: Mapping[int, str]) -> dict[int, str]:
    """Returns id -> name of the records' label map.

    The manifest itself has the names in the order of the ids. Where its label map file is gone or
    was changed since, the ids are taken from `own`, then counted on.
    """
    path = os.path.join(folder, manifest.label_map.file)
    if os.path.isfile(path) and _sha256(path) == manifest.label_map.sha256.lower():
        return {item.id: item.name for item in label_maps.load(path).items}
    ids = itertools.chain(sorted(own), itertools.count(max(own, default=0) + 1))
    return dict(zip(ids, manifest.classes, strict=False))


def _verify_content(shards: Mapping[str, Shard]) -> str:
    """Returns a line about the shards; InputError where one has other bytes than were written."""
    for path, shard in shards.items():
        size = _size(path)
        if size != shard.bytes:
            raise InputError(
                f"{path}: {size} bytes; {REPORT_NAME} beside it says {shard.bytes}: a copy was cut "
                f"off, or they are of two conversions; {_AGAIN}"
            )
    total = sum(shard.bytes for shard in shards.values())
    size_text = f"{total / 1e9:.2f} GB" if total >= 1e9 else f"{total / 1e6:.1f} MB"
    count = f"{len(shards)} shard{'s'[: len(shards) - 1]}"
    if total <= _MOST_HASHED_BYTES:
        _require_hashes(shards)
        return f"records: {size_text} in {count}, as {REPORT_NAME} lists them"
    firsts: dict[tuple[str, str], str] = {}
    for path in shards:
        firsts.setdefault(shard_set(path) or (path, ""), path)
    _require_hashes({path: shards[path] for path in firsts.values()})
    names = ", ".join(os.path.basename(path) for path in firsts.values())
    return (
        f"records: {size_text} in {count}, of the sizes that {REPORT_NAME} lists; "
        f"above {_MOST_HASHED_BYTES >> 30} GiB the SHA-256 is checked of {names} only"
    )


def _require_hashes(shards: Mapping[str, Shard]) -> None:
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(
            total=sum(shard.bytes for shard in shards.values()),
            unit="B",
            unit_scale=True,
            desc="verifying records",
            leave=False,
            disable=None,
            delay=_SECONDS_BEFORE_BAR,
        ) as bar,
    ):
        for (path, shard), digest in zip(shards.items(), pool.map(_sha256, shards), strict=True):
            if digest != shard.sha256.lower():
                pool.shutdown(wait=False, cancel_futures=True)
                raise InputError(
                    f"{path}: SHA-256 {digest[:16]}...; {REPORT_NAME} beside it says "
                    f"{shard.sha256[:16]}...: its bytes were changed since the conversion; {_AGAIN}"
                )
            bar.update(shard.bytes)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; {_AGAIN}") from None


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_READ_BYTES))
    try:
        with open(path, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; {_AGAIN}") from None
    return digest.hexdigest()
