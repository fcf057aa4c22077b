"""Size and latency in a report: what is shown, chosen and claimed, and what is not."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunecli import reporting
from prunecli.evaluation.statistics import holm
from prunecli.records.artefacts import BatchSpread
from prunecli.records.benches import Estimate, InputShape
from prunecli.records.cuts import Cut
from prunecli.reporting.facts.deployed import Speed
from prunecli.reporting.figures.canvas import image
from prunecli.reporting.figures.tradeoff import deployed_figure
from prunecli.reporting.shown.csv import DEPLOYED_COLUMNS, render_deployed
from prunecli.reporting.tables.cells import MISSING
from prunecli.reporting.tables.deployed import deployed_table

from .fabricate import PARAMETERS, SHAPES, Fabricated, bench, contender
from .test_figures import HOSTILE, words
from .test_json import strictly

SCHEMA = Path(__file__).parents[2] / "docs" / "report-schema.md"
MANY = 20_000
"""Examples with which a tenth of a point can be told."""
FORMATS = ("md", "html", "latex", "csv", "json")


def build(workspace, *benches, **settings):
    return reporting.build(
        workspace.records,
        workspace.predictions,
        artefacts=workspace.artefacts,
        benches=benches,
        **settings,
    )


def whole(examples=872, **settings):
    """A run with a packed file, that as int8 ONNX, and the dense model's own ONNX; measured."""
    workspace = Fabricated(examples=examples)
    dense = workspace.baseline()
    run = workspace.pruned(dense, 0.8, 89.6)
    packed = workspace.artefact(run)
    int8 = workspace.artefact(packed, 89.4, 70_000_000, format="onnx", settings={"int8": True})
    plain = workspace.artefact(dense, packed=268_500_000, format="onnx")
    measured = bench(
        contender(dense.name, dense=True, runtime="torch"),
        contender(packed.name, (1.01, 0.97, 1.04), (0.99, 0.96, 1.02), runtime="torch"),
        contender(int8.name, (3.0, 2.8, 3.3), (2.0, 1.9, 2.1)),
        contender(plain.name, (1.4, 1.3, 1.5), (1.0, 0.9, 1.1)),
    )
    return workspace, build(workspace, measured, **settings), measured


def items(report):
    return {one.label: one for one in report.chapters[0].deployed.items}


def chosen(report):
    return {choice.goal: choice for choice in report.chapters[0].choices}


def test_each_has_its_score_its_bytes_and_its_speed():
    _, report, measured = whole()
    found = items(report)
    assert list(found) == [
        "dense",
        "dense, onnx",
        "global, 80%",
        "global, 80%, packed",
        "global, 80%, packed, onnx (int8)",
    ]
    packed, int8 = found["global, 80%, packed"], found["global, 80%, packed, onnx (int8)"]
    assert found["dense"].bytes == found["global, 80%"].bytes == 268_000_000
    assert packed.file_ratio == pytest.approx(268 / 31)
    assert packed.loss.estimate == pytest.approx(found["dense"].score - packed.score)
    assert int8.speed.mean.value == pytest.approx(6**0.5)
    assert int8.speed.mean.low == pytest.approx((2.8 * 1.9) ** 0.5)
    assert int8.speed.slowest[0] == SHAPES[1]
    assert int8.speed.verdict == "faster"
    assert packed.speed.verdict == "not distinguishable"
    assert found["dense, onnx"].speed.verdict == "faster on average, not at every shape"
    assert found["global, 80%"].speed is None
    assert measured.name == int8.speed.bench


def test_the_front_is_over_score_bytes_and_speed():
    _, report, _ = whole()
    named = {
        one.label for one in items(report).values() if one.name in report.chapters[0].deployed.front
    }
    assert {"dense", "global, 80%, packed", "global, 80%, packed, onnx (int8)"} <= named
    assert "global, 80%" not in named  # as large and as fast as the dense model, and worse


def test_a_speed_that_is_not_shown_gives_no_place_on_the_front():
    workspace = Fabricated()
    dense = workspace.baseline()
    same = workspace.artefact(dense, packed=268_000_000, format="hf")
    noise = bench(
        contender(dense.name, dense=True), contender(same.name, (1.3, 0.9, 1.7), (1.2, 0.8, 1.6))
    )
    (found,) = (one.deployed for one in build(workspace, noise).chapters)
    assert found.front == {dense.name, same.name}  # neither beats the other


def test_ratios_against_other_runtimes_of_the_dense_model_are_not_set_side_by_side():
    workspace, _, first = whole()
    dense, name = workspace.records[0].name, workspace.artefacts[1].name
    runtimes = ("torch", "onnxruntime", "onnxruntime-unfused", "openvino")
    stronger = [contender(dense, dense=True, runtime=runtime) for runtime in runtimes]
    again = bench(*stronger, contender(name, (2.0, 1.9, 2.1), (2.0, 1.9, 2.1)), minute=1)
    report = build(workspace, first, again)
    assert items(report)["global, 80%, packed, onnx (int8)"].speed.mean.value > 2.4  # the first's
    assert "the faster of PyTorch and ONNX Runtime" in reporting.render(report, "md")
    alone = reporting.render(build(workspace, again), "md")
    assert "the fastest of onnxruntime, onnxruntime-unfused, openvino, torch" in alone


def test_the_newest_measurement_of_a_subject_wins_among_those_made_alike():
    workspace, _, first = whole()
    name = workspace.artefacts[1].name
    dense = contender(workspace.records[0].name, dense=True, runtime="torch")
    again = bench(dense, contender(name, (4.0, 3.9, 4.1), (4.0, 3.9, 4.1)), minute=1, rounds=9)
    other = bench(dense, contender(name, (9.0, 8.9, 9.1), (9.0, 8.9, 9.1)), minute=2, threads=1)
    foreign = bench(contender("elsewhere", dense=True), contender(name, (7.0, 6.9, 7.1)), minute=3)
    report = build(workspace, foreign, other, again, first)
    found = items(report)["global, 80%, packed, onnx (int8)"]
    assert found.speed.mean.value == pytest.approx(4.0)
    assert {record.name for record in report.chapters[0].deployed.benches} == {
        first.name,
        again.name,
    }
    alone = build(workspace, foreign)
    assert alone.chapters[0].deployed.benches == ()
    assert alone.chapters[0].deployed.otherwise == 1
    assert "1 more were measured at other shapes" in reporting.render(alone, "md")


def test_a_cut_model_is_held_against_the_dense_models_bytes():
    workspace = Fabricated()
    dense = workspace.baseline()
    run = workspace.pruned(dense, 0.5, 88.0)
    cut = run.model_copy(
        update={"model": run.model.model_copy(update={"parameters": PARAMETERS // 2})}
    )
    workspace.records[1] = cut
    workspace.artefact(cut, packed=30_000_000, dense=134_000_000)
    unknown = items(build(workspace))
    assert unknown["global, 50%"].bytes == 134_000_000
    assert unknown["global, 50%, packed"].file_ratio is None
    workspace.artefact(dense, packed=100_000_000)
    assert items(build(workspace))["global, 50%, packed"].file_ratio == pytest.approx(268 / 30)


def test_nothing_exported_and_nothing_measured_is_not_there(tmp_path):
    workspace = Fabricated().study("sst2")
    dense = bench(contender(workspace.records[0].name, dense=True))
    report = build(workspace, dense)
    (chapter,) = report.chapters
    assert chapter.deployed is None
    assert chapter.choices == ()
    for name in ("md", "latex"):
        assert "size and latency" not in reporting.render(report, name)
    assert "deployed" not in strictly(reporting.render(report, "json"))["sections"][0]
    names = [path.name for path in reporting.write(report, tmp_path, ["csv"])]
    assert not [name for name in names if "deployed" in name]


# Choices


def test_the_smallest_and_the_fastest_are_named_with_their_evidence():
    _, report, _ = whole(MANY, max_drop=2.0)
    found = chosen(report)
    smallest, fastest = found["smallest"], found["fastest"]
    assert (smallest.label, fastest.label) == (
        "global, 80%, packed",
        "global, 80%, packed, onnx (int8)",
    )
    assert (
        smallest.candidates == fastest.candidates == 2
    )  # the others are no smaller and not faster at every shape
    assert "with 95% confidence (Holm's correction over" in smallest.sentence
    assert "31.0 MB, File 8.65×, 1.00 times as fast" in smallest.sentence
    assert "not distinguishable, which loses 0.40 points" in smallest.sentence
    assert "2.45 times as fast as the dense model (95% interval 2.31 to 2.63" in fastest.sentence
    assert "2.00 at the slowest, 32 × 128 tokens" in fastest.sentence
    for choice in report.chapters[0].choices:
        assert choice.sentence in reporting.render(report, "json").encode().decode("unicode_escape")


def faster_on_average():
    """Four times as fast at one shape, slower at the other: beside one that is faster at both."""
    workspace = Fabricated(examples=MANY)
    dense = workspace.baseline()
    mixed = workspace.artefact(dense, 89.9, 268_000_000, settings={"n": 1})
    even = workspace.artefact(dense, 89.9, 268_000_000, settings={"n": 2})
    return build(
        workspace,
        bench(
            contender(dense.name, dense=True),
            contender(mixed.name, (4.0, 3.9, 4.1), (0.8, 0.79, 0.81)),
            contender(even.name, (1.2, 1.1, 1.3), (1.2, 1.1, 1.3)),
        ),
        max_drop=2.0,
    ), (mixed.name, even.name)


def test_the_fastest_is_faster_at_every_shape():
    report, (mixed, even) = faster_on_average()
    found = {one.name: one.speed for one in report.chapters[0].deployed.items}
    assert found[mixed].mean.value > found[even].mean.value
    assert chosen(report)["fastest"].name == even
    assert chosen(report)["fastest"].candidates == 1  # as large as the dense model, both


def test_every_format_has_the_same_words_for_it():
    report, (mixed, even) = faster_on_average()
    words = {mixed: "faster on average, not at every shape", even: "faster"}
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(render_deployed(report)))}
    told = strictly(reporting.render(report, "json"))["sections"][0]["deployed"]["models"]
    models = {one["name"]: one["speed"] for one in told}
    table = deployed_table(report.chapters[0].section, report.chapters[0].deployed)
    cells = {row[table.columns.index("Verdict")] for row in table.rows}
    for name, verdict in words.items():
        assert rows[name]["speed_verdict"] == models[name]["verdict"] == verdict
        assert verdict in cells
        assert f"`{verdict}`" in SCHEMA.read_text()
    assert [one["verdict"] for one in models[mixed]["shapes"]] == ["faster", "slower"]


@given(st.lists(st.tuples(*[st.floats(1e-12, 1e12)] * 3), min_size=1, max_size=5))
def test_the_mean_of_any_estimates_is_one(ends):
    ratios = [
        (
            InputShape(batch=1, tokens=place),
            Estimate(**dict(zip(("low", "value", "high"), sorted(each), strict=True))),
        )
        for place, each in enumerate(ends, 1)
    ]
    mean = Speed("onnxruntime", tuple(ratios), "bench").mean
    assert min(each.low for _, each in ratios) <= mean.low <= mean.value <= mean.high


def test_the_interval_of_the_mean_covers_normal_errors_however_they_hang_together():
    """Two shapes that are truly as fast as the dense model, each with an exact interval."""
    noise, trials = np.random.default_rng(5), 2000
    spread = np.array([0.1, 0.3])
    for correlation in (-1.0, 0.0, 0.5, 1.0):
        covariance = np.outer(spread, spread) * np.array([[1, correlation], [correlation, 1]])
        covered = 0
        for errors in noise.multivariate_normal([0, 0], covariance, trials):
            ratios = [
                (shape, Estimate(value=value, low=value / width, high=value * width))
                for shape, value, width in zip(
                    SHAPES, np.exp(errors), np.exp(1.96 * spread), strict=True
                )
            ]
            mean = Speed("onnxruntime", tuple(ratios), "bench").mean
            covered += mean.low <= 1 <= mean.high
        assert covered / trials >= 0.935


def test_it_says_so_when_nothing_qualifies():
    _, report, _ = whole(max_drop=0.1)
    for choice in report.chapters[0].choices:
        assert choice.name is None
        # first what could have been shown at all, then that nothing was
        assert re.match(
            rf"With 872 examples, [^.]*[\d.]+ points; .*\. No {choice.goal}", choice.sentence
        )
        assert re.search(
            r"(none of the 2|the one) .* shown to lose at most 0.1 points with 95% confidence",
            choice.sentence,
        )
        assert choice.sentence in reporting.render(report, "md").replace("\\", "")


def test_what_is_no_smaller_and_no_faster_is_no_choice():
    workspace = Fabricated(examples=MANY)
    dense = workspace.baseline()
    run = workspace.pruned(dense, 0.5, 89.9)
    slow = bench(contender(dense.name, dense=True), contender(run.name, (1.02, 0.9, 1.1)))
    found = chosen(build(workspace, slow))
    assert found["smallest"].sentence == (
        "No smallest file is named: none whose drop is known is smaller than the dense one."
    )
    assert found["fastest"].sentence == (
        "No fastest model is named: none whose drop is known is shown to be faster than the dense "
        "one at every shape."
    )


def test_only_what_was_measured_has_a_choice_and_a_panel():
    workspace = Fabricated()
    workspace.artefact(workspace.pruned(workspace.baseline(), 0.5, 89.0))
    report = build(workspace)
    assert list(chosen(report)) == ["smallest"]
    figure = deployed_figure(report.chapters[0].section, report.chapters[0].deployed)
    assert [axes.get_xlabel() for axes in figure.axes] == ["Weights on disk (MB)"]
    assert (
        "Times as fast"
        not in deployed_table(report.chapters[0].section, report.chapters[0].deployed).columns
    )


def test_without_a_baseline_nothing_is_chosen():
    workspace = Fabricated()
    dense = workspace.baseline()
    workspace.artefact(workspace.pruned(dense, 0.5, 89.0))
    workspace.records.remove(dense)
    report = build(workspace)
    assert items(report)["global, 50%, packed"].loss is None
    assert chosen(report)["smallest"].name is None


# What only came about on the way to another

ONE_LINE = "prune export BASELINE --format onnx --int8 --neurons 0.75"


def on_the_way(cut_by=ONE_LINE, packed_by=None, *, measured=()):
    """A cut run, a packed file of it, and an int8 file of that; by name who is a candidate."""
    workspace = Fabricated(examples=MANY)
    dense = workspace.baseline()
    workspace.artefact(dense, 89.9, 200_000_000)  # a candidate of its own in every case
    workspace.pruned(dense, 0.0, 89.8, cut=Cut(neurons=0.75))
    cut = workspace.records[-1] = workspace.records[-1].model_copy(update={"command": cut_by})
    packed = workspace.artefact(cut, 89.7, 90_000_000, dense=120_000_000)
    int8 = workspace.artefact(
        packed, 89.6, 60_000_000, dense=120_000_000, format="onnx", settings={"int8": True}
    )
    commands = {packed.name: packed_by or f"prune export {cut.name}", int8.name: ONE_LINE}
    workspace.artefacts = [
        one.model_copy(update={"command": commands.get(one.name, one.command)})
        for one in workspace.artefacts
    ]
    names = {"cut": cut.name, "packed": packed.name, "int8": int8.name}
    rows = [contender(names[one], (1.0, 0.9, 1.1)) for one in measured]
    benches = [bench(contender(dense.name, dense=True), *rows)] if rows else []
    report = build(workspace, *benches, max_drop=2.0)
    passed = {one.name for one in report.chapters[0].deployed.items if one.intermediate}
    assert chosen(report)["smallest"].candidates == 4 - len(passed)
    assert chosen(report)["smallest"].name == int8.name
    assert ("Made only on the way to another" in reporting.render(report, "md")) == bool(passed)
    return {kind for kind, name in names.items() if name in passed}


def test_a_run_that_an_export_cut_is_no_candidate():
    assert on_the_way() == {"cut"}
    # nor where the export was tried again with other words
    assert on_the_way("prune export BASELINE --neurons 0.75 --max-difference 0.1") == {"cut"}


def test_what_one_command_made_on_the_way_is_no_candidate():
    assert on_the_way(packed_by=ONE_LINE) == {"cut", "packed"}


def test_what_was_asked_for_by_itself_is_a_candidate():
    assert on_the_way("prune prune --from BASELINE --neurons 0.75") == set()
    assert on_the_way("prune sweep --neurons 0.5 0.75") == set()


def test_what_was_measured_by_itself_is_a_candidate():
    assert on_the_way(measured=["cut"]) == set()
    assert on_the_way(packed_by=ONE_LINE, measured=["int8", "packed"]) == {"cut"}


def test_an_artefact_of_nothing_else_is_never_an_intermediate():
    """Two files by one command, neither of the other."""
    workspace = Fabricated(examples=MANY)
    dense = workspace.baseline()
    for number in range(2):
        workspace.artefact(dense, 89.9, 200_000_000, settings={"number": number})
    workspace.artefacts = [
        one.model_copy(update={"command": ONE_LINE}) for one in workspace.artefacts
    ]
    assert chosen(build(workspace, max_drop=2.0))["smallest"].candidates == 2


def test_intermediates_are_told_in_csv_and_json():
    _, report, _ = whole()
    told = strictly(reporting.render(report, "json"))["sections"][0]["deployed"]["models"]
    rows = csv.DictReader(io.StringIO(render_deployed(report)))
    assert [one["intermediate"] for one in told] == [False] * 5
    assert [row["intermediate"] for row in rows] == ["false"] * 5


# Answers that depend on their batch


def scored(**changes):
    """A report of an int8 file with these fields in its record."""
    workspace = Fabricated()
    dense = workspace.baseline()
    workspace.artefact(dense, 89.4, 70_000_000, format="onnx", settings={"int8": True})
    workspace.artefacts = [
        one.model_copy(update={"precision": "int8", **changes}) for one in workspace.artefacts
    ]
    report = build(workspace)
    table = deployed_table(report.chapters[0].section, report.chapters[0].deployed)
    (model,) = strictly(reporting.render(report, "json"))["sections"][0]["deployed"]["models"][1:]
    (row,) = list(csv.DictReader(io.StringIO(render_deployed(report))))[1:]
    return table, model, row


def test_what_batches_make_of_a_score_stands_beside_it():
    spread = BatchSpread(low=0.842, high=0.853, changed=15, batchings=2)
    table, model, row = scored(batched={"validation": spread})
    place = table.columns.index("In batches")
    assert [cells[place] for cells in table.rows] == [MISSING, "84.20 to 85.30, 15 changed"]
    assert "its score is of one example at a time" in table.note
    assert "older version" not in table.note
    assert model["batched"] == {"low": 0.842, "high": 0.853, "changed": 15, "batchings": 2}
    assert model["scored_in_batches"] is False
    assert (row["batched_low"], row["batched_high"], row["batched_changed"]) == (
        "0.842",
        "0.853",
        "15",
    )
    assert row["scored_in_batches"] == "false"


def test_an_older_score_of_batches_is_marked():
    table, model, row = scored()
    assert table.rows[1][table.columns.index("In batches")] == "scored so"
    assert "scored so: by an older version, in batches; export it again" in table.note
    assert model["batched"] is None
    assert model["scored_in_batches"] is True
    assert (row["batched_low"], row["scored_in_batches"]) == ("", "true")


def test_nothing_is_said_of_batches_where_answers_do_not_depend_on_them():
    table, model, _ = scored(precision="float32")
    assert "In batches" not in table.columns
    assert "batches" not in table.note
    assert model["scored_in_batches"] is False


def test_half_of_the_examples_choose_and_the_other_half_report():
    _, report, _ = whole(MANY, max_drop=2.0, select_on="half")
    found = chosen(report)["smallest"]
    assert found.select_on == "half"
    assert "shown on 10,000 examples of 20,000 to lose at most 2 points" in found.sentence
    assert "on the 10,000 examples that the choice did not use" in found.sentence
    assert "The other half confirms it." in found.sentence
    every = items(report)["global, 80%, packed"].loss.estimate * 100
    assert found.drop != every
    assert found.drop == pytest.approx(every, abs=0.3)


def test_a_harmful_model_is_chosen_no_more_often_than_allowed():
    """Every candidate truly loses what is not to be lost; whatever is named is a false claim."""
    from .test_recommend import _answer

    rng = np.random.default_rng(0)
    trials, claims = 40, 0
    for trial in range(trials):
        workspace = Fabricated(examples=400)
        dense = workspace.baseline(model=f"model-{trial}")
        runs = [workspace.pruned(dense, level, 88.0) for level in (0.5, 0.6, 0.7)]
        truth = rng.random(400) < 0.9
        _answer(workspace, dense, truth)
        for run in runs:
            _answer(workspace, run, truth & (rng.random(400) >= 0.04))
        for place, record in enumerate(workspace.records[1:]):
            workspace.artefact(record, packed=10_000_000 + place)
        report = build(workspace, max_drop=100 * 0.9 * 0.04)
        claims += chosen(report)["smallest"].name is not None
    from scipy.stats import binom

    assert claims <= binom.ppf(0.999, trials, 0.05)


def faster(one):
    return one.speed is not None and all(ratio.low > 1 for _, ratio in one.speed.ratios)


RATIOS = st.tuples(
    st.floats(0.2, 9), st.floats(0.01, 1.5, exclude_min=True), st.floats(0.01, 1.5)
).map(lambda t: (t[0], t[0] / (1 + t[1]), t[0] * (1 + t[2])))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(60, 92), RATIOS, RATIOS), min_size=1, max_size=5),
    st.sampled_from([0.5, 2.0, 10.0]),
    st.sampled_from(["all", "half"]),
)
def test_nothing_is_claimed_that_is_not_shown(models, max_drop, select_on):
    workspace = Fabricated(examples=300)
    dense = workspace.baseline()
    made = [
        workspace.artefact(
            dense, accuracy, 268_000_000 - 40_000_000 * place, settings={"number": place}
        )
        for place, (accuracy, *_) in enumerate(models)
    ]
    rows = [contender(a.name, *r) for a, (_, *r) in zip(made, models, strict=True)]
    measured = bench(contender(dense.name, dense=True), *rows, shapes=SHAPES)
    report = build(workspace, measured, max_drop=max_drop, select_on=select_on)
    found = {one.name: one for one in report.chapters[0].deployed.items}
    table = deployed_table(report.chapters[0].section, report.chapters[0].deployed)
    for row, one in zip(table.rows, found.values(), strict=True):
        verdict = row[table.columns.index("Verdict")]
        if verdict == "faster":
            assert all(ratio.low > 1 for _, ratio in one.speed.ratios)
        assert verdict == one.speed.verdict if one.speed else one.dense
        if verdict.startswith("faster"):
            assert one.speed.mean.low > 1
        if verdict == "slower":
            assert one.speed.mean.high < 1
    for choice in report.chapters[0].choices:
        assert (choice.name is None) == (" is named: " in choice.sentence)
        if choice.name is None:
            continue
        assert choice.p_adjusted <= 0.05
        best = found[choice.name]
        if choice.goal == "fastest":
            assert all(ratio.low > 1 for _, ratio in best.speed.ratios)
        else:
            assert best.file_ratio > 1
        if select_on == "all":
            tested = [
                one for one in found.values() if one.loss and (one.file_ratio > 1 or faster(one))
            ]
            adjusted = holm([one.loss.p_below(max_drop / 100 + 1e-9) for one in tested])
            assert choice.p_adjusted == adjusted[tested.index(best)]
            assert choice.candidates == len(tested)


# Formats


def test_every_format_shows_it_and_writes_its_figure(tmp_path):
    _, report, measured = whole(MANY, max_drop=2.0)
    written = {path.name: path for path in reporting.write(report, tmp_path, FORMATS)}
    assert {"deployed.csv", "sst2-deployed.png", "sst2-deployed.svg"} <= set(written)
    md = written["report.md"].read_text()
    assert "**SST-2: size and latency**" in md
    assert "(figures/sst2-deployed.png)" in md
    assert "prune bench" in md
    assert "2 threads; 7 rounds" in md
    assert "SST-2: size and latency" in written["report.tex"].read_text()
    assert "figures/sst2-deployed.png" in written["report.tex"].read_text()
    page = written["report.html"].read_text()
    assert '"source":"data:image/svg+xml;base64,' in page
    assert report.chapters[0].choices[0].sentence[:60] in page
    document = strictly(written["report.json"].read_text())
    told = document["sections"][0]["deployed"]
    assert [one["name"] for one in told["models"]] == [
        one.name for one in report.chapters[0].deployed.items
    ]
    named = {one["name"] for one in told["models"] if one["kind"] == "artefact"}
    assert {*document["made"]} == {measured.name, *named}
    rows = list(csv.DictReader(io.StringIO(written["deployed.csv"].read_text())))
    assert tuple(rows[0]) == DEPLOYED_COLUMNS
    assert [int(row["bytes"]) for row in rows] == [one["bytes"] for one in told["models"]]
    assert [row["speed_verdict"] for row in rows] == [
        one["speed"]["verdict"] if one["speed"] else "" for one in told["models"]
    ]


def test_figures_alone_have_it_too_and_are_the_same_bytes_every_time(tmp_path):
    first, second = (reporting.write(whole()[1], tmp_path / name, []) for name in "ab")
    assert "sst2-deployed.svg" in {path.name for path in first}
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_baseline_alone_with_its_artefact_has_a_figure(tmp_path):
    workspace = Fabricated()
    workspace.artefact(workspace.baseline(), 89.8, 70_000_000)
    written = reporting.write(build(workspace), tmp_path, ["md", "html"])
    assert "sst2-deployed.png" in {path.name for path in written}
    assert "size and latency" in (tmp_path / "report.md").read_text()


def test_figures_of_both_kinds_have_names_of_their_own():
    workspace = Fabricated()
    for task in ("sst2", "sst2-deployed"):
        dense = workspace.baseline(max_seq_length=64 + len(task))
        workspace.artefact(workspace.pruned(dense, 0.5, 85.0))
        place = slice(-2, None)
        workspace.records[place] = [
            run.model_copy(update={"spec": run.spec.model_copy(update={"task": task})})
            for run in workspace.records[place]
        ]
    report = build(workspace)
    names = [name for one in report.chapters for name in (one.figure, one.tradeoff_figure)]
    assert len({name.casefold() for name in names if name}) == 4


def test_many_artefacts_are_read_by_their_front():
    workspace = Fabricated(examples=100)
    dense = workspace.baseline()
    for number in range(40):
        workspace.artefact(
            dense, 60.0 + number % 7, 10_000_000 * number + 1, settings={"n": number}
        )
    report = build(workspace)
    table = deployed_table(report.chapters[0].section, report.chapters[0].deployed)
    assert len(table.rows) < 20
    assert "that are not on it are left out here" in table.note
    assert (
        len(deployed_table(report.chapters[0].section, report.chapters[0].deployed, 100).rows) == 41
    )
    assert len(render_deployed(report).splitlines()) == 42
    names = words(deployed_figure(report.chapters[0].section, report.chapters[0].deployed))
    assert any("others, on neither front" in name for name in names)


def named(value):
    """Everything from outside that artefacts and measurements bring along is ``value``."""
    workspace, _, _ = whole(100)
    renamed = {one.name: f"{value}-{n}" for n, one in enumerate(workspace.artefacts)}

    def name(old):
        return renamed.get(old, old)

    for one in workspace.artefacts:
        workspace.files[name(one.name)] = workspace.files[one.name]
    workspace.artefacts = [
        one.model_copy(
            update={
                "name": name(one.name),
                "command": f"prune {value}",
                "spec": one.spec.model_copy(
                    update={
                        "source": name(one.spec.source),
                        "format": value,
                        "settings": {value: value},
                    }
                ),
            }
        )
        for one in workspace.artefacts
    ]
    dense = contender(workspace.records[0].name, dense=True, runtime=value)
    rows = [
        contender(one.name, (2.0, 1.9, 2.1), (2.0, 1.9, 2.2), runtime=value)
        for one in workspace.artefacts
    ]
    measured = bench(dense, *rows)
    machine = measured.machine.model_copy(update={"processor": value, "system": value})
    hostile = measured.model_copy(
        update={"name": f"{value}-9", "command": value, "machine": machine}
    )
    return build(workspace, hostile, max_drop=30.0)


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = Counter()

    def handle_starttag(self, tag, attrs):
        self.found[tag] += 1


def _tags(html):
    reader = _Tags()
    reader.feed(html)
    return reader.found


@pytest.fixture(scope="module")
def tame():
    """A report of names that mean no harm, and what its formats say."""
    report = named("tame")
    return report, {name: reporting.render(report, name) for name in ("md", "latex", "html")}


@pytest.mark.parametrize("value", [*HOSTILE, "=1+1", "</script><b>"], ids=range(8))
def test_hostile_names_are_harmless_in_every_format(value, tame):
    report = named(value)
    harmless, expected = tame
    md = reporting.render(report, "md")
    assert md.count("\n") == expected["md"].count("\n")
    assert "<script" not in md[: md.index("## How it was made")]  # commands stand in a code block
    assert "\u202e" not in md
    pattern = r"\\(begin|end|item|section|caption|midrule|input|write|reportfigure)(?![a-z])"
    tex = reporting.render(report, "latex")
    assert re.findall(pattern, tex) == re.findall(pattern, expected["latex"])
    assert _tags(reporting.render(report, "html")) == _tags(expected["html"])
    assert reporting.render(report, "json").isascii()
    found, rows = (
        list(csv.DictReader(io.StringIO(render_deployed(one)))) for one in (report, harmless)
    )
    assert len(found) == len(rows)
    for row in found:
        assert all(not re.match(r"\s*[=+\-@]\D", cell) for cell in row.values())
    (chapter,), (other,) = report.chapters, harmless.chapters
    assert (chapter.figure, chapter.tradeoff_figure) == (other.figure, other.tradeoff_figure)
    assert image(deployed_figure(chapter.section, chapter.deployed), ".svg").startswith(b"<?xml")


def test_every_field_and_column_is_documented():
    text = SCHEMA.read_text(encoding="utf-8")
    part = text[text.index("## deployed.csv") : text.index("## report.json")]
    columns = [
        name
        for line in part.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split(" | ")[0])
    ]
    assert tuple(columns) == DEPLOYED_COLUMNS
    part = text[text.index("## report.json") :]
    documented = {
        word for code in re.findall(r"`([^`]+)`", part) for word in re.findall(r"\w+", code)
    }

    def fields(value):
        if isinstance(value, list):
            for one in value:
                yield from fields(one)
        elif isinstance(value, dict):
            for key, one in value.items():
                yield key
                yield from fields(one)

    document = strictly(json.dumps(reporting.document(whole()[1])))
    assert set(fields(document["sections"][0]["deployed"])) - documented == set()


def test_shapes_and_threads_are_said_in_the_figure():
    _, report, _ = whole()
    figure = deployed_figure(report.chapters[0].section, report.chapters[0].deployed)
    time, size = figure.axes
    assert "geometric mean over 2 shapes, 2 threads" in time.get_xlabel()
    assert size.get_xlabel() == "Weights on disk (MB)"
    assert InputShape(batch=1, tokens=128) in SHAPES
    figure.draw_without_rendering()
    from matplotlib.text import Text

    assert min(t.get_fontsize() for t in figure.findobj(Text) if t.get_text()) >= 9
