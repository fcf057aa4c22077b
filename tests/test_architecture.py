"""Who may import whom, read from the source; and what importing costs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import resources
from pathlib import Path

import pytest

import prunecli

PACKAGE = Path(prunecli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LEVELS = (
    {"errors", "progress", "text", "__init__"},
    {"files", "records", "registry"},
    {"core", "machine", "settings", "tasks"},
    {"store"},
    {"models"},
    {"data", "onnxfile", "packed", "training"},
    {"runtimes"},
    {"bench", "evaluation"},
    {"reporting"},
    {"pipelines"},
    {"cli"},
    {"__main__"},
)
"""The rooms, lowest first. One may import what is below it, and nothing of its own level."""
INSIDE = {
    "reporting": (
        {"facts"},
        {"verdicts"},
        {"report"},
        {"tables"},
        {"figures"},
        {"shown"},
        {"writing"},
        {"__init__"},
    ),
}
"""The same within a room that has rooms of its own."""
KNOWN = {
    "core": {"errors", "registry", "core"},
    "evaluation": {"errors", "progress", "registry", "files", "text", "records", "tasks", "store"}
    | {"core", "runtimes", "data", "evaluation"},
    "training": {"errors", "progress", "registry", "files", "text", "records", "settings", "tasks"}
    | {"core", "store", "models", "machine", "training"},
    "reporting": {"errors", "progress", "registry", "files", "text", "records", "settings"}
    | {"tasks", "core", "store", "data", "evaluation", "reporting"},
}
"""Rooms that may know less than what is below them, each with all that it may know."""
ONLY_IN = {
    "typer": {"cli"},
    "rich": {"cli"},
    "click": {"cli"},
    "pandas": {"reporting"},
    "tabulate": {"reporting"},
    "matplotlib": {"reporting"},
    "zstandard": {"packed"},
    "onnxruntime": {"runtimes"},
    "openvino": {"runtimes"},
    "nncf": {"runtimes"},
    "ray": {"pipelines"},
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(path: Path) -> str:
    """The package or module right below ``prunecli`` to which a file belongs."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def dotted(path: Path) -> str:
    """A file's name as it is imported."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


def ours(path: Path) -> set[str]:
    """The modules of this package that a file imports, whatever for and wherever in it."""
    known = {dotted(one) for one in MODULES}
    found = set()
    for module in imports(path):
        if module.partition(".")[0] == "prunecli":
            while module not in known:  # a name in a module
                module = module.rpartition(".")[0]
            found.add(module)
    return found - {dotted(path)}


def room(module: str, depth: int = 1) -> str:
    """The room of a module; that of the package itself is ``__init__``."""
    parts = module.split(".")
    return parts[depth] if len(parts) > depth else "__init__"


def test_every_room_has_its_level() -> None:
    assert {part(path) for path in MODULES} == set.union(*LEVELS)
    assert sum(map(len, LEVELS)) == len(set.union(*LEVELS))
    assert len(LEVELS) <= 12


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_rooms_import_what_is_below_them(path: Path) -> None:
    height = {one: number for number, level in enumerate(LEVELS) for one in level}
    own = part(path)
    assert [m for m in ours(path) if room(m) != own and height[room(m)] >= height[own]] == []
    if own in KNOWN:
        assert {room(module) for module in ours(path)} <= KNOWN[own] | {"__init__"}


@pytest.mark.parametrize("path", [p for p in MODULES if part(p) in INSIDE], ids=name)
def test_rooms_within_a_room_too(path: Path) -> None:
    levels = INSIDE[part(path)]
    height = {one: number for number, level in enumerate(levels) for one in level}
    own = room(dotted(path), 2)
    inner = {room(m, 2) for m in ours(path) if room(m) == part(path)} - {own}
    assert [one for one in inner if height[one] >= height[own]] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and for type checkers count, too: they hide no circle."""
    below = {dotted(path): ours(path) for path in MODULES}
    order = TopologicalSorter(below)
    order.prepare()  # raises CycleError with the circle


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_long_files_say_why(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if len(text.splitlines()) > 350:
        assert "Longer than most: " in str(ast.get_docstring(ast.parse(text)))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_packages_with_one_home(path: Path) -> None:
    for module in imports(path):
        homes = ONLY_IN.get(module.partition(".")[0])
        assert homes is None or part(path) in homes, module


@pytest.mark.parametrize("path", [p for p in MODULES if part(p) == "core"], ids=name)
def test_core_is_torch_and_the_standard_library(path: Path) -> None:
    roots = {module.partition(".")[0] for module in imports(path)}
    assert roots - sys.stdlib_module_names <= {"torch", "prunecli"}
    assert not roots & {"io", "pathlib", "os", "shutil", "tempfile"}  # no files


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_that_runs_code_from_a_file(path: Path) -> None:
    """No pickle in any form, and no code that a model brings along."""
    roots = {module.partition(".")[0] for module in imports(path)}
    assert not roots & {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"torch.load", "torch.save", "eval", "exec"}, called
            for keyword in node.keywords:
                if keyword.arg == "trust_remote_code":
                    assert ast.unparse(keyword.value) == "False"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    if any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree.body):
        assert "from __future__ import annotations" in path.read_text(encoding="utf-8")


def test_every_file_of_the_map_is_there() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", page))
    assert len(named) > 15
    roots = (PACKAGE, PACKAGE.parent)
    assert [one for one in sorted(named) if not any((root / one).exists() for root in roots)] == []


def test_the_package_is_typed() -> None:
    assert resources.files("prunecli").joinpath("py.typed").is_file()


def test_import_is_light() -> None:
    program = (
        "import json, sys; before = set(sys.modules); import prunecli; prunecli.__version__;"
        "print(json.dumps(sorted({m.partition('.')[0] for m in set(sys.modules) - before})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = set(json.loads(done.stdout))
    assert loaded - sys.stdlib_module_names == {"prunecli"}
