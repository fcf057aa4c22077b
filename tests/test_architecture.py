"""Who may import whom, read from the source; and what importing costs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from importlib import resources
from pathlib import Path

import prunecli

PACKAGE = Path(prunecli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LEVELS = (
    {"errors", "progress", "text", "__init__"},
    {"files", "records", "registry"},
    {"core", "machine", "settings", "tasks"},
    {"store"},
    {"models"},
    {"data", "onnxfile", "packed", "tracking", "training"},
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
    "tensorboard": {"tracking"},
    "mlflow": {"tracking"},
    "wandb": {"tracking"},
}


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, inside functions too, by its full name."""
    found: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def roots(path: Path) -> set[str]:
    """The first names of all that a file imports."""
    return {module.partition(".")[0] for module in imports(path)}


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


NAMES = {dotted(path) for path in MODULES}


@cache
def ours(path: Path) -> frozenset[str]:
    """The modules of this package that a file imports, whatever for and wherever in it."""
    found = set()
    for module in imports(path):
        if module.partition(".")[0] == "prunecli":
            while module not in NAMES:  # a name in a module
                module = module.rpartition(".")[0]
            found.add(module)
    return frozenset(found - {dotted(path)})


def room(module: str, depth: int = 1) -> str:
    """The room of a module; that of the package itself is ``__init__``."""
    parts = module.split(".")
    return parts[depth] if len(parts) > depth else "__init__"


def test_every_room_has_its_level() -> None:
    assert {part(path) for path in MODULES} == set.union(*LEVELS)
    assert sum(map(len, LEVELS)) == len(set.union(*LEVELS))
    assert len(LEVELS) <= 12


# One test over all modules each, with all that offend in the message: there are hundreds.


def test_rooms_import_what_is_below_them() -> None:
    height = {one: number for number, level in enumerate(LEVELS) for one in level}
    above = {
        name(path): wrong
        for path in MODULES
        if (
            wrong := [
                module
                for module in ours(path)
                if room(module) != part(path) and height[room(module)] >= height[part(path)]
            ]
        )
    }
    assert above == {}
    unknown = {
        name(path): wrong
        for path in MODULES
        if part(path) in KNOWN
        if (wrong := {room(module) for module in ours(path)} - KNOWN[part(path)] - {"__init__"})
    }
    assert unknown == {}


def test_rooms_within_a_room_too() -> None:
    above: dict[str, list[str]] = {}
    for path in MODULES:
        height = {one: n for n, level in enumerate(INSIDE.get(part(path), ())) for one in level}
        if height:
            own = room(dotted(path), 2)
            inner = {room(m, 2) for m in ours(path) if room(m) == part(path)} - {own}
            above[name(path)] = [one for one in inner if height[one] >= height[own]]
    assert len(above) > 50
    assert {path: wrong for path, wrong in above.items() if wrong} == {}


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and for type checkers count, too: they hide no circle."""
    below = {dotted(path): ours(path) for path in MODULES}
    order = TopologicalSorter(below)
    order.prepare()  # raises CycleError with the circle


def test_long_files_say_why() -> None:
    long = [path for path in MODULES if len(text_of(path).splitlines()) > 350]
    reasons = {name(path): str(ast.get_docstring(tree_of(path))) for path in long}
    assert [path for path, why in reasons.items() if "Longer than most: " not in why] == []


def test_packages_with_one_home() -> None:
    strays = {
        name(path): wrong
        for path in MODULES
        if (
            wrong := [
                root for root in roots(path) if part(path) not in ONLY_IN.get(root, {part(path)})
            ]
        )
    }
    assert strays == {}


def test_core_is_torch_numpy_and_the_standard_library() -> None:
    core = {name(path): roots(path) for path in MODULES if part(path) == "core"}
    assert len(core) > 30
    allowed = sys.stdlib_module_names | {"torch", "numpy", "prunecli"}
    assert {path: used - allowed for path, used in core.items() if used - allowed} == {}
    files = {"io", "pathlib", "os", "shutil", "tempfile"}
    assert {path: used & files for path, used in core.items() if used & files} == {}


def test_nothing_that_runs_code_from_a_file() -> None:
    """No pickle in any form, and no code that a model brings along."""
    pickles = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}
    running = {"torch.load", "torch.save", "eval", "exec"}
    wrong = [f"{name(path)}: {root}" for path in MODULES for root in roots(path) & pickles]
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                trusted = [
                    keyword
                    for keyword in node.keywords
                    if keyword.arg == "trust_remote_code"
                    if ast.unparse(keyword.value) != "False"
                ]
                if called in running or trusted:
                    wrong.append(f"{name(path)}:{node.lineno}: {called}")
    assert wrong == []


def test_every_module_says_what_it_is_for() -> None:
    assert [name(path) for path in MODULES if not ast.get_docstring(tree_of(path))] == []
    future = "from __future__ import annotations"
    lacking = [
        name(path)
        for path in MODULES
        if any(isinstance(one, (ast.FunctionDef, ast.ClassDef)) for one in tree_of(path).body)
        if future not in text_of(path)
    ]
    assert lacking == []


def test_every_file_of_the_map_is_there() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", page))
    assert len(named) > 15
    places = (PACKAGE, PACKAGE.parent)
    assert [one for one in sorted(named) if not any((at / one).exists() for at in places)] == []


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
