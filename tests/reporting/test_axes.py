"""Comparisons by criterion, recipe and pattern in a report; recipes by their names."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from prunecli import reporting
from prunecli.errors import InputError
from prunecli.pipelines.specs import pruned_spec
from prunecli.records.runs import TrainingSpec
from prunecli.reporting.facts.recipes import recipe_of
from prunecli.reporting.facts.results import Method
from prunecli.reporting.shown.csv import COMPARISONS_COLUMNS, render_comparisons
from prunecli.reporting.shown.html.data import page_data
from prunecli.reporting.tables.comparison import PAIRS
from prunecli.reporting.tables.contents import MOST_COMPARED
from prunecli.reporting.verdicts.comparison import NEITHER
from prunecli.settings.model import Settings
from prunecli.settings.recipes import load_recipe, recipe_names

from .fabricate import LEVELS, Fabricated
from .test_json import strictly

SCHEMA = Path(__file__).parents[2] / "docs" / "report-schema.md"


def build(workspace):
    return reporting.build(workspace.records, workspace.predictions)


def several(criteria=("magnitude", "random"), levels=(0.5, 0.6)):
    workspace = Fabricated(examples=400)
    dense = workspace.baseline()
    for place, criterion in enumerate(criteria):
        for level in levels:
            workspace.pruned(dense, level, 85.0 - 9 * place % 30, criterion=criterion)
    workspace.pruned(dense, 0.5, 70.0, "layerwise")
    workspace.pruned(dense, 0.5, 88.0, recovery=TrainingSpec(epochs=1.0))
    workspace.pruned(dense, 0.5, 60.0, pattern="2:4")
    return workspace


def test_each_kind_of_comparison_is_a_family_of_its_own():
    workspace = several()
    report = build(workspace)
    assert [one.by.name for one in report.comparisons[1:]] == ["criterion", "recipe", "pattern"]
    for found in report.comparisons:
        alone = reporting.compare(workspace.records, workspace.predictions, by=found.by.name)
        assert [row.as_dict() for row in found.rows] == [row.as_dict() for row in alone.rows]
    md = reporting.render(report, "md")
    for by, rows in (("criterion", 2), ("pattern", 1), ("recipe", 1)):
        assert f"**SST-2: compared by {by}**" in md
        assert f"Holm over all comparisons by {by}, {rows} in this report" in md
        assert f"SST-2: compared by {by}" in reporting.render(report, "latex")
    assert "Holm over all comparisons by strategy, 1 in this report" in md
    tables = page_data(report)["sections"][0]["tables"]
    assert {"comparison-criterion", "comparison-pattern", "comparison-recipe"} <= set(tables)
    found = strictly(reporting.render(report, "json"))
    assert [one["by"] for one in found["comparisons"]] == ["criterion", "recipe", "pattern"]


def test_a_workspace_with_strategies_alone_has_one_comparison(tmp_path):
    report = build(Fabricated().study("sst2"))
    assert report.comparisons[1:] == ()
    assert "Holm over all comparisons made here" in reporting.render(report, "md")
    assert "comparisons" not in strictly(reporting.render(report, "json"))
    written = {path.name for path in reporting.write(report, tmp_path, ["csv"])}
    assert "comparisons.csv" in written


def test_very_many_rows_are_told_in_short():
    criteria = [f"criterion-{number}" for number in range(5)]
    report = build(several(criteria, LEVELS))
    (found,) = (one for one in report.comparisons[1:] if one.by.name == "criterion")
    assert len(found.rows) == 10 * len(LEVELS) > MOST_COMPARED
    tables = page_data(report)["sections"][0]["tables"]
    short, rows = (tables[f"comparison-criterion{end}"] for end in ("", "-rows"))
    assert len(rows["rows"]) == len(found.rows)
    assert len(short["rows"]) == 10
    assert (
        len(re.findall(r"^\| .*criterion-\d.*criterion-\d", reporting.render(report, "md"), re.M))
        == 10
    )
    for a, b, *cells, _ in short["rows"]:
        own = [row for row in found.rows if (row.first, row.second) == (a, b)]
        assert len(own) == len(LEVELS)
        for cell, verdict in zip(
            cells, ("better", "worse", "equivalent", "not distinguishable", NEITHER), strict=True
        ):
            expected = [f"{100 * row.level:.4g}%" for row in own if row.verdict == verdict]
            assert cell == (", ".join(expected) or "—")


def test_more_pairs_than_can_be_read_are_counted():
    criteria = [f"criterion-{number}" for number in range(13)]
    md = reporting.render(build(several(criteria, (0.5,))), "md")
    left = 13 * 12 // 2 - PAIRS
    assert f"{left} more pairs are left out here." in md


def test_every_comparison_is_a_row_of_a_file():
    report = build(several())
    rows = list(csv.DictReader(io.StringIO(render_comparisons(report))))
    assert tuple(rows[0]) == COMPARISONS_COLUMNS
    every = [row for found in report.comparisons for row in found.rows]
    assert [float(row["p_holm"]) for row in rows] == [row.difference.p_adjusted for row in every]
    assert [row["winner"] for row in rows] == [row.winner or "" for row in every]
    text = SCHEMA.read_text(encoding="utf-8")
    part = text[text.index("## comparisons.csv") : text.index("## deployed.csv")]
    named = [
        name
        for line in part.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split(" | ")[0])
    ]
    assert tuple(named) == COMPARISONS_COLUMNS


# Recipes by name


def asked(workspace, dense, recipe, level=0.8, **changes):
    """What `prune prune --recipe` asks for, and the settings it was asked with."""
    settings = Settings(**load_recipe(recipe).settings | changes)
    return pruned_spec(settings, dense, settings.strategy[0], settings.criterion[0], level)


def run(workspace, dense, recipe, accuracy, level=0.8, **changes):
    spec = asked(workspace, dense, recipe, level, **changes).model_dump()
    for key in ("kind", "task", "source", "data", "level", "seed", "max_seq_length", "evaluation"):
        del spec[key]
    return workspace.pruned(dense, level, accuracy, **spec)


@pytest.mark.parametrize("name", recipe_names())
def test_a_run_is_known_by_the_recipe_that_it_went_by(name):
    workspace = Fabricated(examples=10)
    dense = workspace.baseline()

    def found(**changes):
        return recipe_of(Method.of(asked(workspace, dense, name, **changes)))

    assert found() == name
    assert found(epochs=20) == name  # a recipe may take longer
    assert found(strategy=("layerwise",)) == name
    assert found(pattern="2:4", level=0.5) == name
    assert found(recovery_learning_rate=3e-3) is None
    assert found(keep="best") is None


def test_recipes_are_expected_by_name(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.8, 60.0)
    for name, accuracy in (("study", 75.0), ("gmp-star", 85.0), ("obert", 85.5), ("fast", 80.0)):
        run(workspace, dense, name, accuracy)
    found = reporting.compare(workspace.records, workspace.predictions, by="recipe")

    def broken(text):
        return reporting.broken(reporting.parse_expectation(text), found)

    assert not broken("gmp-star>oneshot")
    assert not broken("gmp-star>fast")  # though they rank by other criteria, which are theirs
    assert not broken("obert>fast")
    assert broken("fast>gmp-star")
    assert not broken("recovery>oneshot")
    with pytest.raises(InputError) as error:
        broken("gmp-star>gmp")
    assert "gmp-star" in error.value.hint


def test_what_a_recipe_leaves_open_is_to_be_alike(workspace):
    dense = workspace.baseline()
    run(workspace, dense, "study", 75.0, strategy=("layerwise",))
    run(workspace, dense, "gmp-star", 85.0)
    run(workspace, dense, "fast", 85.0, criterion=("magnitude",))
    found = reporting.compare(workspace.records, workspace.predictions, by="recipe")
    names = {name for row in found.rows for side in row.called for name in side}
    # fast by another criterion is compared with what ranks by that one, study with none
    assert names == {"recovery", "fast", "gmp-star"}
