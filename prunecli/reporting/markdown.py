"""A report as Markdown that GitHub renders."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prunecli.records import RunRecord
from prunecli.reporting.comparison import Comparison
from prunecli.reporting.formats import FORMATS
from prunecli.reporting.recommend import Recommendation
from prunecli.reporting.report import FIGURES, Report, comparison_figures
from prunecli.reporting.results import GENERATED, METRIC_TITLES, Section, Table
from prunecli.reporting.tables import (
    baseline_table,
    comparison_table,
    comparison_tables,
    levels_table,
    results_table,
    seconds_table,
    summary_table,
)
from prunecli.reporting.text import one_line

_ESCAPES = (
    {letter: f"\\{letter}" for letter in "\\`*_[]|~"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}  # a dollar begins mathematics
)
_LONGEST = 300
_LONGEST_COMMAND = 4000
_MOST_COMMANDS = 30

HOW_TO_READ = """\
- **Sparsity** is the fraction of exact zeros among the prunable weights: the weight matrices of the
  encoder's linear layers. Embeddings, LayerNorms, biases and the classifier stay dense.
- **Drop** is baseline minus pruned, in percentage points, each run against its own baseline.
- **Compression** is the nominal 1 / (1 − sparsity) of the prunable weights; **Model** is all
  parameters over non-zero parameters. Neither is the size of a file or a speed-up.
- **95% interval**: Wilson's for the accuracy of one seed, a bootstrap over examples (and seeds)
  otherwise. It says how far the number could move with other examples of the same kind.
- A **winner** is named only where the paired test, corrected by Holm, and the interval of the
  difference both say so; everything else is *not distinguishable*."""


@FORMATS.register("md")
def render_markdown(report: Report) -> str:
    """The whole report; figures are linked relative to the folder it is written to."""
    generated = [section.generated for section in report.sections]
    mark = f" ({GENERATED})" if generated and all(generated) else ""
    parts = [f"# What pruning cost{mark}"]
    if not report.sections:
        return "\n\n".join([*parts, "There are no finished runs to report on."]) + "\n"
    if any(generated) and not mark:
        parts.append(f"Sections marked “{GENERATED}” say nothing about real tasks.")
    elif mark:
        parts.append("All results here are on generated data: they say nothing about real tasks.")
    runs = [run for section in report.sections for run in section.runs]
    parts += [
        f"## Summary{mark}",
        table(summary_table(report.sections, report.max_drop), titled=False),
        "\n".join(
            f"- **{text(section.marked(section.title))}.** {text(found.sentence)}"
            + (f" This is the one with {text(section.distinction)}." if section.distinction else "")
            for section, found in zip(report.sections, report.recommendations, strict=True)
        ),
    ]
    entries = zip(report.sections, report.recommendations, report.figure_names(), strict=True)
    for section, found, figure in entries:
        parts += _section(section, found, figure, report.comparison)
    parts += ["## How to read this", HOW_TO_READ, "## How it was made", *_provenance(runs)]
    return _join(parts)


def render_comparison(comparison: Comparison) -> str:
    """A comparison on its own, with its figures."""
    parts = [f"# Compared by {text(comparison.by)}"]
    if not comparison.rows:
        parts.append("There are no two finished runs that differ in this alone.")
        return _join(parts)
    entries = zip(
        comparison.sections,
        comparison_tables(comparison),
        comparison_figures(comparison),
        strict=True,
    )
    for section, found, figure in entries:
        parts += [
            f"## {text(section.marked(section.title))}",
            _facts(section),
            table(found),
            _image(section, "difference against sparsity", figure),
        ]
    runs = {run.name: run for section in comparison.sections for run in section.runs}
    parts += ["## How it was made", *_provenance(list(runs.values()))]
    return _join(parts)


def text(value: str, limit: int = _LONGEST) -> str:
    """``value`` as one line that Markdown and HTML show as it is, at most ``limit`` long."""
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in one_line(value, limit))
    # an address is shown, not linked
    return escaped.replace("://", "&#58;//").replace("www.", "www&#46;")


def table(found: Table, *, titled: bool = True) -> str:
    """A table with its title above, unless a heading says it already, and its note below."""
    from tabulate import tabulate

    split = found.text_columns
    align = ["left" if place < split else "right" for place in range(len(found.columns))]
    body = tabulate(
        [[text(cell) for cell in row] for row in found.rows],
        headers=[text(column) for column in found.columns],
        tablefmt="pipe",
        colalign=align if found.rows else None,
        disable_numparse=True,
    )
    title = f"**{text(found.title)}**" if titled else ""
    return "\n\n".join(filter(None, [title, body, text(found.note, 2000)]))


def code(lines: Sequence[str]) -> str:
    """A code block that nothing in ``lines`` can end."""
    body = "\n".join(one_line(line, _LONGEST_COMMAND) for line in lines)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{body}\n{fence}"


def _section(
    section: Section, found: Recommendation, figure: str | None, comparison: Comparison
) -> list[str]:
    parts = [f"## {text(section.marked(section.title))}", _facts(section)]
    if section.baselines:
        parts.append(table(baseline_table(section)))
    else:
        parts.append(
            "The baseline these runs were pruned from is not in the workspace or was not "
            "scored alike, so no drop can be given."
        )
    if len(section.curves) > 1:
        parts.append(table(levels_table(section)))
    parts += [
        table(results_table(section, curve, split))
        for curve in section.curves
        for split in section.splits
    ]
    if section.curves:
        parts.append(text(found.sentence))
    if figure is not None:
        metric = METRIC_TITLES.get(section.metric, section.metric).lower()
        parts.append(_image(section, f"{metric} against sparsity", figure))
    rows = comparison.of(section)
    if rows:
        parts.append(table(comparison_table(section, rows)))
    if section.curves:
        parts.append(table(seconds_table(section)))
    return parts


def _facts(section: Section) -> str:
    return "\n".join(f"- {text(key)}: {text(value)}" for key, value in section.facts.items())


def _image(section: Section, what: str, name: str) -> str:
    alt = text(section.marked(f"{section.title}: {what}"))
    return f"![{alt}]({FIGURES}/{name}.png)\n\n[As SVG]({FIGURES}/{name}.svg)"


def _provenance(runs: Sequence[RunRecord]) -> list[str]:
    machines: dict[str, int] = {}
    for run in runs:
        machine = run.machine
        versions = ", ".join(f"{name} {value}" for name, value in sorted(machine.versions.items()))
        line = (
            f"{machine.system}; {machine.processor}; {machine.cores} cores, "
            f"{machine.threads} threads, {machine.memory_gib:.1f} GiB; {machine.device}; {versions}"
        )
        machines[line] = machines.get(line, 0) + 1
    seeds = sorted({run.spec.seed for run in runs})
    days = sorted({run.created.date().isoformat() for run in runs})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    facts = [f"- {len(runs)} runs, made {when}, seeds {', '.join(map(str, seeds))}"]
    facts += [f"- Machine of {count} runs: {text(line, 1000)}" for line, count in machines.items()]
    ordered = sorted(runs, key=lambda run: run.created)
    commands = list(dict.fromkeys(run.command for run in ordered))
    shown = commands[:_MOST_COMMANDS]
    if len(commands) > len(shown):
        shown.append(f"# and {len(commands) - len(shown)} more; each run's record has its own")
    return ["\n".join(facts), code(shown)]


def _join(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"
