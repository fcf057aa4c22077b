from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunecli import reporting
from prunecli.reporting.facts.results import GENERATED
from prunecli.reporting.shown import latex
from prunecli.reporting.shown.latex import escape, render_latex, table
from prunecli.reporting.shown.story import Items, Prose, report_story
from prunecli.reporting.tables.cells import TextTable
from prunecli.reporting.tables.layout import (
    NARROW,
    PAGE,
    SEPARATION,
    SIZES,
    column_groups,
    letter_width,
)
from prunecli.text.markup import one_line

from .fabricate import Fabricated
from .test_figures import HOSTILE, retitled

LATEX = [
    "\\input{/etc/passwd}",
    "\\end{document} \\end{longtable}",
    "}}}{{{ $$ %#&_ ^^M ^^5c ~",
    "[1em] * \\\\",
    "%",
    "-- --- ,, '' `` << >> ?` !`",
    "W" * 10_000,
    "ABC-" * 3000,
    "Ωμέγα ō ﬁ Ł é ß × − – — ≥ ≤ ± → √",
]
MACROS = {
    shown for letter, shown in latex._KNOWN.items() if len(shown) > 1 and not shown.startswith("{")
}
patient = settings(deadline=None)
compiles = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def built(workspace, **settings):
    return reporting.build(workspace.records, workspace.predictions, **settings)


@cache
def study():
    return built(Fabricated().study(), max_drop=2.5)


def compiled(text, folder):
    """The log of compiling twice, which must go through and leave a PDF."""
    (folder / "report.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error"]
    for _ in range(2):
        done = subprocess.run(
            [*command, "report.tex"], cwd=folder, capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    log = (folder / "report.log").read_text(encoding="utf-8", errors="replace")
    return log.replace("\n", "")


def document(blocks):
    body = "\n\n".join(map(latex._block, blocks))
    return f"{latex._PREAMBLE}\\begin{{document}}{body}\\end{{document}}"


# Text from outside


def undone(shown):
    """What an escaped text says, read without any of the tables that escaped it but their values.

    Fails where a letter that LaTeX takes for more than itself stands outside a known macro.
    """
    back = {value: letter for letter, value in latex._KNOWN.items() if len(value) > 1}
    back[r"\brk{}"] = ""
    macro = "|".join(re.escape(value) for value in sorted(back, key=len, reverse=True))
    plain = re.sub(macro, "", re.sub(r"(?<=[-,'])\{\}(?=[-,'])", "", shown))
    assert not set(plain) & set("\\{}$&#%_^~\n\r"), shown
    shown = re.sub(r"(?<=[-,'])\{\}(?=[-,'])", "", shown)
    return re.sub(macro, lambda found: back[found[0]], shown)


@patient
@given(st.text(max_size=400) | st.text(alphabet="\\{}$&#%_^~<>|\"`[]*-,' a\n", max_size=60))
def test_whatever_the_text_it_is_shown_and_not_read(text):
    line = one_line(text, 300)
    expected = "".join(letter if letter in latex._KNOWN else latex.UNKNOWN for letter in line)
    assert undone(escape(text)) == expected


@patient
@given(st.text(alphabet="abW.x/é- ", max_size=300), st.sampled_from([" -", " "]))
def test_lines_can_be_broken_before_they_are_wider_than_a_column(text, breaks):
    shown = escape(text, breaks=breaks).replace(r"\brk{}", "\0").replace("{}", "")
    for piece in re.split(f"[\0{breaks}]", shown):
        assert sum(map(letter_width, piece)) <= NARROW


def test_signs_that_fonts_would_join_stay_apart():
    assert escape("--levels") == "-{}-levels"
    assert escape("''' ,,") == "'{}'{}' ,{},"
    assert escape("a-b") == "a-b"


def test_common_signs_are_drawn_and_unknown_ones_marked():
    assert escape("2.00× −1.5 é") == r"2.00\texttimes{} \ensuremath{-}1.5 é"
    assert escape("数 🙂") == "? ?"
    assert escape("a\u202eb\x00c\nd") == "a b c d"


@cache
def _titled(title):
    return render_latex(built(retitled(Fabricated(examples=100).study("sst2"), title)))


@pytest.mark.parametrize("value", [*HOSTILE, *LATEX], ids=range(len(HOSTILE) + len(LATEX)))
def test_hostile_names_change_nothing_but_their_cells(value):
    found, expected = _titled(value), _titled("tame")

    def skeleton(text):
        known = r"\\(begin|end|item|section|caption|midrule|input|write|reportfigure)(?![a-z])"
        return [found[0] for found in re.finditer(known, text)]

    assert skeleton(found) == skeleton(expected)
    assert max(map(len, found.splitlines())) < 12_000


# The whole


def test_it_says_all_that_the_story_says():
    report = study()
    found = render_latex(report)
    for block in report_story(report):
        if isinstance(block, TextTable):
            assert escape(block.title) in found
            for row in block.rows:
                assert latex._row(row) in found or len(column_groups(block)) > 1
        elif isinstance(block, Items):
            assert all(escape(rest, 2000) in found for _, rest in block.entries)
    assert r"\reportfigure{figures/sst2.png}{SST-2: accuracy against sparsity}" in found
    assert r"\commandline{prune sweep -{}-task sst2 -{}-strategy global layerwise}" in found
    assert "15 runs" not in found
    assert "45 runs, made 2026-01-02, seeds 42" in found
    assert GENERATED not in found


def test_the_projects_own_words_keep_their_marks():
    shown = latex._block(Prose("- **Drop** is\n  a *loss*: `--x` – 5%\n- A second"))
    assert r"\item {}\textbf{Drop} is a \emph{loss}: \texttt{-{}-x} \textendash{} 5\%" in shown
    assert r"\item {}A second" in shown


def test_generated_results_are_marked():
    found = render_latex(built(Fabricated(generated=True).study("sst2")))
    assert f"What pruning cost ({GENERATED})" in found
    for caption in re.findall(r"\\caption\[\]\{(SST-2.*)\}\\\\", found):
        assert GENERATED in caption


def test_the_same_report_gives_the_same_text():
    assert render_latex(study()) == render_latex(study())


@compiles
def test_it_compiles_with_its_figures_and_nothing_runs_off_the_page(tmp_path):
    report = study()
    reporting.write(report, tmp_path, [])
    log = compiled(render_latex(report), tmp_path)
    assert "figures/sst2.png" in log
    assert "Overfull" not in log
    assert "undefined" not in log


@compiles
def test_it_compiles_alone(tmp_path):
    log = compiled(render_latex(built(Fabricated(generated=True).study("sst2"))), tmp_path)
    assert "Overfull" not in log


@compiles
def test_hostile_texts_compile_everywhere(tmp_path):
    texts = (*HOSTILE, *LATEX, "".join(latex._KNOWN))
    workspace = Fabricated(examples=100).study("sst2")
    report = built(retitled(workspace, "".join(text[:100] for text in texts)))
    square = TextTable("".join(texts)[:200], texts, (texts, texts[::-1]), texts[0], text_columns=3)
    whole = render_latex(report).partition(r"\end{document}")[0] + table(square)
    log = compiled(whole + r"\end{document}", tmp_path)
    assert "Overfull \\hbox" not in log


@compiles
def test_long_wide_and_empty_tables_compile(tmp_path):
    wide = TextTable(
        "wide",
        ("Method", *(f"class {n}" for n in range(77))),
        (("global", *("91.30 → 88.20",) * 77),) * 3,
    )
    long = TextTable("long", ("A", "B"), tuple((f"{n}", "x") for n in range(300)))
    empty = [TextTable("", ("A",), (), "note"), TextTable("empty", ("A", "B"), ()), Items(())]
    log = compiled(document([wide, long, *empty]), tmp_path)
    assert "Overfull" not in log
    assert int(re.search(r"Output written on report.pdf \((\d+) page", log)[1]) > 5


# Columns

cell = st.text(alphabet="aW5 .±-", max_size=60)


@patient
@given(st.data())
def test_every_part_fits_the_page_and_none_is_lost(data):
    count = data.draw(st.integers(1, 40))
    rows = data.draw(st.lists(st.tuples(*[cell] * count), max_size=3))
    leading = data.draw(st.integers(0, min(3, count)))
    headings = data.draw(st.tuples(*[cell] * count))
    parts = column_groups(TextTable("t", headings, tuple(rows), text_columns=leading))
    again = max(leading, 1)
    assert [place for part in parts for place in part.places[again:]] == list(range(again, count))
    for part in parts:
        assert part.places[:again] == tuple(range(again))
        assert part.left == tuple(place < leading for place in part.places)
        taken = sum(part.widths) * SIZES[part.size] + SEPARATION * (len(part.widths) - 1)
        assert taken <= PAGE + 1e-6


def test_a_narrow_table_keeps_the_widths_it_wants():
    (part,) = column_groups(TextTable("t", ("Sparsity", "Drop"), (("50%", "1.20"),)))
    assert part.size == "small"
    assert sum(part.widths) < 10


def test_only_wide_columns_give_way():
    (part,) = column_groups(TextTable("t", ("Method", "Drop"), (("a method " * 30, "1.20"),)))
    assert part.size == "small"
    assert part.widths[1] == pytest.approx(
        column_groups(TextTable("t", ("Drop",), (("1.20",),)))[0].widths[0]
    )
    assert part.widths[0] > 40
