"""What comes from outside never steers a terminal: each command shows it in place of doing it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import folders
import pytest
from calling import Called
from pydantic import BaseModel

from prunecli.errors import PruneError
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import EvaluationRecord, RunRecord, SweepRecord
from prunecli.store.naming import own_record
from prunecli.store.workspace import Workspace
from prunecli.text.terminal import visible, visible_json

Prune = Callable[..., Called]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eabc\u2066\x7f\u2028"
ESCAPED = json.dumps(HOSTILE)[1:-1].replace("\x7f", "\\u007f")
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


HELD = {"name", "spec", "files", "hashes", "reference", "metrics", "primary_metric", "run"}


def harmless(done: Called, command: object = "") -> None:
    for stream in (done.out, done.err):
        assert not STEERING.search(stream), (command, STEERING.search(stream))


def texts(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a text stands in a document."""
    if isinstance(value, str):
        yield place
    elif isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in items:
            yield from texts(one, (*place, key))


def put(value: Any, place: tuple[Any, ...]) -> None:
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] += HOSTILE


def spoil(path: Path, kind: type[BaseModel]) -> int:
    """Put `HOSTILE` into every text of a record that may be any; how many there were."""
    whole, spoilt = path.read_text(), 0
    for place in list(texts(json.loads(whole))):
        if HELD & {place[0], place[-1], *place[:-1]}:
            continue  # these are compared with what is there, or are names of metrics
        changed = json.loads(whole)
        put(changed, place)
        path.write_text(json.dumps(changed))
        try:
            own_record(path, kind)
        except PruneError:
            continue
        whole, spoilt = json.dumps(changed), spoilt + 1
    path.write_text(whole)
    return spoilt


@pytest.fixture
def spoilt(prune: Prune, workspace: Workspace, pruned: str) -> Workspace:
    """A workspace in whose records every text that may be any is `HOSTILE`."""
    root = workspace.root
    assert prune("export", pruned, "--format", "packed", "-w", root).code == 0
    assert prune("evaluate", pruned, "-w", root).code == 0
    kinds = {
        "runs/*/record.json": RunRecord,
        "artefacts/*/record.json": ArtefactRecord,
        "evaluations/*.json": EvaluationRecord,
        "sweeps/*.json": SweepRecord,
    }
    for pattern, kind in kinds.items():
        paths = sorted(root.glob(pattern))
        assert paths, pattern
        assert sum(spoil(path, kind) for path in paths) > 2, pattern
    for path in root.glob("examples/*.jsonl"):
        path.write_text(path.read_text().replace('": "', f'": "{ESCAPED}'))
    return workspace


def test_no_field_of_a_record_steers_the_terminal(
    prune: Prune, spoilt: Workspace, baseline: str, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[object]] = [
        ["runs", "list"],
        ["runs", "list", "--json"],
        ["runs", "show", pruned],
        ["runs", "artefacts"],
        ["compare"],
        ["compare", "--json"],
        *(["report", "--format", form] for form in ("md", "html", "csv", "json", "latex")),
        ["evaluate", pruned, "--max-drop", "0.01"],
        ["sweep", "--from", baseline, "--levels", "0.5", "0.9"],
        ["runs", "remove", "*", "--yes"],
    ]
    monkeypatch.setenv("PRUNE_WORKSPACE", str(spoilt.root))
    harmless(prune())
    for command in commands:
        done = prune(*command)
        harmless(done, command)
        assert "Traceback" not in done.err
        assert done.code != 70, (command, done.err)
        if "json" in command or "--json" in command:
            assert done.code == 0, (command, done.err)
            assert "owned" in json.dumps(json.loads(done.out)), command


def test_no_input_steers_the_terminal(prune: Prune, tmp_path: Path) -> None:
    """Task files, configurations, data, recipes, settings files and names."""
    model = folders.saved(tmp_path / "m", folders.classifier("distilbert"))
    config = json.loads((model / "config.json").read_text())
    config["id2label"] = {"0": HOSTILE, "1": "good" + HOSTILE}
    config["label2id"] = {HOSTILE: 0, "good" + HOSTILE: 1}
    (model / "config.json").write_text(json.dumps(config))
    task, recipe, odd = tmp_path / "t.toml", tmp_path / "r.toml", tmp_path / f"a{HOSTILE[:4]}.csv"
    keys = f'text = "a{ESCAPED}"\nlabels = ["0{ESCAPED}", "1{ESCAPED}"]\n'
    task.write_text(f'name = "t"\ntitle = "{ESCAPED}"\n{keys}')
    recipe.write_text(f'title = "{ESCAPED}"\nabout = "{ESCAPED}"\nepochs = 1\n')
    named = [f"0{HOSTILE}", f"1{HOSTILE}"]
    rows = [{f"a{HOSTILE}": f"{HOSTILE}{i}", "label": named[i % 2]} for i in range(40)]
    data = tmp_path / "d.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    odd.write_text(f'sentence{HOSTILE}","label\n')
    bad = tmp_path / "c.toml"
    bad.write_text(f'"{ESCAPED}" = 1\n')
    on = ["-w", tmp_path / "w", "--max-eval-samples", "10"]
    commands: list[list[object]] = [
        ["evaluate", model, "--task", task, "--data", data, *on],
        ["evaluate", model, "--task", task, "--data", data, "--labels", ",".join(named), *on],
        ["evaluate", model, "--task", "sst2", "--data", odd, *on],
        ["evaluate", model, "--task", "sst2", "--data", data, *on],
        ["evaluate", f"no{HOSTILE}", "--task", "sst2", *on],
        ["recipes", recipe],
        ["prune", "--config", bad, *on],
        ["prune", "--recipe", f"{HOSTILE}.toml", *on],
        ["prune", f"--{HOSTILE}"],
        ["compress", model, "--data", data, "-w", tmp_path / "w"],
        ["runs", "show", HOSTILE],
        ["runs", "remove", HOSTILE, "--yes"],
    ]
    for command in commands:
        done = prune(*command)
        harmless(done, command)
        assert done.code != 70, done.err
        assert done.out + done.err


def test_nothing_is_lost_by_making_it_visible() -> None:
    text = "plain, tab\t, two\nlines, accents é, an emoji 👩‍💻"
    assert visible(text) == text
    assert visible("a\r\nb\rc") == "a\nb\\x0dc"
    assert visible("\x1b[1m\u202e") == "\\x1b[1m\\u202e"
    document = json.dumps({"a": [HOSTILE, text]}, ensure_ascii=False, indent=2)
    assert json.loads(visible_json(document)) == json.loads(document)
    assert not STEERING.search(visible_json(document))
