"""Tables, figures and whole reports from finished runs; no model is ever loaded here."""

from prunecli.reporting.facts.results import Table
from prunecli.reporting.figures.curve import save
from prunecli.reporting.figures.tradeoff import bench_figure
from prunecli.reporting.report import (
    Report,
    build,
    compare,
    render,
    write,
    write_comparison,
)
from prunecli.reporting.shown.csv import render_csv
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.shown.html import render_html
from prunecli.reporting.shown.json import comparison_document, document, render_json
from prunecli.reporting.shown.latex import render_latex
from prunecli.reporting.shown.markdown import render_comparison
from prunecli.reporting.tables.section import comparison_tables, results_table, summary_table
from prunecli.reporting.verdicts.comparison import BY, Comparison
from prunecli.reporting.verdicts.expectations import broken, could_show, parse_expectation

__all__ = [
    "BY",
    "FORMATS",
    "Comparison",
    "Report",
    "Table",
    "bench_figure",
    "broken",
    "build",
    "compare",
    "comparison_document",
    "comparison_tables",
    "could_show",
    "document",
    "parse_expectation",
    "render",
    "render_comparison",
    "render_csv",
    "render_html",
    "render_json",
    "render_latex",
    "results_table",
    "save",
    "summary_table",
    "write",
    "write_comparison",
]
