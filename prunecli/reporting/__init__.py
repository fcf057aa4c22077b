"""Tables, figures and whole reports from finished runs; no model is ever loaded here."""

from prunecli.reporting.comparison import BY, Comparison
from prunecli.reporting.csvfile import render_csv
from prunecli.reporting.expect import broken, could_show, parse_expectation
from prunecli.reporting.figures import save
from prunecli.reporting.formats import FORMATS
from prunecli.reporting.html import render_html
from prunecli.reporting.jsonfile import comparison_document, document, render_json
from prunecli.reporting.latex import render_latex
from prunecli.reporting.markdown import render_comparison
from prunecli.reporting.report import (
    Report,
    build,
    compare,
    render,
    write,
    write_comparison,
)
from prunecli.reporting.results import Table
from prunecli.reporting.tables import comparison_tables, results_table, summary_table
from prunecli.reporting.tradeoff import bench_figure

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
