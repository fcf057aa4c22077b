"""Commands that run at the same time in one workspace: it ends as if they had come in turn.

``python benchmarks/together.py --processes 8`` starts as many equal sweeps at once, then three
different commands, and holds all that they leave against what one process leaves. A process whose
point another one is making says so; called again, it finds it. No network is needed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from kills import BASE, SCENARIOS, call, left


def at_once(calls: list[list[str]], folder: Path) -> list[int]:
    """Exit codes of commands in one workspace, started together, each in a process of its own."""
    children = []
    for place, words in enumerate(calls):
        own = folder / str(place)
        own.mkdir()
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = call(words, folder, said=own)[0]
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def check(calls: list[list[str]], base: Path, root: Path, name: str) -> None:
    """Run ``calls`` at once and then in turn, and compare with having run them in turn alone."""
    alone = Path(shutil.copytree(base, root / f"{name}-alone"))
    shared = Path(shutil.copytree(base, root / f"{name}-shared"))
    for words in calls:
        assert call(words, alone)[0] == 0, (alone / "out").read_text()
    codes = at_once(calls, shared)
    for place, code in enumerate(codes):
        said = (shared / str(place) / "out").read_text()
        assert code == 0 or (code in (1, 3) and "another prune process" in said), said
    for words in calls:
        assert call(words, shared)[0] == 0, (shared / "out").read_text()
    (expected, _), (found, over) = left(alone / "workspace"), left(shared / "workspace")
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    differing = [path for path in expected if found[path] != expected[path]]
    assert not differing, differing
    assert not over, over
    print(f"{name}: exit codes {sorted(codes)}; {len(found)} files as of one process", flush=True)


def main(processes: int) -> None:
    from prunecli.cli import main as _  # noqa: F401  # imported once, for all that are forked

    with tempfile.TemporaryDirectory(prefix="prune-together-") as temporary:
        root = Path(temporary)
        base = root / "base"
        base.mkdir()
        for words in BASE:
            assert call(words, base)[0] == 0, (base / "out").read_text()
        check([SCENARIOS["one-shot"]] * processes, base, root, f"{processes} equal sweeps")
        three = [SCENARIOS[name] for name in ("one-shot", "recovery", "export")]
        check(three, base, root, "3 different commands")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    main(parser.parse_args().processes)
