"""`config check` and `config show`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from ssd.config import pipeline
from ssd.config.filled_text import to_filled_text
from ssd.config.reference import reference_text
from ssd.config.refusals import Refusal
from ssd.config.text_source import PlacedError, write_text
from ssd.errors import InputError


def check(files: Sequence[str | os.PathLike[str]], as_json: bool = False) -> bool:
    """Prints which settings of the files are not acted on; returns whether there is none.

    A file that cannot be read counts as not obeyed, with its error as the one reason. One JSON
    object with `as_json`, else a line per file and setting and a line of counts. There a config of
    another model or backbone gets one line: what else is refused in it is only counted.
    """
    results = [(str(file), *_check_file(file)) for file in files]
    if as_json:
        print(json.dumps({"files": [_as_json(name, found) for name, _, found in results]}))
    else:
        _print_results(results)
    return not any(found for _, _, found in results)


def show(file: str | os.PathLike[str], overrides: Sequence[str] = ()) -> None:
    """Prints a config with every default filled in; the text can be used as a pipeline.config."""
    loaded = pipeline.load(file, overrides)
    print(to_filled_text(loaded.message), end="")


def write_reference(path: str | os.PathLike[str]) -> None:
    """Writes the page about which settings are obeyed, harmless or refused."""
    write_text(reference_text(), path)


def _check_file(file: str | os.PathLike[str]) -> tuple[str, list[Refusal]]:
    """Returns ("", what is refused), or (the error line, that error as the one refusal)."""
    try:
        return "", pipeline.load(file).refusals()
    except PlacedError as error:
        return str(error), [Refusal(error.line, error.path, error.what)]
    except InputError as error:
        return str(error), [Refusal(None, "", str(error))]


def _other_network(found: list[Refusal]) -> Refusal | None:
    """Returns the refusal of a model or backbone; nothing else is worth mending beside it."""
    for refusal in found:
        is_model = refusal.path.startswith("model.") and refusal.path.count(".") == 1
        if is_model or refusal.path == "model.ssd.feature_extractor.type":
            return refusal
    return None


def _as_json(name: str, found: list[Refusal]) -> dict[str, object]:
    refused = [{"line": item.line, "path": item.path, "why": item.why} for item in found]
    return {"file": name, "obeyed": not found, "refused": refused}


def _print_results(results: list[tuple[str, str, list[Refusal]]]) -> None:
    for name, error, found in results:
        if error:
            print(error)
        elif not found:
            print(f"{name}: obeyed")
        elif network := _other_network(found):
            more = len(found) - 1
            print(network.message(name) + (f" And {more} more, see --json." if more else ""))
        else:
            for refusal in found:
                print(refusal.message(name))
    obeyed = sum(not found for _, _, found in results)
    unread = sum(bool(error) for _, error, _ in results)
    refused = len(results) - obeyed - unread
    files = "1 file" if len(results) == 1 else f"{len(results)} files"
    print(f"{files}: {obeyed} obeyed, {refused} refused, {unread} not readable")
