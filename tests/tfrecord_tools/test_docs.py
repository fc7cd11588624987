"""The guide lists the checks that there are."""

from __future__ import annotations

from pathlib import Path

from tfrecord_tools.annotations import RULES

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def test_every_rule_is_in_the_guide_in_the_words_of_the_report():
    lines = GUIDE.read_text().splitlines()
    for name, rule in RULES.items():
        weight = "a note" if rule.is_note else "an error"
        assert f"| `{name}` | {rule.text} | {weight} |" in lines
    assert sum(
        line.startswith("| `") and line.endswith((" note |", " error |")) for line in lines
    ) == (len(RULES))
