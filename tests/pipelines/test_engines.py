"""Points of a grid made apart from each other: in any order, and in processes of their own."""

from __future__ import annotations

from prunecli.pipelines.job import Job
from prunecli.pipelines.prune import made, prepared
from prunecli.records.runs import PrunedSpec
from prunecli.settings.model import Settings
from prunecli.store.folders import MODEL
from prunecli.store.workspace import Workspace


def test_a_level_below_one_that_was_made_is_as_if_it_came_first(workspace: Workspace) -> None:
    """As where another process had it, and ended without making it."""
    names = [name for name in workspace.names() if "-global-" in name]
    before = {name: workspace.get(name) for name in names}
    specs = [run.spec for run in before.values() if isinstance(run.spec, PrunedSpec)]
    assert [spec.level for spec in specs] == [0.5, 0.8]
    for name in names:
        workspace.remove(name)
    job = Job(Settings(demo=True, keep_models="all"), workspace, "")
    make = prepared(job, workspace.get(specs[0].source), specs, None)
    for spec in reversed(specs):
        run = made(job, spec, make).record
        own = before[run.name].files
        for file in (f"{MODEL}/model.safetensors", "mask.safetensors", "predictions.safetensors"):
            assert run.files[file] == own[file], (run.name, file)
