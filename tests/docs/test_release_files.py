"""What a release states in several places, and what reports of faults have to bring along."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import ssd

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((PROJECT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
FORMS = [path for path in TEMPLATES if path.stem != "config"]


def test_one_version():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    first = re.search(r"^## (\S+)$", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    said = subprocess.run(
        [PROJECT / "run.sh", "--version"], capture_output=True, text=True, check=True
    )
    assert first
    assert {citation["version"], first[1], said.stdout.strip()} == {ssd.__version__}


@pytest.mark.parametrize("path", FORMS, ids=[path.stem for path in FORMS])
def test_every_report_has_what_doctor_says(path):
    form = yaml.safe_load(path.read_text())
    required = [
        field["attributes"]["label"]
        for field in form["body"]
        if field.get("validations", {}).get("required")
    ]
    assert any("./run.sh doctor --json" in label for label in required)
    assert len({field["id"] for field in form["body"]}) == len(form["body"])
