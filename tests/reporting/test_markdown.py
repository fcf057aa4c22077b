from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from prunecli import reporting
from prunecli.reporting.facts.results import GENERATED
from prunecli.reporting.shown.formats import FORMATS, file_name
from prunecli.reporting.shown.markdown import code, table, text
from prunecli.reporting.tables.cells import TextTable

from .fabricate import Fabricated
from .test_figures import HOSTILE, retitled


def rendered(workspace, **settings):
    report = reporting.build(workspace.records, workspace.predictions, **settings)
    return reporting.render(report, "md")


@pytest.mark.parametrize("name", FORMATS.names())
def test_every_format_writes_a_file_of_its_name(name, workspace, tmp_path):
    workspace.study("sst2")
    report = reporting.build(workspace.records, workspace.predictions)
    written = reporting.write(report, tmp_path, [name])
    assert (tmp_path / file_name(name)) in written
    assert all(path.is_file() for path in written)


def test_the_whole_story_in_its_order(workspace):
    found = rendered(workspace.study("sst2"), max_drop=5.0)
    headings = re.findall(r"^#+ .*$", found, re.MULTILINE)
    assert headings == [
        "# What pruning cost",
        "## Summary",
        "## SST-2",
        "## How to read this",
        "## How it was made",
    ]
    captions = re.findall(r"^\*\*(SST-2.*)\*\*$", found, re.MULTILINE)
    assert captions == [
        "SST-2: baseline",
        "SST-2: all methods",
        "SST-2: global",
        "SST-2: layer-wise",
        "SST-2: global against layer-wise",
        "SST-2: Pareto front",
        "SST-2: beyond the average",
        "SST-2: the examples lost most often",
        "SST-2: published beside measured, not like for like",
        "SST-2: seconds per run",
    ]
    assert "![SST-2: accuracy against sparsity](figures/sst2.png)" in found
    assert "Recommended: 50% sparsity, layer-wise" in found
    assert "- Model: distilbert-base-uncased" in found
    assert "```sh\nprune sweep --task sst2 --strategy global layerwise\n```" in found
    assert "15 runs, made 2026-01-02, seeds 42" in found
    assert GENERATED not in found


def test_tables_are_whole_rows_of_equal_length(workspace):
    found = rendered(workspace.study())
    blocks = re.findall(r"(?:^\|.*\|\n)+", found, re.MULTILINE)
    each = 8  # baseline, methods, pairs, front, beyond the average, lost, published, seconds
    assert len(blocks) == 1 + 3 * each + 2 * 2 + 4  # the summary, and results on every set
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_linked_figures_are_written(workspace, tmp_path):
    workspace.study()
    workspace.pruned(workspace.baseline(max_seq_length=64), 0.5, 80.0)
    report = reporting.build(workspace.records, workspace.predictions)
    reporting.write(report, tmp_path, ["md"])
    linked = re.findall(r"\]\((figures/[^)]*)\)", (tmp_path / "report.md").read_text())
    assert len(linked) == len(set(linked)) == 8
    assert all((tmp_path / link).is_file() for link in linked)


def test_generated_results_are_marked_in_every_heading_and_caption():
    workspace = Fabricated(generated=True).study("sst2")
    found = rendered(workspace)
    assert found.startswith(f"# What pruning cost ({GENERATED})\n")
    for line in re.findall(r"^(?:## SST.*|\*\*SST.*\*\*|!\[.*|\| SST-2.*)$", found, re.MULTILINE):
        assert GENERATED in line
    assert "say nothing about real tasks" in found


def test_comparison_stands_alone(workspace, tmp_path):
    workspace.study("sst2", "qqp")
    found = reporting.compare(workspace.records, workspace.predictions)
    written = {path.name: path for path in reporting.write_comparison(found, tmp_path)}
    shown = written["compare-strategy.md"].read_text()
    assert "(figures/compare-strategy-sst2.png)" in shown
    assert "compare-strategy-qqp.svg" in written
    assert "layer-wise is better" in shown
    assert "Holm over all comparisons" in shown


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_change_nothing_but_their_cells(value):
    tame, hostile = (Fabricated(examples=100).study("sst2") for _ in range(2))
    found, expected = rendered(retitled(hostile, value)), rendered(retitled(tame, "tame"))
    assert found.count("\n") == expected.count("\n")
    assert "<script" not in found
    assert "\u202e" not in found
    assert max(map(len, found.splitlines())) < 2500


def test_text_is_shown_not_read():
    assert text("a|b") == "a\\|b"
    assert text("<b>&amp;") == "&lt;b&gt;&amp;amp;"
    assert text("$x$") == "&#36;x&#36;"
    assert text("[a](http://b)") == "\\[a\\](http&#58;//b)"
    assert text("two\nlines\x07") == "two lines"
    assert len(text("x" * 10_000)) == 300


def test_a_command_cannot_leave_its_code_block():
    shown = code(["prune --x '```\n# heading'"]).splitlines()
    assert shown[0] == "````sh"
    assert shown[-1] == "````"
    assert len(shown) == 3


def test_a_table_without_rows_keeps_its_header():
    assert "| A" in table(TextTable("T", ("A", "B"), ()))


def test_every_format_that_is_written_down_is_registered_where_reports_are_written():
    """In a new process: what a test has imported must not be what registers it."""
    folder = Path(reporting.__file__).parent / "shown"
    registered = re.compile(r'FORMATS\.register\("(.+)"\)')
    names = [name for path in folder.rglob("*.py") for name in registered.findall(path.read_text())]
    program = "from prunecli.reporting.writing import FORMATS; print(*FORMATS.names())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert (
        sorted(done.stdout.split())
        == sorted(names)
        == [*("csv", "html", "json", "junit", "latex", "md", "summary")]
    )
