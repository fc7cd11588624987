"""The notebooks: stored clean, and executed from top to bottom at tiny lengths."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
LINKED = (
    *("run.sh", "environment.sh", "requirements.txt", "requirements", "pipeline_configs"),
    *("ssd", "tfrecord_tools", "export", "notebooks"),
)
# The lengths that make a notebook short, and a gate that two steps of training pass.
SHORT: dict[str, Any] = {
    "STEPS": 2,
    "MORE_STEPS": 2,
    "EPOCHS": 1,
    "MAX_MAP_DROP": 100,
    "STRICT": 101,
    "CONFIG": "tiny.config",
    "SCORE_THRESHOLD": 0,  # two steps find nothing surely
}
PATIENCE = 1800
BADGE = "https://colab.research.google.com/github/OWNER/REPOSITORY/blob/main/notebooks/{name}.ipynb"


def book(path: Path) -> Any:
    nbformat = pytest.importorskip("nbformat", reason="pip install -r requirements/dev.txt")
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_they_are_all_here():
    assert [name[:2] for name in names(NOTEBOOKS)] == [f"0{n}" for n in range(1, 8)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_stored_without_outputs(path):
    notebook = book(path)
    __import__("nbformat").validate(notebook)
    assert [(cell.outputs, cell.execution_count) for cell in code_cells(notebook)] == [
        ([], None)
    ] * len(code_cells(notebook))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_begins_alike(path):
    cells = book(path).cells
    assert BADGE.format(name=path.stem) in cells[0].source
    first = code_cells(book(NOTEBOOKS[0]))[0].source
    assert [cell.source for cell in cells if cell.id == "setup"] == [first]
    assert [cell.id for cell in cells if "parameters" in cell.metadata.get("tags", ())] == [
        "parameters"
    ]


# What a cell may hold beside calls of the kit: a picture shown, and commands that list or pack.
THIN = re.compile(
    r"!\./run\.sh |!(ls|tar) |display\(|print\(|from |import |[\w, ]+ = |\)|\]|[\w.]+\(|    |#|$"
)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_no_logic(path):
    cells = [cell for cell in code_cells(book(path)) if cell.id != "setup"]
    lines = [line for cell in cells for line in cell.source.splitlines()]
    words = ("def ", "class ", "for ", "while ", "if ", "try", "with ")
    assert [line for line in lines if line.lstrip().startswith(words)] == []
    assert [line for line in lines if not THIN.match(line)] == []


def checked(cell: Any) -> None:
    """Makes a cell fail where its shell command does: `!` alone only keeps the code."""
    if any(line.startswith("!") for line in cell.source.splitlines()):
        cell.source += "\nassert _exit_code == 0"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, tiny_demo_config: str) -> Path:
    """A folder like the checkout, of links, so that nothing is written into the checkout itself."""
    folder = tmp_path_factory.mktemp("notebooks")
    for name in LINKED:
        (folder / name).symlink_to(PROJECT / name)
    (folder / "tiny.config").write_text(tiny_demo_config)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_runs_from_top_to_bottom(path, checkout, monkeypatch, no_zoo):
    nbclient = pytest.importorskip("nbclient", reason="pip install -r requirements/dev.txt")
    pytest.importorskip("ipykernel", reason="pip install -r requirements/dev.txt")
    monkeypatch.setenv("NO_VENV", "1")
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name, value in no_zoo.items():
        monkeypatch.setenv(name, value)
    notebook = book(path)
    for cell in code_cells(notebook):
        checked(cell)
    parameters = next(cell for cell in notebook.cells if cell.id == "parameters")
    defined = set(re.findall(r"^(\w+) = ", parameters.source, re.MULTILINE))
    parameters.source += "\n" + "\n".join(
        f"{name} = {value!r}" for name, value in SHORT.items() if name in defined
    )
    client = nbclient.NotebookClient(
        notebook,
        timeout=PATIENCE,
        kernel_name="python3",
        resources={"metadata": {"path": str(checkout)}},
    )
    client.execute()
    shown = [
        output
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/jpeg" in output.get("data", {}) or "image/png" in output.get("data", {})
    ]
    assert shown, "a notebook shows at least one picture"
