"""What a report says and in which order, as blocks that every writer of documents can show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.records.runs import RunRecord
from prunecli.reporting.facts.deployed import Deployed
from prunecli.reporting.facts.results import GENERATED, METRIC_TITLES, Section
from prunecli.reporting.figures.names import matrix_name, named_sections
from prunecli.reporting.report import Chapter, Report
from prunecli.reporting.tables.cells import TextTable
from prunecli.reporting.tables.comparison import comparison_table
from prunecli.reporting.tables.contents import COMPARISON, results_tables, section_tables
from prunecli.reporting.tables.deployed import deployed_table
from prunecli.reporting.tables.summary import summary_table
from prunecli.reporting.verdicts.comparison import Comparison
from prunecli.reporting.verdicts.phases import rule
from prunecli.text.markup import one_line
from prunecli.text.places import without_places

LONGEST_SENTENCE = 2000
_LONGEST_FACT = 300
_LONGEST_MACHINE = 1000
_MOST_COMMANDS = 30
_MOST_UNREAD = 20

_PIECES = re.compile(r"([^*`]+)|(\*\*|\*|`)(.+?)\2")

HOW_TO_READ = """\
- **Sparsity** is the fraction of exact zeros among the prunable weights: the weight matrices of the
  encoder's linear layers. Embeddings, LayerNorms, biases and the classifier stay dense.
- **Drop** is baseline minus pruned, in percentage points, each run against its own baseline: a loss
  is positive, a gain negative, everywhere.
- **Seeds**: a number over other seeds than the baseline beside it has a mark, such as ¹, and the
  note under the table says which. Seeds under which the weights are the same count once.
- **Compression** is the nominal 1 / (1 − sparsity) of the prunable weights; **Model** is the dense
  model's parameters over those left that are not zero. Neither is the size of a file or a speed-up.
- **95% interval**: of the accuracy of one seed Wilson's, of its drop or difference Tango's; of
  other metrics a bootstrap's; of several seeds Behrens and Fisher's, never narrower than one
  seed's. It says how far the number could move with other examples of the same kind and, of
  several seeds, with other trainings.
- A **winner** is named only where the paired test, corrected by Holm, and the interval of the
  difference both say so. *Equivalent* was tested, too; everything else is *not distinguishable*.
- A level is **recommended** on the examples that the report's numbers come from, unless the report
  was made with `--select-on half`: then it is chosen on one half, its drop given on the other."""


@dataclass(frozen=True)
class Heading:
    """A title: level 1 is that of the whole, 2 that of a part."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A sentence or several, from outside in part."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Items:
    """A list; each entry is what to set strong, perhaps nothing, and the rest."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Prose:
    """The project's own words, as a Markdown list with ``**``, ``*`` and backquotes alone."""

    markdown: str

    @property
    def items(self) -> list[list[tuple[str, str]]]:
        """For each item its pieces: a mark, empty for plain words, and what it is on."""
        items = (" ".join(item.split()) for item in self.markdown.removeprefix("- ").split("\n- "))
        return [
            [(mark, plain or inner) for plain, mark, inner in _PIECES.findall(item)]
            for item in items
        ]


@dataclass(frozen=True)
class Picture:
    """A figure, by its file name without ending."""

    name: str
    caption: str


@dataclass(frozen=True)
class Code:
    """Command lines."""

    lines: tuple[str, ...]


Block = Heading | Paragraph | Items | Prose | Picture | Code | TextTable


def report_story(report: Report) -> list[Block]:
    """The whole report from its title to how it was made."""
    generated = [chapter.section.generated for chapter in report.chapters]
    mark = f" ({GENERATED})" if generated and all(generated) else ""
    blocks: list[Block] = [Heading(1, f"What pruning cost{mark}"), *left_out(report.unread)]
    if not report.chapters:
        return [*blocks, Paragraph("There are no finished runs to report on.")]
    if any(generated) and not mark:
        blocks.append(Paragraph(f"Sections marked “{GENERATED}” say nothing about real tasks."))
    elif mark:
        whole = "All results here are on generated data: they say nothing about real tasks."
        blocks.append(Paragraph(whole))
    summary = summary_table(report.chapters)
    blocks += [
        Heading(2, f"Summary{mark}"),
        *([replace(summary, title="")] if summary.rows else []),
        Items(tuple(entry for chapter in report.chapters for entry in _answers(chapter))),
    ]
    for chapter in report.chapters:
        blocks += _chapter(chapter, report.comparisons)
    made = _provenance(report.runs, report.made)
    blocks += [Heading(2, "How to read this"), Prose(HOW_TO_READ), *made]
    return blocks


def left_out(unread: Sequence[str]) -> list[Paragraph]:
    """What may belong in here and could not be read; nothing where all could."""
    if not unread:
        return []
    named = ", ".join(one_line(name, _LONGEST_FACT) for name in unread[:_MOST_UNREAD])
    more = len(unread) - _MOST_UNREAD
    rest = f", and {more} more" if more > 0 else ""
    are = (
        "record could not be read and is"
        if len(unread) == 1
        else "records could not be read and are"
    )
    return [Paragraph(f"{len(unread)} {are} not in here: {named}{rest}.")]


def comparison_story(comparison: Comparison) -> list[Block]:
    """A comparison on its own, with its figures."""
    title = Heading(1, f"Compared by {comparison.by.name}")
    blocks: list[Block] = [title, *left_out(comparison.unread)]
    if not comparison.rows:
        nothing = "There are no two finished runs that differ in this alone."
        return [*blocks, Paragraph(nothing)]
    blocks.append(Picture(matrix_name(comparison), "Every pair at every level"))
    for section, figure in named_sections(comparison):
        caption = section.marked(f"{section.title}: difference against sparsity")
        blocks += [
            Heading(2, section.marked(section.title)),
            _facts(section),
            comparison_table(section, comparison.of(section)),
            *([Picture(figure, caption)] if figure else []),
        ]
    runs = {run.name: run for section in comparison.sections for run in section.runs}
    return [*blocks, *_provenance(list(runs.values()))]


def _answers(chapter: Chapter) -> list[tuple[str, str]]:
    """Which level to take, and which model to deploy."""
    section, sentence = chapter.section, chapter.recommendation.sentence
    if section.distinction:
        told = one_line(section.distinction, _LONGEST_FACT)
        sentence += f" This is the one with {told}."
    title = f"{one_line(section.marked(section.title), _LONGEST_FACT)}."
    return [(title, sentence), *((title, choice.sentence) for choice in chapter.choices)]


def _chapter(chapter: Chapter, comparisons: Sequence[Comparison]) -> list[Block]:
    section = chapter.section
    tables = section_tables(section, comparisons)
    blocks: list[Block] = [Heading(2, section.marked(section.title)), _facts(section)]
    if "baseline" not in tables:
        missing = (
            "The baseline these runs were pruned from is not in the workspace or was not "
            "scored alike, so no drop can be given."
        )
        blocks.append(Paragraph(missing))
    blocks += [tables[name] for name in ("baseline", "levels") if name in tables]
    blocks += results_tables(section)
    if "cut" in tables:
        blocks.append(tables["cut"])
    if section.curves:
        blocks.append(Paragraph(chapter.recommendation.sentence))
    blocks += _phases(chapter)
    if chapter.figure is not None:
        metric = METRIC_TITLES.get(section.metric, section.metric).lower()
        caption = section.marked(f"{section.title}: {metric} against sparsity")
        blocks.append(Picture(chapter.figure, caption))
    compared = [name for name in tables if name.startswith(COMPARISON)]
    others = (*compared, "pareto", "change", "fragile", "published", "seconds")
    blocks += [tables[name] for name in others if name in tables]
    return blocks + _deployed(chapter)


def _phases(chapter: Chapter) -> list[Block]:
    """Those of each curve, and the rule; nothing where no curve has a baseline."""
    told = tuple(
        (
            "",
            one.phases.sentence
            if one.phases
            else f"{one.curve.label}: none, its levels have no seed in common.",
        )
        for one in chapter.curves
        if one.phases or chapter.section.baseline
    )
    if not told:
        return []
    limit = chapter.recommendation.max_drop
    return [Paragraph("Phases", strong=True), Items(told), Paragraph(rule(limit))]


def _deployed(chapter: Chapter) -> list[Block]:
    """What can be deployed, after the rest of its section."""
    section, found, figure = chapter.section, chapter.deployed, chapter.tradeoff_figure
    if found is None or figure is None:
        return []
    sentences = [Paragraph(one.sentence) for one in chapter.choices]
    picture = Picture(figure, deployed_caption(section, found))
    return [*sentences, deployed_table(section, found), picture]


def deployed_caption(section: Section, found: Deployed) -> str:
    """Of the figure of score against time and bytes."""
    metric = METRIC_TITLES.get(section.metric, section.metric).lower()
    costs = "latency and bytes" if found.benches else "bytes"
    return section.marked(f"{section.title}: {metric} against {costs}, with the Pareto front")


def _facts(section: Section) -> Items:
    return Items(
        tuple(
            ("", f"{one_line(key, _LONGEST_FACT)}: {one_line(value, _LONGEST_FACT)}")
            for key, value in section.facts.items()
        )
    )


def _provenance(
    runs: Sequence[RunRecord], made: Sequence[ArtefactRecord | BenchRecord] = ()
) -> list[Block]:
    commands = commands_of([*runs, *made])
    shown = commands[:_MOST_COMMANDS]
    if len(commands) > len(shown):
        shown.append(f"# and {len(commands) - len(shown)} more; each run's record has its own")
    return [
        Heading(2, "How it was made"),
        Items(tuple(("", fact) for fact in provenance(runs))),
        Code(tuple(shown)),
    ]


def commands_of(records: Iterable[RunRecord | ArtefactRecord | BenchRecord]) -> list[str]:
    """Each command once, in the order in which they were given; of paths only their last parts."""
    ordered = sorted(records, key=lambda record: record.created)
    return list(dict.fromkeys(without_places(record.command) for record in ordered))


def provenance(runs: Sequence[RunRecord]) -> list[str]:
    """When and on what machines ``runs`` were made, a sentence each."""
    machines: dict[str, int] = {}
    for run in runs:
        line = f"{run.machine.hardware}; {run.machine.software}"
        machines[line] = machines.get(line, 0) + 1
    seeds = sorted({run.spec.seed for run in runs})
    days = sorted({run.created.date().isoformat() for run in runs})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    facts = [f"{len(runs)} runs, made {when}, seeds {', '.join(map(str, seeds))}"]
    facts += [
        f"Machine of {count} runs: {one_line(line, _LONGEST_MACHINE)}"
        for line, count in machines.items()
    ]
    return facts
