"""Tables for a paper: each a plain ``tabular`` by booktabs, which a two-column article can take in.

They need no package but booktabs and no font encoding but LaTeX's own: what `escape` of the whole
report leaves to textcomp and T1 is here said with commands of the kernel. Title and note stand in
comments, for the caption.
"""

from __future__ import annotations

import unicodedata

from prunecli.reporting.report import Report
from prunecli.reporting.shown.latex import SPECIAL, UNKNOWN
from prunecli.reporting.tables.cells import TextTable
from prunecli.reporting.tables.comparison import comparison_tables
from prunecli.reporting.tables.contents import results_tables, section_tables
from prunecli.reporting.tables.deployed import deployed_table
from prunecli.reporting.tables.layout import SIZES, natural_width
from prunecli.reporting.tables.summary import summary_table
from prunecli.reporting.verdicts.comparison import Comparison
from prunecli.text.filenames import file_stem, unique
from prunecli.text.markup import one_line

TABLES = "tables"
"""Folder of the tables, beside the report."""
COLUMN, WIDE = 252.0, 516.0
"""Points of one column of a two-column article on letter paper, and of both."""
_SEPARATION = 12.0
"""Points between two columns of a table, as LaTeX has it."""
_LONGEST, _LONGEST_NOTE = 300, 2000
_PLAIN = {
    '"': "''",
    "`": r"\`{}",
    "×": r"\ensuremath{\times}",
    "÷": r"\ensuremath{\div}",
    "±": r"\ensuremath{\pm}",
    "−": r"\ensuremath{-}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "≠": r"\ensuremath{\neq}",
    "≈": r"\ensuremath{\approx}",
    "→": r"\ensuremath{\rightarrow}",
    "←": r"\ensuremath{\leftarrow}",
    "√": r"\ensuremath{\surd}",
    "∞": r"\ensuremath{\infty}",
    "·": r"\ensuremath{\cdot}",
    "•": r"\ensuremath{\bullet}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "§": r"\S{}",
    "©": r"\copyright{}",
    **{sign: rf"\textsuperscript{{{digit}}}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}
_WHOLE = "ßÆæØøŁłŒœı"
"""Letters outside ASCII that fonts in LaTeX's own encoding have."""
_ACCENTS = {
    unicodedata.lookup(f"COMBINING {name}")
    for name in (
        "GRAVE ACCENT",
        "ACUTE ACCENT",
        "CIRCUMFLEX ACCENT",
        "TILDE",
        "DIAERESIS",
        "RING ABOVE",
        "CARON",
        "BREVE",
        "MACRON",
        "DOT ABOVE",
        "DOUBLE ACUTE ACCENT",
        "CEDILLA",
    )
}
"""What they can set above or below any other."""


def further_files(report: Report) -> dict[str, str]:
    """Text by file name of every table of ``report``, in folder `TABLES`."""
    taken: set[str] = set()
    summary = summary_table(report.chapters)
    found = [("summary", summary)] if summary.rows else []
    for chapter in report.chapters:
        section = chapter.section
        stem = file_stem(section.family.task)
        tables = section_tables(section, report.comparisons)
        found += [(f"{stem}-{name}", table) for name, table in tables.items()]
        found += [(f"{stem}-method", table) for table in results_tables(section)]
        if chapter.deployed is not None:
            found.append((f"{stem}-deployed", deployed_table(section, chapter.deployed)))
    return {f"{TABLES}/{unique(name, taken)}.tex": tabular(table) for name, table in found}


def comparison_files(comparison: Comparison) -> dict[str, str]:
    """The same of one comparison, a table for each section."""
    taken: set[str] = set()
    return {
        f"{TABLES}/{unique(f'compare-{comparison.by.name}', taken)}.tex": tabular(table)
        for table in comparison_tables(comparison)
    }


def tabular(found: TextTable) -> str:
    """One table as it is put into a ``table`` or ``table*`` with a caption."""
    columns = "l" * found.text_columns + "r" * (len(found.columns) - found.text_columns)
    lines = [
        *(f"% {one_line(line, _LONGEST_NOTE)}" for line in (found.title, found.note) if line),
        f"% {_fits(found)}; \\usepackage{{booktabs}}",
        f"\\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        "\\toprule",
        _row(found.columns),
        "\\midrule",
        *map(_row, found.rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def plain(value: str) -> str:
    """``value`` on one line as LaTeX shows it without packages; an unknown letter is ``?``."""
    line = one_line(value, _LONGEST)
    # two of these would be drawn as one sign
    apart = ("{}" * (a == b and a in "-,'") for a, b in zip(f" {line}", line, strict=False))
    return "".join(gap + _letter(letter) for gap, letter in zip(apart, line, strict=True))


def _letter(letter: str) -> str:
    if letter in _PLAIN:
        return _PLAIN[letter]
    if letter in SPECIAL:
        return SPECIAL[letter]
    if letter.isascii() or letter in _WHOLE:
        return letter
    apart = unicodedata.normalize("NFD", letter)
    known = apart[0].isascii() and len(apart) == 2 and apart[1] in _ACCENTS
    return letter if known else UNKNOWN


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(map(plain, cells)) + r" \\"


def _fits(found: TextTable) -> str:
    """Where it has room, and in what size of letters; a guess by the widths of letters."""
    between = _SEPARATION * (len(found.columns) - 1)
    for width, where in ((COLUMN, "fits one column"), (WIDE, "needs table*")):
        for size, em in SIZES.items():
            if natural_width(found) * em + between <= width:
                return f"{where} in \\{size}"
    return "wider than a page: leave columns out"
