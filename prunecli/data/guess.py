"""What the columns of somebody's file are: the texts, the label, and what its values mean.

Nothing is taken where two columns would do: the error then lists them, and the user says which.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prunecli.data.messages import shown
from prunecli.data.table import SPLIT_COLUMN, DataTable
from prunecli.errors import InputError, UsageError
from prunecli.registry import did_you_mean
from prunecli.text.labelnames import LABEL_TYPES, folded, outputs, place, spellings
from prunecli.text.numbers import counted

_LABELS: Final = ("label", "labels", "category", "class", "target", "intent", "sentiment", "y")
"""Names that a column of labels has, the likeliest first."""
_TEXTS: Final = ("text", "sentence", "content", "message", "review", "comment", "tweet", "query")
"""Names that the one column of texts has."""
_PAIRS: Final = (
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
)
"""Names of two columns that are read together."""
_BY_NAME: Final = 3
"""How well a column fits whose values are the model's labels by name."""
_WORDY: Final = 3.0
"""Spaces that an average value of a column of texts has; identifiers and dates have fewer."""
_MOST_LISTED: Final = 12
_MOST_COLUMNS: Final = 2
"""Of texts that a model reads."""
_LEAST_CLASSES: Final = 2
_LEAST_ROWS: Final = 2
"""Of a class on average; a column of which fewer are alike is one of numbers or names."""


@dataclass(frozen=True)
class Columns:
    """Which columns are read, and the names of the classes, one for each output of the model."""

    texts: tuple[str, ...]
    label: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """The columns of the data that the user named: one or two of texts, one of labels."""

    texts: tuple[str, ...] = ()
    label: str | None = None

    @classmethod
    def of(cls, texts: Sequence[str] | None, label: str | None) -> Said:
        """What the command line said; raises `UsageError` for more columns than a model reads."""
        columns = apart(texts or ())
        if len(columns) > _MOST_COLUMNS:
            raise UsageError(f"--text names {len(columns)} columns, and a model reads one or two")
        return cls(columns, label)

    def check_no_task(self) -> None:
        """Raise `UsageError` where columns were named beside a task, which names its own."""
        if self != Said():
            raise UsageError(
                "--text and --label are for data without a task, and --task names one",
                hint="leave out one of the two",
            )

    def check_none(self, subject: str) -> None:
        """Raise `UsageError` where columns were named with ``run X``, which has its own."""
        if self != Said():
            raise UsageError(
                f"{subject} has its own columns",
                hint="leave out --text and --label, or name the model's folder",
            )


def columns_of_table(
    table: DataTable,
    outputs_named: Sequence[str],
    *,
    texts: Sequence[str] = (),
    label: str | None = None,
    labels: Sequence[str] = (),
) -> Columns:
    """The columns of ``table`` for a model whose outputs are named ``outputs_named``, in order.

    ``texts``, ``label`` and ``labels`` are what the user said. Raises `UsageError` where that is no
    column or where what was not said cannot be told, and `InputError` where no column can be it.
    """
    _check_there(table, texts, label)
    if label is None:
        label = _label_column(table, labels or outputs_named, set(texts))
    named = tuple(labels) or _classes(table, label, outputs_named)
    return Columns(tuple(texts) or _text_columns(table, label), label, named)


def columns_of_classes(
    table: DataTable, *, texts: Sequence[str] = (), label: str | None = None
) -> Columns:
    """The columns of ``table`` where no model says what the labels are: all that there are, sorted.

    ``texts`` and ``label`` are what the user said. Raises what `columns_of_table` raises.
    """
    _check_there(table, texts, label)
    if label is None:
        called = [name for name in table.columns if name.lower() in _LABELS and name not in texts]
        if len(called) != 1:
            found = f"{' or '.join(map(shown, called))} may be" if called else "no column is called"
            raise UsageError(
                f"{table.path.name}: {found} {'the' if called else 'a'} label; {_has(table)}",
                hint=f"say which it is, as --label {(called or list(table.columns))[0]}",
            )
        label = called[0]
    distinct = _distinct(table.columns[label])
    if len(distinct) < _LEAST_CLASSES or len(distinct) * _LEAST_ROWS > len(table.lines):
        few = ", ".join(map(shown, distinct[:_MOST_LISTED]))
        raise InputError(
            f"'{label}' of {table.path.name} has {counted(len(distinct), 'value')} in "
            f"{counted(len(table.lines), 'row')} ({few}), which are no classes",
            hint="name another column with --label, or describe the task in a file, and give it "
            "with --task FILE.toml",
        )
    names = sorted(map(str, distinct), key=_in_order)
    return Columns(tuple(texts) or _text_columns(table, label), label, tuple(names))


def _in_order(name: str) -> tuple[int, str]:
    """Whole numbers by size, before other names."""
    number = place(name)
    return (sys.maxsize, name) if number is None else (number, name)


def apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names that came one by one or with commas between them."""
    return tuple(part.strip() for item in names for part in item.split(",") if part.strip())


def _check_there(table: DataTable, texts: Sequence[str], label: str | None) -> None:
    for name in (*texts, *([label] if label else [])):
        if name not in table.columns:
            raise UsageError(
                f"{table.path.name} has no column '{name}'; {_has(table)}",
                hint=did_you_mean(name, table.columns),
            )


def _has(table: DataTable) -> str:
    names = [shown(name) for name in table.columns]
    more = ", …" if len(names) > _MOST_LISTED else ""
    return f"its columns are {', '.join(names[:_MOST_LISTED])}{more}"


def _label_column(table: DataTable, named: Sequence[str], taken: set[str]) -> str:
    fits: dict[str, int] = {}
    for name, values in table.columns.items():
        if name not in taken and name.lower() != SPLIT_COLUMN:
            fit = _fit(_distinct(values), named)
            if fit:
                fits[name] = fit
    best = _best(table, fits)
    if len(best) == 1:
        return best[0]
    said = ", ".join(map(shown, named[:_MOST_LISTED]))
    if not best:
        raise InputError(
            f"no column of {table.path.name} has the model's labels ({said}); {_has(table)}",
            hint="say which it is with --label COLUMN, and what the model's outputs stand for with "
            "--labels NAME,NAME,…",
        )
    raise UsageError(
        f"{table.path.name}: {' or '.join(map(shown, best))} may be the label; {_has(table)}",
        hint=f"say which, as --label {best[0]}",
    )


def _best(table: DataTable, fits: Mapping[str, int]) -> list[str]:
    """The columns that may be the label; of those that fit alike what one is called decides.

    What fits by its names comes before all else. Small numbers and words may be anything, so a
    column of them gives way to none but one that is called like a label.
    """
    by_name = [name for name, fit in fits.items() if fit == _BY_NAME]
    called = [name for name in table.columns if name.lower() in _LABELS]
    best = by_name or [name for name in fits if name in called] or list(fits)
    likely = [name for name in best if name in called] or best
    if not by_name and best:  # another column may have the labels, spelled in its own way
        likely += [name for name in called if name not in fits and _few(table, name, likely)]
    alike = all(
        name in called and table.columns[name] == table.columns[likely[0]] for name in likely
    )
    return likely[:1] if alike else likely


def _few(table: DataTable, name: str, beside: Sequence[str]) -> bool:
    """Whether a column, none ``beside`` it being called like a label, has values that repeat."""
    if any(other.lower() in _LABELS for other in beside):
        return False
    distinct = _distinct(table.columns[name])
    return 1 < len(distinct) <= max(_MOST_LISTED, len(table.lines) // 10)


def _fit(distinct: Sequence[object], named: Sequence[str]) -> int:
    """How well these values are labels so named: 3 by name, 2 by place, 1 perhaps, 0 not at all."""
    if not distinct or len(distinct) > len(named):
        return 0
    names = set(named)
    if all(names.intersection(spellings(value)) for value in distinct):
        return _BY_NAME
    if _folded(distinct) <= _folded(named):
        return _BY_NAME
    places = [place(value) for value in distinct]
    if all(number is not None and number < len(named) for number in places):
        return 2
    generic = outputs(named, [str(number) for number in range(len(named))])
    words = all(isinstance(value, str) and value.strip() for value in distinct)
    return int(generic is not None and words and len(distinct) == len(named))


def _classes(table: DataTable, label: str, named: Sequence[str]) -> tuple[str, ...]:
    """What the values of the label column are called, in the order of the model's outputs."""
    distinct = _distinct(table.columns[label])
    fit = _fit(distinct, named)
    if fit == _BY_NAME and not {
        spelled for value in distinct for spelled in spellings(value)
    } & set(named):
        return _spelled(distinct, named)
    if fit >= 2:
        return tuple(named)
    few = ", ".join(map(shown, distinct[:_MOST_LISTED])) + (
        ", …" if len(distinct) > _MOST_LISTED else ""
    )
    if fit == 1:
        example = ",".join(sorted(map(str, distinct)))
        raise UsageError(
            f"the model's outputs have no names, and '{label}' of {table.path.name} has {few}",
            hint=f"say what the outputs stand for, in their order, as --labels {example}",
        )
    raise InputError(
        f"'{label}' of {table.path.name} has {few}, which are not the model's labels "
        f"({', '.join(map(shown, named[:_MOST_LISTED]))})",
        hint="name another column with --label, or say with --labels what the outputs stand for",
    )


def _spelled(distinct: Iterable[object], named: Sequence[str]) -> tuple[str, ...]:
    """``named`` as the file spells them, where it does."""
    theirs = {folded(value): str(value) for value in distinct}
    return tuple(theirs.get(folded(name), name) for name in named)


def _text_columns(table: DataTable, label: str) -> tuple[str, ...]:
    wordy = {
        name: values
        for name, values in table.columns.items()
        if name != label and name.lower() != SPLIT_COLUMN and _spaces(values) is not None
    }
    called: Mapping[str, str] = {name.lower(): name for name in wordy}
    for pair in _PAIRS:
        if set(pair) <= called.keys():
            return tuple(called[name] for name in pair)
    likely = [called[name] for name in _TEXTS if name in called]
    if len(likely) == 1:
        return (likely[0],)
    texts = [name for name, values in wordy.items() if (_spaces(values) or 0) >= _WORDY]
    if len(texts) == 1 or (not texts and len(wordy) == 1):
        return tuple(texts or wordy)
    if not wordy:
        raise InputError(
            f"{table.path.name} has no column of texts; {_has(table)}",
            hint="name it with --text COLUMN",
        )
    found = (texts or list(wordy))[:2]
    raise UsageError(
        f"{table.path.name}: {' or '.join(map(shown, texts or wordy))} may be the text; "
        f"{_has(table)}",
        hint=f"say which, as --text {found[0]}; or two that are read together, as "
        f"--text {','.join(found)}",
    )


def _spaces(values: Sequence[object]) -> float | None:
    """Spaces in an average value; ``None`` for a column that is not of texts."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    if 2 * len(texts) < len(values) or all(re.fullmatch(r"[\d.,:/\s-]*", text) for text in texts):
        return None
    return sum(text.count(" ") for text in texts) / max(len(texts), 1)


def _distinct(values: Sequence[object]) -> list[object]:
    """The values that are there, each once, in the order of their first row."""
    kept = (value for value in values if isinstance(value, LABEL_TYPES))
    return [
        value
        for _, value in dict.fromkeys((type(value), value) for value in kept)
        if not (isinstance(value, str) and not value.strip())
    ]


def _folded(values: Iterable[object]) -> set[str]:
    return {folded(value) for value in values}
