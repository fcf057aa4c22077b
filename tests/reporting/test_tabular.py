"""Tables and figures for papers: plain tabulars by booktabs, and PDF as wide as a column."""

from __future__ import annotations

import re

import pytest

from prunecli import reporting
from prunecli.reporting.figures.curve import curve_figure
from prunecli.reporting.figures.printed import printed
from prunecli.reporting.shown.tabular import plain, tabular
from prunecli.reporting.tables.cells import TextTable

from .fabricate import Fabricated

COMMANDS = {
    *("begin", "end", "toprule", "midrule", "bottomrule", "ensuremath", "times", "div", "pm"),
    *("geq", "leq", "neq", "approx", "rightarrow", "leftarrow", "surd", "infty", "cdot", "bullet"),
    *("ldots", "S", "copyright", "textsuperscript", "textbackslash", "textasciicircum"),
    *("textasciitilde", "textless", "textgreater", "textbar"),
}
"""Of LaTeX itself and of booktabs, in any font encoding."""
HOSTILE = [
    "\\input{/etc/passwd} \\end{tabular}",
    "}}}{{{ $$ %#&_ ^^M ~ \\\\ [1em] *",
    "\"quoted\" `code` -- --- ,, '' << >>",
    "Ωμέγα ō ﬁ Ł é ß × − – — ≥ ± → √ ² 数据 🙂 ą þ",
    "a\nb\x00c",
    "",
]


def checked(text: str) -> list[list[str]]:
    """The rows of a file that LaTeX takes: balanced, one tabular, every row of as many cells."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert all(line.startswith("%") for line in text[: text.index("\\begin{tabular}")].splitlines())
    begin, *rows, end = lines
    columns = re.fullmatch(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}", begin)
    assert columns is not None
    assert end == "\\end{tabular}"
    assert [rows[0], rows[2], rows[-1]] == ["\\toprule", "\\midrule", "\\bottomrule"]
    cells = []
    for row in (rows[1], *rows[3:-1]):
        assert row.endswith(r" \\")
        body = row.removesuffix(r" \\")
        cells.append(re.split(r"(?<!\\)&", body))
        assert len(cells[-1]) == len(columns[1])
        for cell in cells[-1]:
            safe(cell)
    return cells


def safe(text: str) -> None:
    """Nothing but known commands, escaped signs and braces that are balanced."""
    bare = re.sub(r"\\[{}$&#%_]", "", text)
    bare = bare.replace(r"\`{}", "")
    assert set(re.findall(r"\\([A-Za-z]+)", bare)) <= COMMANDS
    assert not re.search(r"\\(?![A-Za-z])", bare)
    assert not set(bare) & set("$&#%_^~")
    depth = 0
    for letter in bare:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0


@pytest.mark.parametrize("value", HOSTILE)
def test_nothing_from_outside_reaches_latex(value: str) -> None:
    safe(plain(value))
    found = TextTable(value, ("A", value), ((value, "1"), ("x", value)), value)
    assert len(checked(tabular(found))) == 3


def test_letters_and_signs() -> None:
    assert plain("50% × 2 ± 1") == r"50\% \ensuremath{\times} 2 \ensuremath{\pm} 1"
    assert plain("a–b — c…") == r"a--b --- c\ldots{}"
    assert plain("-- ''") == "-{}- '{}'"
    assert plain("é ą 数 ß ō") == "é ? ? ß ō"
    assert plain("1.23 ¹") == r"1.23 \textsuperscript{1}"


def test_a_small_table_whole() -> None:
    found = TextTable("SST-2", ("Method", "50%"), (("global", "88.1"),), "Accuracy.")
    assert tabular(found) == (
        "% SST-2\n% Accuracy.\n% fits one column in \\small; \\usepackage{booktabs}\n"
        "\\begin{tabular}{@{}lr@{}}\n\\toprule\nMethod & 50\\% \\\\\n\\midrule\n"
        "global & 88.1 \\\\\n\\bottomrule\n\\end{tabular}\n"
    )


def test_where_a_table_has_room_goes_by_its_width() -> None:
    def fits(columns: int) -> str:
        row = tuple("12.34" for _ in range(columns))
        return tabular(TextTable("", row, (row,))).partition(";")[0]

    assert fits(4) == "% fits one column in \\small"
    assert fits(12).startswith("% needs table*")
    assert fits(60) == "% wider than a page: leave columns out"


def test_every_table_and_figure_of_a_report_and_of_a_comparison(tmp_path) -> None:
    made = Fabricated(examples=100)
    dense = made.baseline()
    for strategy in ("global", "layerwise"):
        made.pruned(dense, 0.5, 85.0, strategy)
    report = reporting.build(made.records, made.predictions)
    written = reporting.write(report, tmp_path, ["latex"])
    tables = {path.stem: path.read_text() for path in written if path.parent.name == "tables"}
    assert {"summary", "sst2-levels", "sst2-method", "sst2-method-2"} <= set(tables)
    for text in tables.values():
        checked(text)
    assert [path.name for path in written if path.suffix == ".pdf"] == ["sst2.pdf"]
    comparison = reporting.compare(made.records, made.predictions)
    written = reporting.write_comparison(comparison, tmp_path, ["latex"])
    names = {path.name for path in written if path.suffix in (".tex", ".pdf")}
    assert names == {"compare-strategy.tex", "compare-strategy-sst2.pdf"}
    assert not [
        path
        for path in reporting.write_comparison(comparison, tmp_path / "md")
        if path.suffix in (".tex", ".pdf")
    ]


@pytest.mark.parametrize("generated", [False, True])
def test_a_printed_figure_is_a_column_wide_and_has_no_title(generated: bool) -> None:
    made = Fabricated(examples=100, generated=generated)
    made.pruned(made.baseline(), 0.5, 85.0)
    (chapter,) = reporting.build(made.records, made.predictions).chapters
    figure = curve_figure(chapter)
    drawn = printed(figure, generated=generated)
    assert drawn.startswith(b"%PDF")
    width = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", drawn)
    assert width is not None
    assert 3.25 <= float(width[1]) / 72 <= 3.5
    titles = [figure.axes[0].get_title(loc=place) for place in ("left", "center", "right")]
    assert titles == ["", "", "generated data" if generated else ""]
