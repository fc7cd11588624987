"""What Open Images calls its classes: MID, such as /m/01g317, to display name."""

from __future__ import annotations

import csv
from pathlib import Path

from ssd.errors import InputError


def find_display_names(annotations: Path) -> dict[str, str]:
    """Returns the names of all class-descriptions .csv files beside `annotations`; else none.

    Raises:
      InputError: one of them is not of that kind.
    """
    names: dict[str, str] = {}
    for path in sorted(annotations.parent.iterdir()):
        name = path.name.lower()
        if "class-descriptions" in name and name.endswith(".csv") and path.is_file():
            names |= load_display_names(path)
    return names


def load_display_names(file: Path) -> dict[str, str]:
    """Returns MID to display name, from rows of these two with or without a header.

    Raises:
      InputError: no such file, or other columns.
    """
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:
            rows = [row for row in csv.reader(text) if row]
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; expected the class descriptions") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: not CSV in UTF-8: {error}") from None
    names = {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    names.pop("LabelName", None)
    if not names or len(names) < len(rows) - 1 or not all(names.values()):
        raise InputError(f"{file}: expected rows of two: MID, display name")
    return names
