"""Change the source in small ways, one at a time, and count the changes that no test notices.

    pip install mutmut
    python benchmarks/mutants.py [MODULE...] [--work FOLDER]

A module is a table of ``mutants.toml``, which stands beside this script: the tests that are asked,
and mutants that change nothing that could be seen, each with the reason. Of each module a copy of
the repository is mutated under FOLDER, results are kept there, and only what changed is run again.
mutmut leaves out functions with decorators, so these are applied after the function in the copy.
Mutants that never end are killed, too. Survivors are printed as the line that they put.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, cast

from prunecli.files import read_toml

ROOT = Path(__file__).parent.parent
CONFIGURATION = """
[tool.mutmut]
source_paths = ["prunecli"]
only_mutate = ["{module}"]
also_copy = ["benchmarks", "examples", "docs", "README.md"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
pytest_add_cli_args_test_selection = {tests}
timeout_multiplier = 3.0
timeout_constant = 3.0
track_dependencies = false
use_git_change_detection = false
"""
PROFILE = """

def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import json

    known = Path("mutmut-stats.json")  # quick tests first: most mutants fail one of these
    if known.exists():
        took = json.loads(known.read_text("utf-8"))["duration_by_test"]
        items.sort(key=lambda item: took.get(item.nodeid, 0.0))


from hypothesis import Phase, settings

settings.register_profile(
    "mutants", database=None, derandomize=True, deadline=None, max_examples=20,
    phases=(Phase.explicit, Phase.generate),
)
"""
"""Nothing is made smaller: that an example fails is all that is asked."""
EXAMPLES = re.compile(r"max_examples=\d\d+")
"""Of which 20 are drawn, wherever there are more."""
KILLED = (1, 3, 36, 24, -24, 152, 255, -9, -11)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "prune-mutants")
    parser.add_argument("--children", type=int, default=2)
    arguments = parser.parse_args()
    table = read_toml(Path(__file__).with_suffix(".toml"))
    for module in arguments.modules or table:
        settings = cast(dict[str, Any], table[module])
        folder = arguments.work / module.replace("/", "-")
        prepare(folder, module, settings["tests"])
        forget_survivors(folder, module)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": "", "NO_COLOR": "1"}
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(arguments.children)]
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE)
        if done.returncode:
            sys.exit(done.stdout.decode()[-3000:])
        tell(folder, module, settings.get("equivalent", []))


def files_of(module: str) -> list[Path]:
    """The files that a name of the table stands for, below the repository."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / "prunecli").glob(f"{module}.py"))


def prepare(folder: Path, module: str, tests: list[str]) -> None:
    """The repository as mutmut wants it, without touching what is the same as last time."""
    changed = {path: undecorated(ROOT / path) for path in files_of(module)}
    conftest = Path("tests/conftest.py")
    changed[conftest] = (ROOT / conftest).read_bytes() + PROFILE.encode()
    for part in ("prunecli", "tests", "benchmarks", "examples", "docs", "README.md"):
        for source in [ROOT / part, *(ROOT / part).rglob("*")]:
            if source.is_file() and "__pycache__" not in source.parts:
                path = source.relative_to(ROOT)
                put(folder / path, changed.get(path) or copied(source))
    configuration = CONFIGURATION.format(module=f"prunecli/{module}.py", tests=json.dumps(tests))
    put(folder / "pyproject.toml", (ROOT / "pyproject.toml").read_bytes() + configuration.encode())


def copied(path: Path) -> bytes:
    if path.suffix != ".py":
        return path.read_bytes()
    return EXAMPLES.sub("max_examples=20", path.read_text("utf-8")).encode()


def undecorated(path: Path) -> bytes:
    plain = _Undecorated().visit(ast.parse(path.read_text("utf-8")))
    return ast.unparse(ast.fix_missing_locations(plain)).encode()


def forget_survivors(folder: Path, module: str) -> None:
    """What was noticed last time is not asked again, unless its function has changed."""
    for file in files_of(module):
        path = folder / "mutants" / f"{file}.meta"
        if path.exists():
            found = json.loads(path.read_text("utf-8"))
            codes = found["exit_code_by_key"]
            found["exit_code_by_key"] = {k: c if c in KILLED else None for k, c in codes.items()}
            path.write_text(json.dumps(found), "utf-8")


def put(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class _Undecorated(ast.NodeTransformer):
    """``@decorator def name`` as ``def _plain_name`` and ``name = decorator(_plain_name)``.

    What remembers results is left out: a mutant would be given those of the function as it was.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef) -> list[ast.stmt]:
        decorators = [ast.unparse(each) for each in node.decorator_list]
        if not decorators or {"classmethod", "staticmethod"} & set(decorators):
            return [node]
        name, value = node.name, f"_plain_{node.name}"
        node.name, node.decorator_list = value, []
        for decorator in reversed(decorators):
            if decorator.startswith(("lru_cache", "cache")) and decorator != "cached_property":
                continue
            value = f"{decorator}({value})"
        return [node, *ast.parse(f"{name} = {value}").body]


def tell(folder: Path, module: str, equivalent: list[list[str]]) -> None:
    """Print each mutant that nothing noticed, and the counts of the module."""
    counts: Counter[str] = Counter()
    for file in files_of(module):
        path = folder / "mutants" / file
        bodies = _bodies(ast.parse(path.read_text("utf-8")))
        codes = json.loads(Path(f"{path}.meta").read_text("utf-8"))["exit_code_by_key"]
        for key, code in codes.items():
            name = key.rpartition(".")[2]
            function = name.rpartition("__mutmut_")[0]
            changed = _changed(bodies[f"{function}__mutmut_orig"], bodies[name])
            function = function.replace("ǁ", ".").removeprefix("x").strip("._")
            function = function.replace("plain_", "").replace("._", ".")
            if code in KILLED:
                counts["killed" if code in (1, 3) else "never ended"] += 1
            elif _strict(changed) or any(
                function.endswith(of) and text in changed for of, text, _ in equivalent
            ):
                counts["equivalent"] += 1
            else:
                counts["survived"] += 1
                print(f"  {'' if code == 0 else f'({code}) '}{function}: {_short(changed)}")
    total = sum(counts.values())
    asked = total - counts["equivalent"]
    score = (counts["killed"] + counts["never ended"]) / max(asked, 1)
    print(f"{module}: {total} mutants, {dict(counts)}, {score:.1%} of {asked}", flush=True)


def _short(changed: str) -> str:
    """The same with what a change leaves as it was left out, but for a few letters of it."""
    before, between, after = changed.removeprefix("- ").partition(" ⏎ + ")
    if not between or " ⏎ " in after:
        return changed
    same = _alike(before, after)
    end = _alike(before[same:][::-1], after[same:][::-1])
    start, stop = max(same - 30, 0), max(end - 20, 0)
    return f"{before[start : len(before) - stop]}  →  {after[start : len(after) - stop]}"


def _alike(one: str, other: str) -> int:
    """With how many letters both begin."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def _bodies(module: ast.Module) -> dict[str, str]:
    """The text of every function and method by its name, without the lines that name it."""
    return {
        node.name: "\n".join(ast.unparse(line) for line in (node.args, *node.body))
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef)
    }


def _strict(changed: str) -> bool:
    """Whether only ``strict=True`` of a zip is gone, which guards against mistakes yet to come."""
    before, _, after = re.sub(r", strict=\w+", "", changed).removeprefix("- ").partition(" ⏎ + ")
    return before == after


def _changed(before: str, after: str) -> str:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    changes = [(line[0], line[2:].strip()) for line in lines if line[0] in "+-"]
    return " ⏎ ".join(f"{sign} {text}" for sign, text in changes)


if __name__ == "__main__":
    main()
