"""The HTML report: what it holds, that it needs nothing else, and how it behaves in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from prunecli import reporting
from prunecli.records.cuts import Cut
from prunecli.records.runs import LayerSparsity
from prunecli.reporting.facts.results import GENERATED
from prunecli.reporting.shown import html
from prunecli.reporting.shown.html.data import page_data
from prunecli.reporting.shown.html.page import embedded, render_html
from prunecli.text.markup import one_line

from .chromium import CHROMIUM, Chromium
from .fabricate import Fabricated
from .test_figures import HOSTILE as NAMES

VENDOR = Path(html.__file__).parent / "vendor"
LAYERS = [
    f"bert.layer.{n}.{part}.weight" for n in range(2) for part in ("attention.query", "output")
]
HOSTILE = [
    *NAMES,
    "</script><img src=x onerror=alert(1)><!--<script>",
    "<a href='javascript:alert(1)'>%{y}</a><br><b>bold</b> &lt;i&gt; &#60;u&#62;",
    "$data ${script} $$ `${alert(1)}` \\u003c \u2028 \" onclick='alert(1)'",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 1 > 2",
]


def layered(workspace, names=LAYERS):
    """The same workspace with several layers; all strategies but one treat them unequally."""

    def layers(record):
        skew = 0.0 if getattr(record.spec, "strategy", "") == "layerwise" else 0.02
        return {
            name: LayerSparsity(zeros=round(1000 * record.level * (1 - skew * place)), size=1000)
            for place, name in enumerate(names)
        }

    workspace.records = [
        record.model_copy(update={"layers": layers(record)}) for record in workspace.records
    ]
    return workspace


def build(workspace, **settings):
    return reporting.build(workspace.records, workspace.predictions, **settings)


def named(values):
    """A section for each value, in which every text from outside is that value."""
    workspace = Fabricated(examples=60)
    told = []
    for number, value in enumerate(values):
        dense = workspace.baseline(max_seq_length=64 + number)
        for level in (0.5, 0.6):
            for strategy in ("global", value):
                workspace.pruned(dense, level, 95 - 40 * level, strategy)
        workspace = layered(workspace, [f"{n} {value}" for n in range(3)])
        told += [
            record.model_copy(
                update={
                    "command": f"prune {value}",
                    "task": record.task.model_copy(
                        update={"title": value, "label_names": [value, f"{value} 2"]}
                    ),
                    "model": record.model.model_copy(update={"name": value}),
                    "machine": record.machine.model_copy(update={"processor": value}),
                }
            )
            for record in workspace.records
        ]
        workspace.records = []
    workspace.records = told
    return workspace


def elements(text):
    """How often each element occurs, and type and text of every script."""
    found, scripts = Counter(), []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found[tag] += 1
            if tag == "script":
                scripts.append([dict(attrs).get("type", ""), ""])

        def handle_data(self, data):
            if self.cdata_elem == "script":
                scripts[-1][1] += data

    Reader().feed(text)
    return found, scripts


@pytest.fixture(scope="module")
def study():
    """The study's three tasks."""
    return build(layered(Fabricated(examples=200).study()), max_drop=8)


@pytest.fixture(scope="module")
def seeds():
    """Two seeds of a task with two metrics and of one with two sets, on generated data."""
    workspace = Fabricated(examples=100, generated=True).study("qqp", "mnli", seeds=2)
    return build(layered(workspace), max_drop=20)


@pytest.fixture(scope="module")
def hostile():
    """A report of harmless texts and one of hostile ones, otherwise alike."""

    def texts(values):
        def examples(run, split):
            value = run.task.title
            return {index: {"sentence": value, value: "text"} for index in range(60)}

        return build(named(values), examples=examples)

    return texts([f"tame {number}" for number in range(len(HOSTILE))]), texts(HOSTILE)


# What is in the file


def test_the_file_needs_nothing_else(study):
    text = render_html(study)
    own = text.replace((VENDOR / "plotly-cartesian.min.js").read_text(encoding="utf-8"), "")
    assert not re.search(r"""\bsrc=|href="(?!#|data:)|url\(|@import|https?://""", own)
    assert "sourceMappingURL" not in text


def test_the_policy_allows_exactly_the_scripts_that_are_there(study):
    text = render_html(study)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    _, scripts = elements(text)
    digests = {
        f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'"
        for kind, body in scripts
        if kind != "application/json"
    }
    assert set(directives.pop("script-src").split()) == digests
    assert directives == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert text.index("Content-Security-Policy") < text.index("<script")


def test_the_library_is_the_published_one():
    stated = re.search(r"sha256: `(\w+)`", (VENDOR / "README.md").read_text(encoding="utf-8"))[1]
    script = (VENDOR / "plotly-cartesian.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() == stated
    assert b"</script" not in script
    assert b"<!--" not in script
    assert "MIT License" in (VENDOR / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_data_cannot_leave_its_script(value):
    found = embedded({value: [value]})
    assert json.loads(found) == {value: [value]}
    assert not re.search(r"[<>&\u2028\u2029]|[^\x20-\x7e]", found)


def test_a_cut_run_is_called_what_it_is_among_all_runs(workspace):
    dense = workspace.baseline()
    cut = workspace.pruned(dense, 0.0, 85.0, cut=Cut(heads=0.5), criterion="reconstruction")
    half = workspace.pruned(dense, 0.5, 80.0)
    shown = {
        run["name"]: (run["method"], run["level"]) for run in page_data(build(workspace))["runs"]
    }
    assert shown == {
        dense.name: ("dense", 0.0),
        cut.name: ("heads 50%", None),
        half.name: ("global magnitude", 50.0),
    }


def test_the_page_is_given_what_the_report_says(seeds):
    data = page_data(seeds)
    section, given = seeds.chapters[1].section, data["sections"][1]
    for curve, shown in zip(section.curves, given["curves"], strict=True):
        for point, values in zip(curve.points, shown["points"], strict=True):
            score = point.scores[section.splits[1]]["accuracy"]
            found = values["scores"][1][0]
            assert found["value"] == pytest.approx(100 * score.value, abs=1e-3)
            assert found["drop"] == pytest.approx(100 * score.drop, abs=1e-3)
            assert found["interval"] == pytest.approx(
                [100 * score.interval.low, 100 * score.interval.high], abs=1e-3
            )
            assert [data["runs"][n]["name"] for n in values["runs"]] == [r.name for r in point.runs]
            zeros = [[one.zeros / 10 for one in run.layers.values()] for run in point.runs]
            assert values["layers"] == zeros
    assert given["layers"] == ["0.attention.query", "0.output", "1.attention.query", "1.output"]
    place, number = given["recommended"]
    best = seeds.chapters[1].recommendation
    assert section.curves[place].label == best.label
    assert section.curves[place].points[number].level == best.level
    assert given["chance"] == pytest.approx(100 * section.chance, abs=1e-3)
    runs = [run for one in seeds.chapters for run in one.section.runs]
    assert [run["name"] for run in data["runs"]] == [run.name for run in runs]
    labels = {one.name: c.label for c in section.curves for p in c.points for one in p.runs}
    own = [run for run in data["runs"] if run["section"] == 1]
    assert [run["method"] for run in own] == [labels.get(run["name"], "dense") for run in own]
    assert data["commands"] == list(dict.fromkeys(run.command for run in runs))
    knee = seeds.chapters[1].curves[0].phases.knee
    assert given["curves"][0]["phases"]["knee"][0] == pytest.approx(100 * knee.level, abs=1e-3)


def test_examples_stand_with_their_texts(workspace):
    def examples(run, split):
        return {n: {"question": f"q{n}", "sentence": f"s{n}"} for n in range(workspace.examples)}

    report = build(workspace.study("sst2"), examples=examples)
    table = page_data(report)["sections"][0]["tables"]["fragile"]
    assert table["columns"][:4] == ["Example", "question", "sentence", "Label"]
    for row in table["rows"]:
        assert row[1:3] == [f"q{row[0]}", f"s{row[0]}"]
    without = page_data(build(workspace))["sections"][0]["tables"]["fragile"]
    assert without["columns"] == [c for c in table["columns"] if c not in ("question", "sentence")]


def test_a_report_of_nothing_says_so():
    _, scripts = elements(render_html(reporting.build([], {}.get)))
    assert json.loads(scripts[0][1])["sections"] == []


def test_hostile_text_adds_no_element_to_the_file(hostile):
    tame, found = (elements(render_html(report))[0] for report in hostile)
    assert found == tame


def test_five_hundred_runs_are_fast_and_small():
    workspace = layered(
        Fabricated(examples=50).study("sst2", seeds=34), [str(n) for n in range(72)]
    )
    report = build(workspace)
    assert len(workspace.records) > 500
    start = time.process_time()
    text = render_html(report)
    assert time.process_time() - start < 0.7
    assert len(text) < 2_500_000


# How it behaves in a browser


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture
def show(chromium, tmp_path):
    """Open a report; every chart of it is drawn."""

    def shown(report, *, width=1280, mobile=False):
        path = tmp_path / "report.html"
        path.write_text(render_html(report), encoding="utf-8")
        chromium.open(path, width=width, mobile=mobile)
        chromium.run("redraw(true)")
        return chromium

    return shown


def calm(page):
    """See that the page asked for nothing, met no error and opened no dialog."""
    asked = [event["request"]["url"] for event in page.heard("Network.requestWillBeSent")]
    assert [url[:5] for url in asked if not url.startswith("data:image/png")] == ["file:"]
    assert not page.heard("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    assert not page.heard("Page.javascriptDialogOpening")


def chosen(selector, value):
    """A script that chooses ``value`` in a select."""
    return (
        f"{{const s = document.querySelector('{selector}'); s.value = '{value}';"
        "s.dispatchEvent(new Event('change'))}"
    )


def test_charts_are_drawn_and_nothing_is_asked_for(show, study):
    page = show(study)
    curves, layers = (
        page.run(f"[...document.querySelectorAll('{chart}')].map(p => p.data.map(t => t.type))")
        for chart in (".chart[tabindex]", ".chart[role=img]")
    )
    recommended = [int(one.recommendation.level is not None) for one in study.chapters]
    assert recommended[0] == 1
    # a line and a band for each method, and a ring around what is recommended
    assert curves == [["scatter"] * (4 + ring) for ring in recommended]
    assert layers == [["heatmap"]] * 3
    assert page.run("document.querySelectorAll('.chart .point').length") == 3 * 2 * 7 + sum(
        recommended
    )
    assert page.run("document.querySelectorAll('.chart[role=img] image').length") == 3
    titles = page.run("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert titles == ["Summary", "SST-2", "QQP", "MNLI", "How to read this", "How it was made"]
    said = page.run("document.querySelector('.chart').layout.annotations.map(a => a.text)")
    assert {text.split()[0] for text in said} >= {"dense", "majority", "safe", "recommended:"}
    assert page.run("document.querySelector('#generated').hidden")
    assert page.run("document.querySelectorAll('.badge, .generated').length") == 0
    calm(page)


def test_what_is_chosen_is_drawn(show, seeds):
    page = show(seeds)
    hidden = "[...document.querySelectorAll('.task')].map(part => part.hidden)"
    page.run(chosen("#task", 1))
    assert page.run(hidden) == [True, False]
    page.run(chosen("#task", "all"))
    assert page.run(hidden) == [False, False]
    axis = "document.querySelector('#task-{} .chart').layout.yaxis.title.text"
    page.run(chosen("#task-0 .controls select", 1))
    assert page.run(axis.format(0)) == "F1 (%)"
    page.run(chosen("#task-1 .controls select", 1))
    assert page.run(axis.format(1)) == "Accuracy (%), mismatched"
    lines = "document.querySelector('#task-0 .chart').data.filter(t => 'meta' in t).length"
    assert page.run(lines) == 2
    page.run("document.querySelector('#task-0 .methods input').click()")
    assert page.run(lines) == 1
    layers = "document.querySelector('#task-0 .chart[role=img]').data[0].z"
    assert page.run(f"{layers}[0][0] > {layers}[1][0]")
    page.run(chosen("#task-0 .controls:has(+ figure > [role=img]) select", 1))
    assert page.run(f"{layers}[0][0] === {layers}[1][0]")
    offered = (
        "[...[...document.querySelectorAll('#task-0 select')].at(-1).options].map(o => o.text)"
    )
    assert page.run(offered) == ["mean over seeds", "seed 42", "seed 43"]
    calm(page)


def test_a_point_says_its_numbers_its_runs_and_their_command(show, study):
    page = show(study)
    page.run("document.querySelector('.chart').focus()")
    section = study.chapters[0].section
    place = section.curves[1].points[0]
    assert study.chapters[0].recommendation.label == section.curves[1].label
    for _ in section.curves[1].points:
        page.press("ArrowLeft")
    page.wait("document.querySelector('.hovertext')?.textContent.includes('50% sparsity')")
    detail = page.run("document.querySelector('.detail').textContent")
    hover = page.run("document.querySelector('.hovertext').textContent")
    score = section.primary(place)
    for text in (hover, detail):
        assert "layer-wise, 50% sparsity" in text
        for value in (score.value, score.interval.low, score.drop, score.drop_interval.high):
            assert f"{100 * value:.2f}" in text
        assert place.runs[0].name in text
        assert place.runs[0].command in text
    assert page.run("document.querySelector('.detail').ariaLive") == "polite"
    place = "document.querySelector('.chart .point').getBoundingClientRect()"
    for shift in (1, 4):
        x, y = page.run(f"[{place}.x + {shift}, {place}.y + {shift}]")
        page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.wait("document.querySelector('.detail').textContent.includes('global, 50%')")
    calm(page)


def test_tables_are_sorted_by_click_and_by_key(show, study):
    page = show(study)
    header = "document.querySelectorAll('#summary thead th')[5]"
    column = "[...document.querySelectorAll('#summary tbody tr')].map(r => +r.cells[5].textContent)"
    before = page.run(column)
    assert before != sorted(before)
    page.run(f"{header}.querySelector('button').click()")
    assert page.run(column) == sorted(before)
    assert page.run(f"{header}.ariaSort") == "ascending"
    page.run(f"{header}.querySelector('button').focus()")
    page.press("Enter")
    assert page.run(column) == sorted(before, reverse=True)
    assert page.run(f"{header}.ariaSort") == "descending"
    assert page.run("document.querySelectorAll('#summary [aria-sort]').length") == 1
    calm(page)


def test_everything_has_a_name_and_can_be_reached(show, seeds):
    page = show(seeds)
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.wait("document.querySelectorAll('#made tbody tr').length === 60")
    unnamed = (
        "[...document.querySelectorAll('button, select, input')]"
        ".filter(c => !(c.labels?.[0] ?? c).textContent.trim() && !c.ariaLabel).length"
    )
    assert page.run(unnamed) == 0
    assert page.run("[...document.querySelectorAll('table, .chart')].every(t => t.ariaLabel)")
    assert page.run("document.querySelector('.chart').tabIndex") == 0


def test_a_phone_scrolls_down_only(show, seeds):
    page = show(seeds, width=390, mobile=True)
    assert page.run("document.documentElement.scrollWidth") == 390
    assert page.run("document.querySelector('.scroll').scrollWidth") > 390
    calm(page)


def test_the_theme_follows_the_system_until_it_is_chosen(show, study):
    page = show(study)
    ink = "document.querySelector('.chart').layout.font.color"
    light = page.run(ink)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.send("Emulation.setEmulatedMedia", features=dark)
    page.wait(f"{ink} !== '{light}'")
    assert page.run("document.querySelector('#theme').ariaPressed") == "true"
    page.run("document.querySelector('#theme').click()")
    assert page.run(ink) == light
    page.send("Emulation.setEmulatedMedia", features=[])


def test_generated_results_are_marked_loudly(show, seeds):
    page = show(seeds)
    said = page.run("document.querySelector('#generated').innerText")
    assert "say nothing about real tasks" in said
    for place in ("h2 .badge", "#summary li .badge", "#task-0 .title"):
        assert GENERATED in page.run(f"document.querySelector('{place}').textContent")
    assert GENERATED.upper() in page.run("document.querySelector('.chart').textContent")


def test_hostile_text_is_shown_and_adds_no_element(show, hostile):
    opened = "document.querySelectorAll('details').forEach(d => { d.open = true; })"
    found = []
    for report in hostile:
        page = show(report)
        page.run(opened)
        page.wait("document.querySelectorAll('#made tbody tr').length")
        # how many examples were lost differs with the names of the runs
        names = "[...document.querySelectorAll('body *:not(.fragile *)')].map(n => n.tagName)"
        found.append(Counter(page.run(names)))
    assert found[0] == found[1]
    places = page.run("[...document.querySelectorAll('.task h2')].map(h => h.textContent)")
    for value in HOSTILE:
        number = places.index(one_line(value, 300))
        part = f"document.querySelector('#task-{number} {{}}').textContent"
        assert one_line(value, 100).rstrip("…") in page.run(part.format(".methods"))
        assert one_line(value, 300) in page.run(part.format(".facts"))
        assert one_line(f"0 {value}", 30).rstrip("…") in page.run(
            part.format(".chart[role=img] .ytick")
        )
        page.run(f"document.querySelector('#task-{number} .chart').focus()")
        page.press("ArrowRight")
        page.press("ArrowDown")
        page.wait(f"document.querySelector('#task-{number} .hovertext')")
        assert one_line(value, 30).rstrip("…") in page.run(part.format(".hovertext"))
    assert page.run("document.documentElement.scrollWidth") <= 1280
    calm(page)


@pytest.mark.parametrize("width", [390, 1280])
def test_score_against_latency_and_bytes_is_drawn(show, width):
    from .test_deployed import whole

    _, report, _ = whole(max_drop=10.0)
    page = show(report, width=width, mobile=width < 400)
    page.wait("document.querySelector('img.picture').complete")
    assert page.run("document.querySelector('img.picture').naturalWidth") > 400
    assert "against latency and bytes" in page.run("document.querySelector('img.picture').alt")
    assert page.run("document.documentElement.scrollWidth") <= width
    said = page.run("document.querySelector('#summary').textContent")
    assert all(choice.sentence in said for choice in report.chapters[0].choices)
    titles = page.run("[...document.querySelectorAll('h3')].map(h => h.textContent)")
    assert "Size and latency" in titles
    asked = [event["request"]["url"] for event in page.heard("Network.requestWillBeSent")]
    assert [url[:5] for url in asked if not url.startswith("data:image/")] == ["file:"]
    assert not page.heard("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")


def test_the_rows_of_a_long_comparison_are_folded_away(show):
    from .test_axes import several

    report = build(
        several([f"criterion-{number}" for number in range(5)], (0.5, 0.6, 0.7, 0.8, 0.9))
    )
    page = show(report)
    folded = "[...document.querySelectorAll('details')].find(d => d.textContent === '50 rows')"
    assert page.run(f"{folded}.querySelectorAll('tr').length") == 0
    page.run(f"window.found = {folded}; found.open = true")
    page.wait("found.querySelectorAll('tbody tr').length === 50")
    calm(page)
