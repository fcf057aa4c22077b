"""Who may import whom, read from the source; and what importing costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

import prunecli

PACKAGE = Path(prunecli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
SMALL = {"errors", "registry", "config", "recipes", "tasks", "records", "workspace", "progress"}
SMALL |= {"hubcache", "markup", "wording", "examplefile", "artefact", "benchrecord", "extras"}
SMALL |= {"reading", "labelnames"}
SHARED = SMALL | {"hardware", "maskfile", "models", "structurefile", "skeleton", "positions"}
SHARED |= {"adapters", "padding", "problemtype", "whereabouts", "cutmodel"}
LAYERS = {
    "core": {"errors", "registry"},
    "data": SMALL | {"core"},
    "evaluation": SMALL | {"core", "runtimes"},
    "training": SHARED | {"core"},
    "reporting": SMALL | {"core", "evaluation"},
    "packed": SHARED | {"core"},
    "onnxfile": SMALL | {"hardware", "positions"},
    "opening": SMALL | {"models", "packed"},
    "runtimes": SMALL | {"hardware", "opening"},
    "bench": SMALL | {"hardware", "runtimes"},
    "abilities": {"bench", "hardware", "extras"},
    "modelcard": SMALL | {"core", "data", "evaluation"},
    "pipelines": SHARED
    | {"core", "data", "evaluation", "training", "modelcard"}
    | {"packed", "onnxfile", "opening", "runtimes", "bench"},
    "cli": SHARED
    | {"core", "data", "evaluation", "training", "pipelines", "reporting", "abilities"}
    | {"bench"},
}
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
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "prunecli":
                yield from (f"prunecli.{alias.name}" for alias in node.names)
            else:
                yield str(node.module)


def part(path: Path) -> str:
    """The package or module right below ``prunecli`` to which a file belongs."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_part_is_known() -> None:
    assert {part(path) for path in MODULES} == {*LAYERS, *SHARED, "__init__", "__main__"}


@pytest.mark.parametrize("path", [p for p in MODULES if part(p) in LAYERS], ids=name)
def test_layers(path: Path) -> None:
    own = part(path)
    allowed = LAYERS[own] | {own, "__version__"}
    ours = [module for module in imports(path) if module.partition(".")[0] == "prunecli"]
    assert [module for module in ours if module.split(".")[1] not in allowed] == []


@pytest.mark.parametrize("path", [p for p in MODULES if part(p) in SHARED], ids=name)
def test_what_all_share_knows_no_layer_above_it(path: Path) -> None:
    ours = {m.split(".")[1] for m in imports(path) if m.startswith("prunecli.")}
    assert ours <= SHARED | {"core"}


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
