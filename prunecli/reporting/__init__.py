"""Tables, figures and whole reports from finished runs; no model is ever loaded here."""

from prunecli.reporting.comparison import BY, Comparison
from prunecli.reporting.formats import FORMATS
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

__all__ = [
    "BY",
    "FORMATS",
    "Comparison",
    "Report",
    "Table",
    "build",
    "compare",
    "comparison_tables",
    "render",
    "render_comparison",
    "results_table",
    "summary_table",
    "write",
    "write_comparison",
]
