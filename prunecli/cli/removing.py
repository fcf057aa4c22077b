"""Which runs and artefacts ``prune runs remove`` means, and what hangs on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from prunecli.errors import InputError
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.text.numbers import counted

Made = RunRecord | ArtefactRecord

_SHOWN = 5


def meant(made: Sequence[Made], names: Iterable[str], find: Callable[[str], Made]) -> list[Made]:
    """What ``names`` mean, runs before artefacts: each one by ``find``, or by a glob of ``made``.

    Raises `InputError` where a glob fits nothing.
    """
    found: dict[str, Made] = {}
    for name in names:
        if not _is_glob(name):
            one = find(name)
            found[one.name] = one
            continue
        fitting = [one for one in made if fnmatchcase(one.name, name)]
        if not fitting:
            raise InputError(f"'{name}' fits no run or artefact", hint="see: prune runs list")
        found |= {one.name: one for one in fitting}
    return sorted(found.values(), key=lambda one: isinstance(one, ArtefactRecord))


def without_best(found: Sequence[Made]) -> list[Made]:
    """``found`` less the best run of each task and level among it, its baseline and artefacts."""
    from prunecli.pipelines.keeping import best_of

    runs = {one.name: one for one in found if isinstance(one, RunRecord)}
    kept = best_of(runs.values())
    kept |= {spec.source for name in kept if isinstance(spec := runs[name].spec, DerivedSpec)}
    return [
        one
        for one in found
        if (one.run if isinstance(one, ArtefactRecord) else one.name) not in kept
    ]


def broken_meant(
    broken: Mapping[str, Path], names: Iterable[str], readable: Collection[str]
) -> tuple[dict[str, Path], list[str]]:
    """Those of the unreadable folders ``broken`` that ``names`` mean, and the names that remain.

    One is meant by its whole name, by its path, or by a glob, which remains where it means some of
    the ``readable``, too.
    """
    found: dict[str, Path] = {}
    rest: list[str] = []
    for name in names:
        if _is_glob(name):
            fitting = {own: at for own, at in broken.items() if fnmatchcase(own, name)}
            others = any(fnmatchcase(own, name) for own in readable)
            rest += [name] if others or not fitting else []
        else:
            fitting = {
                own: at
                for own, at in broken.items()
                if own == name or Path(name).resolve() == at.resolve()
            }
            rest += [] if fitting else [name]
        found |= fitting
    return found, rest


def check_masks(made: Sequence[Made], going: Collection[str]) -> None:
    """Raise `InputError` where a baseline would go whose weights the masks of other runs need."""
    for run in made:
        if not isinstance(run, RunRecord) or run.kept != "mask" or run.name in going:
            continue
        if isinstance(run.spec, DerivedSpec) and run.spec.source in going:
            raise InputError(
                f"{run.spec.source} holds the weights of {run.name}, which is kept as a mask",
                hint="remove such runs first or with it (names may be globs), or give them folders "
                "of their own: prune sweep … --keep-models all",
            )


def hanging_on(made: Sequence[Made], found: Sequence[Made]) -> list[str]:
    """A line each for runs and artefacts that stay and lose what they are held against."""
    going = {one.name for one in found}
    staying = [one for one in made if one.name not in going]
    pruned = sum(
        isinstance(one.spec, DerivedSpec) and one.spec.source in going
        for one in staying
        if isinstance(one, RunRecord)
    )
    artefacts = sum(one.run in going for one in staying if isinstance(one, ArtefactRecord))
    lines = [f"{_have(pruned, 'pruned run')} no baseline to be held against"] if pruned else []
    return lines + ([f"{_have(artefacts, 'artefact')} no run to be scored as"] * bool(artefacts))


def title_of(names: Sequence[str]) -> str:
    """What is asked about: the names, or how many there are."""
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} of them ({', '.join(names[:_SHOWN])}{more})"


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _have(count: int, noun: str) -> str:
    return f"{counted(count, noun)} then {'has' if count == 1 else 'have'}"
