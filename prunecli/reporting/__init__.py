"""Tables, figures and whole reports from finished runs; no model is ever loaded here."""

from prunecli.reporting.figures.tradeoff import bench_figure
from prunecli.reporting.report import Chapter, Report, build, compare
from prunecli.reporting.shown.csv import render_csv
from prunecli.reporting.shown.formats import FORMATS, file_name
from prunecli.reporting.shown.html import render_html
from prunecli.reporting.shown.json import comparison_document, document, render_json
from prunecli.reporting.shown.junit import junit
from prunecli.reporting.shown.latex import render_latex
from prunecli.reporting.shown.markdown import render_comparison
from prunecli.reporting.shown.points import point_gates
from prunecli.reporting.shown.summary import result_summary
from prunecli.reporting.shown.tabular import tabular
from prunecli.reporting.tables.cells import TextTable
from prunecli.reporting.tables.comparison import comparison_tables
from prunecli.reporting.tables.section import results_table
from prunecli.reporting.tables.summary import summary_table
from prunecli.reporting.verdicts.comparison import BY, Comparison
from prunecli.reporting.verdicts.expectations import broken, could_show, held, parse_expectation
from prunecli.reporting.writing import render, save, write, write_comparison

__all__ = [
    "BY",
    "FORMATS",
    "Chapter",
    "Comparison",
    "Report",
    "TextTable",
    "bench_figure",
    "broken",
    "build",
    "compare",
    "comparison_document",
    "comparison_tables",
    "could_show",
    "document",
    "file_name",
    "held",
    "junit",
    "parse_expectation",
    "point_gates",
    "render",
    "render_comparison",
    "render_csv",
    "render_html",
    "render_json",
    "render_latex",
    "result_summary",
    "results_table",
    "save",
    "summary_table",
    "tabular",
    "write",
    "write_comparison",
]
