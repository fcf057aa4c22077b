"""A report as one HTML file that needs nothing else, not even a network."""

from prunecli.reporting.shown.html.page import render_html

__all__ = ["render_html"]
