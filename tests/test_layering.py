"""Who imports whom, as data; and that `--help` answers without TensorFlow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("ssd", "tfrecord_tools", "export")

_BASE = {"errors", "standard_fields", "file_kind"}
# label_map.pbtxt and pipeline.config are read by the same parser.
_PLAIN = _BASE | {"label_map", "config"}
_ROOMS = _PLAIN | {"core", "models", "data"}
_PARTS = _ROOMS | {
    "zoo",
    "tflite_raw",
    "checkpoint",
    "checkpoint_file",
    "checkpoint_folder",
    "restore_report",
    "optimizers",
    "variable_names",
    "tf1",
    "fine_tune",
    "learning_rate",
    "optimizer",
    "metric_names",
    "coco_evaluation",
    "coco_categories",
    "coco_metrics",
    "voc_matching",
    "voc_metrics",
    "evaluated_image",
    "metrics_sets",
    "visualize",
    "run_folder",
    "tflite_file",
    "tflite_metadata",
    "tflite_outputs",
    "tflite_predictor",
    "hub",
    "saved_model_signature",
    "coco_names",
    "predictor",
    "video",
    "coco_annotations",
}

# Room of ssd -> the rooms of ssd that it may import. A room is a module or a folder of ssd.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "standard_fields": set(),
    "file_kind": set(),
    "config": _BASE,
    "label_map": _BASE | {"config"},
    "core": _BASE,
    "image_resizer_builder": _BASE | {"core"},
    "models": _PLAIN | {"core", "image_resizer_builder"},
    "data": _PLAIN | {"core", "image_resizer_builder"},
    "run_report": _PARTS,
    "evaluate": _PARTS | {"run_report"},
    "detect": _PARTS,
    "demo": _PARTS | {"detect", "run_report"},
    "doctor": _PARTS | {"__init__"},
    "augmentation_tiles": _BASE | {"label_map", "visualize"},
    "augmentation_sheet": _PARTS | {"training", "augmentation_tiles"},
    "anchor_fit": _ROOMS | {"image_resizer_builder", "shipped_configs"},
    "flags": _BASE | {"metric_names"},
    "shipped_configs": _BASE,
    "training": _PARTS | {"evaluate", "run_report", "shipped_configs", "anchor_fit"},
    "__main__": _PARTS
    | {"evaluate", "detect", "demo", "doctor", "training"}
    | {"augmentation_sheet", "anchor_fit", "flags"},
    # Model Maker's words for all of the kit: above everything, and nobody imports it.
    "model_maker": _PARTS | {"evaluate", "training", "shipped_configs"},
    "__init__": set(),
    **dict.fromkeys(_PARTS - _ROOMS, _PARTS),
}
# The other packages -> what of this project they may import.
MAY_IMPORT_OUTSIDE: dict[str, set[str]] = {
    "ssd": set(),
    "tfrecord_tools": {"ssd.errors", "ssd.standard_fields", "ssd.label_map", "ssd.file_kind"}
    | {"ssd.shipped_configs"},
    "export": {f"ssd.{room}" for room in MAY_IMPORT}
    - {"ssd.training", "ssd.__main__", "ssd.model_maker"},
}
# The one room of ssd that stands above the other packages, as a facade does.
FACADE, BELOW_FACADE = "ssd.model_maker", {"export", "tfrecord_tools"}
# Room -> the third-party packages it is confined to.
THIRD_PARTY: dict[str, set[str]] = {
    "ssd.errors": set(),
    "ssd.standard_fields": set(),
    "ssd.core": {"numpy", "tensorflow"},
    "ssd.label_map": {"google"},
    "ssd.config": {"google"},
    "ssd.tflite_raw": {"numpy"},
}
TENSORFLOW = {"tensorflow", "keras"}
# Beside what `--help` loads: a .tflite runs where there is no TensorFlow.
WITHOUT_TENSORFLOW = (
    *("ssd.predictor", "ssd.detect", "ssd.tflite_predictor"),
    *("export.benchmark.figures", "export.benchmark.tables", "export.benchmark.worker"),
)

SSD_VERBS = (
    *("train", "evaluate", "detect", "demo", "config", "zoo", "anchors", "doctor"),
    *("augmentation-sheet", "anchor-recall"),
)
ENTRIES = (
    *(("ssd", verb) for verb in SSD_VERBS),
    *(("tfrecord_tools", verb) for verb in ("convert", "show", "sample-data")),
    *(("export", verb) for verb in ("export-tflite", "export-saved-model", "benchmark")),
)


@dataclass(frozen=True)
class Import:
    """One imported module, with where it stands."""

    importer: str
    imported: str
    line: int
    is_at_load: bool  # at module level, not for type checkers only

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> dict[str, Path]:
    """Module name -> file, of all packages."""
    return {
        module_name(path): path
        for package in PACKAGES
        for path in sorted((PROJECT / package).rglob("*.py"))
    }


def imports_in(tree: ast.Module, importer: str, is_package: bool) -> Iterator[Import]:
    """Yields every import statement, wherever it stands."""

    def walk(node: ast.AST, is_at_load: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(importer, alias.name, child.lineno, is_at_load)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    parts = importer.split(".")
                    kept = parts[: len(parts) - child.level + is_package]
                    base = ".".join([*kept, *filter(None, [base])])
                for alias in child.names:
                    full = f"{base}.{alias.name}"
                    name = full if full in sources() else base
                    yield Import(importer, name, child.lineno, is_at_load)
            else:
                is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                yield from walk(child, is_at_load and not is_function and not is_typing)

    yield from walk(tree, True)


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(
        found
        for name, path in sources().items()
        for found in imports_in(ast.parse(path.read_text()), name, path.name == "__init__.py")
    )


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def wrong_arrow(found: Import) -> bool:
    package, target = found.importer.split(".")[0], found.imported.split(".")[0]
    if target not in PACKAGES:
        return False
    if package != target:
        if found.importer.startswith(FACADE) and target in BELOW_FACADE:
            return False
        short = ".".join(found.imported.split(".")[:2])
        return short not in MAY_IMPORT_OUTSIDE[package]
    if package != "ssd" or room(found.importer) == room(found.imported):
        return False
    return room(found.imported) not in MAY_IMPORT.get(room(found.importer), set())


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """Returns the modules of one cycle, or an empty list."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph.get(node, ())):
            if cycle := visit(target, [*path, node]):
                return cycle
        done.add(node)
        return []

    for node in sorted(graph):
        if cycle := visit(node, []):
            return cycle
    return []


def load_graph() -> dict[str, set[str]]:
    """Module -> the modules of this project that importing it loads."""
    graph: dict[str, set[str]] = {name: set() for name in sources()}
    for found in all_imports():
        if found.is_at_load and found.imported in graph and found.imported != found.importer:
            graph[found.importer].add(found.imported)
    return graph


def loaded_by(modules: set[str]) -> set[str]:
    graph, loaded, todo = load_graph(), set(), set(modules)
    while todo:
        name = todo.pop()
        loaded.add(name)
        parents = {".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 1)}
        todo |= (graph.get(name, set()) | parents) - loaded
    return loaded


def test_every_room_is_in_the_table():
    rooms = {room(name) for name in sources() if name.startswith("ssd")}
    assert rooms <= MAY_IMPORT.keys(), "say in MAY_IMPORT what these may import"


def test_no_wrong_arrow():
    assert [str(found) for found in all_imports() if wrong_arrow(found)] == []


def test_no_cycle():
    graph = load_graph()
    # A package's own docstring and re-exports load its modules; the reverse is no cycle of ideas.
    assert cycle_in(graph) == []


def test_third_party_packages_stay_in_their_rooms():
    wrong = []
    for found in all_imports():
        allowed = THIRD_PARTY.get(".".join(found.importer.split(".")[:2]))
        top = found.imported.split(".")[0]
        is_foreign = top not in sys.stdlib_module_names and top not in PACKAGES
        if allowed is not None and is_foreign and top not in allowed:
            wrong.append(str(found))
    assert wrong == []


def test_the_data_tools_never_need_tensorflow():
    assert [
        str(found)
        for found in all_imports()
        if found.importer.startswith("tfrecord_tools")
        and found.imported.split(".")[0] in TENSORFLOW
    ] == []


def test_what_help_loads_does_not_import_tensorflow():
    light = loaded_by({f"{package}.__main__" for package in PACKAGES} | set(WITHOUT_TENSORFLOW))
    assert [
        str(found)
        for found in all_imports()
        if found.importer in light
        and found.is_at_load
        and found.imported.split(".")[0] in TENSORFLOW
    ] == []


@pytest.mark.parametrize(("package", "verb"), ENTRIES)
def test_help_answers_without_tensorflow(package, verb):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{package}', '{verb}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('{package}', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    loaded = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "    print(f'code {end.code} loaded {sorted(loaded)}', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == "code 0 loaded []\n"
    assert "usage:" in done.stdout


SAMPLE = """
from __future__ import annotations
from typing import TYPE_CHECKING
import tensorflow as tf
from ssd import training
if TYPE_CHECKING:
    from ssd.models import detector
def late():
    from ssd.core.boxes import iou
"""


def test_the_reader_of_imports():
    found = list(imports_in(ast.parse(SAMPLE), "ssd.core.sample", False))
    assert [(f.imported, f.line, f.is_at_load) for f in found[2:]] == [
        ("tensorflow", 4, True),
        ("ssd.training", 5, True),
        ("ssd.models.detector", 7, False),
        ("ssd.core.boxes", 9, False),
    ]
    assert [wrong_arrow(f) for f in found[2:]] == [False, True, True, False]
    relative = ast.parse("from . import boxes\nfrom ..models import detector")
    assert [f.imported for f in imports_in(relative, "ssd.core.sample", False)] == [
        "ssd.core.boxes",
        "ssd.models.detector",
    ]


def test_the_finder_of_cycles():
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
