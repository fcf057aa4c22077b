"""Which run or artefact a short name means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting.fabricate import Fabricated

from prunecli.errors import InputError
from prunecli.records.runs import CutSpec, RunRecord
from prunecli.store.folders import RECORD
from prunecli.store.lookup import MOST, fitting, meant, only, suggestion
from prunecli.store.workspace import Workspace

RUN, OTHER = "sst2-global-magnitude-50-s42-0a1b2c3d", "sst2-global-magnitude-80-s42-9f8e2c3d"
PACKED = f"{RUN}-packed-77665544"
AGAIN = f"{PACKED}-onnx-0a1b9999"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("sst2-global-magnitude-5", [RUN]),  # and not what was made of it
        ("0a1b2", [RUN]),
        ("0a1", [RUN, AGAIN]),
        ("9f8e", [OTHER]),
        ("2c3d", [RUN, OTHER]),
        ("f8e2", []),  # neither the first nor the last of its digits
        ("0a", []),  # too few to be meant
        ("0A1B2", []),
        (f"{RUN}-pack", [PACKED]),
        ("544", [PACKED]),
        ("packed", []),
        (PACKED, [PACKED]),
    ],
)
def test_fitting(text: str, meant: list[str]) -> None:
    # of digits that fit a run and what was made of it the run is meant
    without = [name for name in meant if not (RUN in meant and name.startswith(f"{RUN}-"))]
    assert fitting(text, [RUN, OTHER, PACKED, AGAIN]) == without


@given(st.lists(st.from_regex(r"[a-z]{1,3}-[0-9a-f]{8}", fullmatch=True), max_size=8, unique=True))
def test_a_whole_name_fits_itself_alone(names: list[str]) -> None:
    for name in names:
        assert only(name, names) == name
        digits = name[-8:]
        if sum(other.endswith(digits) for other in names) == 1:
            assert only(digits, names) == name


def test_at_most_five_are_suggested() -> None:
    names = [f"sst2-baseline-s{seed}-{seed:08x}" for seed in range(40)]
    with pytest.raises(InputError, match="'sst2' fits 40 runs") as caught:
        only("sst2", names)
    assert str(caught.value.hint).count("sst2-baseline") == MOST
    assert "35 more" in str(caught.value.hint)
    assert suggestion("no", names).count("sst2-baseline") == MOST
    assert suggestion(names[7] + "x", names) == f"did you mean '{names[7]}'?"


def test_several_kinds_are_called_so() -> None:
    with pytest.raises(InputError, match="'0a1b' fits 2 runs and artefacts"):
        only("0a1b", [RUN], [f"{OTHER}-packed-0a1b0000"])
    with pytest.raises(InputError, match="'sst2' fits 2 artefacts"):
        only("sst2", [], [PACKED, f"{OTHER}-packed-0a1b0000"])


@pytest.fixture(scope="module")
def made() -> Fabricated:
    """Two tasks; of SST-2 two runs of the same score, and one on other data that is better."""
    found = Fabricated(examples=100)
    other = found.baseline(accuracy=99, data="sha256:" + "c" * 64)
    found.pruned(other, 0.5, 98)
    for task in ("sst2", "mnli"):
        base = found.baseline(task)
        found.pruned(base, 0.5, 80)
        found.pruned(base, 0.7, 80)
        found.pruned(base, 0.8, 60)
    found.artefact(found.records[0])
    return found


def test_words(made: Fabricated) -> None:
    runs, sst2 = made.records, made.records[2:6]
    assert meant("@last", runs) == runs[-1]
    assert meant("@last", [*runs, *made.artefacts]) == made.artefacts[0]
    assert meant("@last:sst2", runs) == sst2[3]
    assert meant("@baseline", runs, "sst2") == sst2[0]
    assert meant("@baseline:mnli", runs) == runs[6]
    # of two with the same score the smaller, and none on other data than the last
    assert meant("@best:sst2", runs) == sst2[2]
    assert meant("@best", runs[:2]) == runs[1]


def test_a_cut_run_can_be_the_best(made: Fabricated) -> None:
    own = Fabricated(examples=100)
    cut = own.pruned(own.baseline(), 0.5, 85, cut={"heads": 0.5})
    assert isinstance(cut.spec, CutSpec)
    assert meant("@best", [*made.records[2:6], cut]) == cut


@pytest.mark.parametrize(
    ("word", "task", "said"),
    [
        ("@bets", None, "'@bets' stands for no run"),
        ("@best", None, "@best fits runs of 2 tasks"),
        ("@baseline", None, "@baseline fits runs of 2 tasks"),
        ("@best", "qqp", "no compressed run of task qqp"),
        ("@last:qqp", None, "no run of task qqp"),
        ("@baseline:qqp", "sst2", "no baseline of task qqp"),
    ],
)
def test_words_that_stand_for_none(
    made: Fabricated, word: str, task: str | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        meant(word, made.records, task)
    with pytest.raises(InputError, match="there is no run"):
        meant("@last", list[RunRecord]())


def test_in_a_workspace(
    made: Fabricated, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("lookup")).prepare()
    (artefact,) = made.artefacts
    for record in made.records:
        workspace.write_record(workspace.run_dir(record.name), record)
    workspace.write_record(workspace.artefact_dir(artefact.name), artefact)
    base = made.records[0]
    for text in (base.name, base.name[-8:], base.name[-8:-3], str(workspace.run_dir(base.name))):
        assert workspace.get(text).name == base.name
        assert workspace.artefact_meant(text) is None
    folder = str(workspace.artefact_dir(artefact.name))
    for text in (artefact.name, artefact.name[-8:], artefact.name[:-2], folder, "@last"):
        assert workspace.artefact_meant(text) == artefact
    for text in ("no-such", "org/model", "@baseline:sst2"):
        assert workspace.artefact_meant(text) is None
    with pytest.raises(InputError, match="no run 'no-such'"):
        workspace.get("no-such")
    # a folder beside it is what it is called, whatever begins so
    monkeypatch.chdir(workspace.root)
    (workspace.root / artefact.name[:-2]).mkdir()
    assert workspace.artefact_meant(artefact.name[:-2]) is None
    (workspace.run_dir(base.name) / RECORD).unlink()
    assert workspace.get("@last").name == made.records[-1].name
