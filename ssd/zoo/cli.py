"""`zoo list` and `zoo verify`; `zoo fetch` prints what `fetch` returns."""

from __future__ import annotations

import os

from ssd.errors import InputError
from ssd.zoo import cache, catalogue, download, records


def list_models() -> None:
    """Prints the catalogue, and what of it is cached, as plain lines."""
    for model, row in zip(catalogue.CATALOGUE, cache.statuses(), strict=True):
        height, width = model.image_size
        state = {
            "cached": f"cached ({row['bytes'] / 1e6:.1f} MB): {row['path']}",
            "partial": f"{row['bytes'] / 1e6:.1f} MB of it are here; fetch goes on from there",
            "absent": "not cached",
        }[row["state"]]
        print(f"{model.name:<46} {height}x{width}  COCO AP {model.coco_ap:.1f}  {state}")
    source = os.environ.get("ZOO_MIRROR") or download.ZOO_URLS[0]
    print(f"cache:  {cache.cache_folder()} (ZOO_CACHE)")
    print(f"source: {download.without_password(source)} (ZOO_MIRROR)")


def verify(name: str | None = None) -> None:
    """Prints for one model, or all, whether the cached files are those first recorded.

    Raises:
      InputError: a file differs (after everything was printed), or the named model is not cached.
    """
    problems = []
    for model in [catalogue.find(name)] if name else catalogue.CATALOGUE:
        entry = cache.Entry(cache.cache_folder() / model.name)
        if not entry.folder.is_dir() and not entry.archive.is_file():
            print(f"{model.name}: not cached")
            if name:
                problems.append(f"{entry.folder}: not there; `zoo fetch {name}` gets it")
            continue
        try:
            with cache.disk_errors(entry.folder):
                cache.check(entry)
        except InputError as error:
            print(f"{model.name}: DAMAGED")
            problems.append(str(error))
            continue
        digest = records.read(entry.record).get("sha256")
        print(f"{model.name}: ok, {f'sha256 {digest}' if digest else 'no digest was recorded'}")
    if problems:
        raise InputError("; ".join(problems))
