"""A report as a LaTeX document that pdflatex compiles, with tables by booktabs.

Nothing from outside reaches LaTeX but through `escape`, which leaves neither a command nor a letter
that pdflatex does not know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prunecli.reporting.figures.names import FIGURES
from prunecli.reporting.report import Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.shown.story import (
    LONGEST_SENTENCE,
    Block,
    Code,
    Heading,
    Items,
    Paragraph,
    Picture,
    Prose,
    report_story,
)
from prunecli.reporting.tables.cells import TextTable
from prunecli.reporting.tables.layout import (
    NARROW,
    ColumnGroup,
    column_groups,
    letter_width,
)
from prunecli.text.markup import one_line

_LONGEST = 300
_LONGEST_COMMAND = 4000
_UNBROKEN = 0.9 * NARROW
"""Em that letters may take without a place to break the line."""
_BREAK = "\0"
"""Stands for such a place until all is escaped; `one_line` lets none from outside through."""
_UNPARTED, _AROUND = 12, 6
"""Rows up to which a table stays on one page, and lines for what is above and below them."""
UNKNOWN = "?"
"""What stands for a letter that the fonts do not have."""

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after a line's end it would begin an argument
    "]": "{]}",
    "*": "{*}",
}
_SIGNS = {
    "×": r"\texttimes{}",
    "÷": r"\textdiv{}",
    "±": r"\textpm{}",
    "−": r"\ensuremath{-}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "≠": r"\ensuremath{\neq}",
    "≈": r"\ensuremath{\approx}",
    "→": r"\textrightarrow{}",
    "←": r"\textleftarrow{}",
    "√": r"\ensuremath{\surd}",
    "∞": r"\ensuremath{\infty}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\textellipsis{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "„": r"\quotedblbase{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "«": r"\guillemotleft{}",
    "»": r"\guillemotright{}",
    "•": r"\textbullet{}",
    "·": r"\textperiodcentered{}",
    "°": r"\textdegree{}",
    "µ": r"\textmu{}",
    "€": r"\texteuro{}",
    "§": r"\textsection{}",
    "©": r"\textcopyright{}",
    "®": r"\textregistered{}",
    "™": r"\texttrademark{}",
    "¹": r"\textonesuperior{}",
    "²": r"\texttwosuperior{}",
    "³": r"\textthreesuperior{}",
    "½": r"\textonehalf{}",
    "⁰": r"\textsuperscript{0}",
    "⁴": r"\textsuperscript{4}",
    "⁵": r"\textsuperscript{5}",
    "⁶": r"\textsuperscript{6}",
    "⁷": r"\textsuperscript{7}",
    "⁸": r"\textsuperscript{8}",
    "⁹": r"\textsuperscript{9}",
}
_LETTERS = (
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ"
    "ĂăĄąĆćČčĎďĐđĘęĚěĞğİıĹĺĽľŁłŃńŇňŊŋŐőŒœŔŕŘřŚśŞşŠšŢţŤťŮůŰűŸŹźŻżŽž"
)
"""Letters outside ASCII that fonts in the T1 encoding have."""
_KNOWN = (
    {chr(code): chr(code) for code in range(32, 127)}
    | {letter: letter for letter in _LETTERS}
    | SPECIAL
    | _SIGNS
    | {_BREAK: r"\brk{}"}
)

_PREAMBLE = r"""% Compile twice, so that the columns of long tables are set: pdflatex report.tex
\documentclass[10pt]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{array,booktabs,longtable,graphicx}
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.6\baselineskip}
\setlength{\tabcolsep}{4pt}
\setlength{\LTcapwidth}{\linewidth}
\setlength{\LTpre}{\bigskipamount}
\setlength{\LTpost}{\smallskipamount}
\setlength{\emergencystretch}{10em}
\pagestyle{plain}
% a place where a long word may be broken
\newcommand{\brk}{\penalty1000\relax}
% a new page unless so many more lines fit on this one
\newcommand{\needlines}[1]{\par\begingroup\dimen0=#1\baselineskip
  \vskip0pt plus\dimen0\penalty-100\vskip0pt plus-\dimen0
  \vskip\dimen0\penalty9999\vskip-\dimen0\endgroup}
% columns of a width, set left and right
\newcolumntype{L}[1]{>{\raggedright\arraybackslash\hspace{0pt}}p{#1}}
\newcolumntype{R}[1]{>{\raggedleft\arraybackslash\hspace{0pt}}p{#1}}
% a figure in its place: file, caption
\makeatletter
\newcommand{\reportfigure}[2]{\par\begin{minipage}{\linewidth}\centering
  \IfFileExists{#1}{\includegraphics[width=0.8\linewidth]{#1}}{\fbox{\strut no figure}}
  \def\@captype{figure}\caption[]{#2}\end{minipage}\par}
\makeatother
% a command line
\newcommand{\commandline}[1]{{\ttfamily\footnotesize\raggedright\hangindent=2em #1\par}}
"""


@FORMATS.register("latex")
def render_latex(report: Report) -> str:
    """The whole report as one document; figures are found relative to its folder."""
    body = "\n\n".join(_block(block) for block in report_story(report))
    return f"{_PREAMBLE}\\begin{{document}}\n\n{body}\n\n\\end{{document}}\n"


def escape(value: str, limit: int = _LONGEST, *, breaks: str = " -") -> str:
    """``value`` as one line that LaTeX shows as it is, at most ``limit`` long.

    A letter that pdflatex's fonts do not have is shown as ``?``. Where too many follow without one
    of ``breaks``, at which LaTeX breaks lines by itself, it is given a place to.
    """
    return _escaped(_breakable(one_line(value, limit), breaks))


def _escaped(text: str) -> str:
    shown = "".join(_KNOWN.get(letter, UNKNOWN) for letter in text)
    # two of these would be drawn as one sign
    return re.sub(r"([-,'])(?=\1)", r"\1{}", shown)


def _breakable(text: str, breaks: str) -> str:
    pieces, run = [], 0.0
    for letter in text:
        width = letter_width(letter)
        if letter in breaks:
            run = 0.0
        elif run + width > _UNBROKEN:
            pieces.append(_BREAK)
            run = width
        else:
            run += width
        pieces.append(letter)
    return "".join(pieces)


def table(found: TextTable) -> str:
    """A table that may go over pages, its title above and its note below.

    One too wide for the page stands in several parts, each with the leading columns.
    """
    parts = column_groups(found)
    shown = [_part(found, part, number, len(parts)) for number, part in enumerate(parts, 1)]
    if found.note:
        shown.append(f"{{\\small {escape(found.note, LONGEST_SENTENCE)}\\par}}")
    return "\n\n".join(shown)


def _part(found: TextTable, part: ColumnGroup, number: int, count: int) -> str:
    title = escape(found.title)
    if count > 1:
        title += f" (part {number} of {count})"
    # without a title it takes no number either
    before = "" if title else "\\addtocounter{table}{-1}"
    lines = [
        f"\\needlines{{{min(len(found.rows), _UNPARTED) + _AROUND}}}",
        f"{{\\{part.size}{before}",
        f"\\begin{{longtable}}{{@{{}}{_columns(part)}@{{}}}}",
        *([f"\\caption[]{{{title}}}\\\\"] if title else []),
        "\\toprule",
        _row([found.columns[place] for place in part.places]),
        "\\midrule",
        "\\endhead",
        "\\bottomrule",
        "\\endfoot",
        *(_row([row[place] for place in part.places]) for row in found.rows),
        "\\end{longtable}",
        "}",
    ]
    return "\n".join(lines)


def _columns(part: ColumnGroup) -> str:
    return "".join(
        f"{'L' if left else 'R'}{{{width:.2f}em}}"
        for width, left in zip(part.widths, part.left, strict=True)
    )


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escape(cell) for cell in cells) + r" \\"


def _block(block: Block) -> str:
    if isinstance(block, TextTable):
        return table(block)
    if isinstance(block, Heading):
        return _heading(block)
    if isinstance(block, Paragraph):
        words = escape(block.text, LONGEST_SENTENCE)
        return f"\\textbf{{{words}}}" if block.strong else words
    if isinstance(block, Items):
        return _list([_item(*entry) for entry in block.entries])
    if isinstance(block, Prose):
        return _list([_prose(item) for item in block.items])
    if isinstance(block, Picture):
        return f"\\reportfigure{{{FIGURES}/{block.name}.png}}{{{escape(block.caption)}}}"
    return _commands(block)


def _heading(block: Heading) -> str:
    if block.level == 1:
        return f"\\begin{{center}}\\LARGE\\bfseries {escape(block.text)}\\par\\end{{center}}"
    return f"\\section*{{{escape(block.text)}}}"


def _item(strong: str, rest: str) -> str:
    words = escape(rest, LONGEST_SENTENCE)
    return f"\\textbf{{{escape(strong)}}} {words}" if strong else words


def _list(items: Sequence[str]) -> str:
    if not items:
        return ""
    lines = "\n".join(f"\\item {{}}{item}" for item in items)
    return f"\\begin{{itemize}}\\setlength{{\\itemsep}}{{0pt}}\n{lines}\n\\end{{itemize}}"


def _prose(pieces: Sequence[tuple[str, str]]) -> str:
    commands = {"**": "textbf", "*": "emph", "`": "texttt"}
    return "".join(
        f"\\{commands[mark]}{{{_escaped(words)}}}" if mark else _escaped(words)
        for mark, words in pieces
    )


def _commands(block: Code) -> str:
    lines = (escape(line, _LONGEST_COMMAND, breaks=" ") for line in block.lines)
    return "\n\n".join(f"\\commandline{{{_upright(line)}}}" for line in lines)


def _upright(line: str) -> str:
    """Quotation marks as the shell takes them."""
    return line.replace("'", r"\textquotesingle{}")
