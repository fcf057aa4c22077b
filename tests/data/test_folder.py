"""GLUE's official layout: nine tasks, no quoting, every kind of broken file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.data import fingerprint, load
from prunecli.data.lines import read_tsv
from prunecli.errors import InputError
from prunecli.tasks import get_task

SST2 = "sentence\tlabel\n"
GLUE = Path(__file__).parents[3] / "shared" / "data" / "glue"

LAYOUTS = {
    "sst2": ("SST-2", "sentence\tlabel", ["{a}\t0", "{a}\t1"], [0, 1]),
    "qqp": (
        "QQP",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        ["1\t2\t3\t{a}\t{b}\t1", "4\t5\t6\t{a}\t{b}\t0"],
        [1, 0],
    ),
    "mnli": (
        "MNLI",
        "index\tgenre\tsentence1_parse\tsentence1\tsentence2\tlabel1\tgold_label",
        ["0\tg\t( x )\t{a}\t{b}\tneutral\tcontradiction", "1\tg\tp\t{a}\t{b}\t-\tentailment"],
        [2, 0],
    ),
    "cola": ("CoLA", None, ["src\t1\t\t{a}", "src\t0\t*\t{a}"], [1, 0]),
    "mrpc": (
        "MRPC",
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        ["1\t10\t11\t{a}\t{b}", "0\t12\t13\t{a}\t{b}"],
        [1, 0],
    ),
    "qnli": (
        "QNLI",
        "index\tquestion\tsentence\tlabel",
        ["0\t{a}\t{b}\tnot_entailment", "1\t{a}\t{b}\tentailment"],
        [1, 0],
    ),
    "rte": (
        "RTE",
        "index\tsentence1\tsentence2\tlabel",
        ["0\t{a}\t{b}\tnot_entailment", "1\t{a}\t{b}\tentailment"],
        [1, 0],
    ),
    "wnli": (
        "WNLI",
        "index\tsentence1\tsentence2\tlabel",
        ["0\t{a}\t{b}\t0", "1\t{a}\t{b}\t1"],
        [0, 1],
    ),
    "stsb": (
        "STS-B",
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
        ["0\tg\tf\ty\t1\ts\tt\t{a}\t{b}\t3.750", "1\tg\tf\ty\t2\ts\tt\t{a}\t{b}\t0"],
        [3.75, 0.0],
    ),
}


def sst2_folder(folder: Path, dev: str | bytes, train: str = SST2 + "fine\t1\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "train.tsv").write_text(train, encoding="utf-8", newline="")
    (folder / "dev.tsv").write_bytes(dev if isinstance(dev, bytes) else dev.encode())
    return folder


def refused(folder: Path, task: str = "sst2") -> InputError:
    with pytest.raises(InputError) as caught:
        load(get_task(task), str(folder))
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("own_folder", [False, True])
def test_all_nine_layouts(name: str, own_folder: bool, tmp_path: Path) -> None:
    task = get_task(name)
    folder, header, rows, labels = LAYOUTS[name]
    body = [row.format(a='a "quoted text', b="b's\u2028other") for row in rows]
    text = "".join(f"{line}\n" for line in ([header] if header else []) + body)
    target = tmp_path / folder
    target.mkdir()
    assert task.layout is not None
    for file in (task.layout.train, *(split.file for split in task.splits)):
        (target / file).write_text(text, encoding="utf-8", newline="")

    data = load(task, str(target if own_folder else tmp_path))

    assert data.train is not None
    assert list(data.evaluation) == [split.name for split in task.splits]
    for dataset in (data.train, *data.evaluation.values()):
        assert dataset["label"][:] == labels
        assert dataset["index"][:] == [0, 1]
        assert dataset["text_a"][:] == ['a "quoted text'] * 2
        if len(task.columns) == 2:
            assert dataset["text_b"][:] == ["b's\u2028other"] * 2
        else:
            assert "text_b" not in dataset.column_names
    assert data.source == str(target if own_folder else tmp_path)
    assert not data.generated
    assert data.fingerprint == fingerprint(task, str(tmp_path))


def test_other_file_names_of_mrpc(tmp_path: Path) -> None:
    header, row = LAYOUTS["mrpc"][1], "1\t10\t11\tone\ttwo\r\n"
    for file in ("msr_paraphrase_train.txt", "msr_paraphrase_test.txt"):
        (tmp_path / file).write_text(f"{header}\r\n{row}", encoding="utf-8", newline="")
    data = load(get_task("mrpc"), str(tmp_path))
    assert data.evaluation["validation"][0] == {
        "text_a": "one",
        "text_b": "two",
        "label": 1,
        "index": 0,
    }


TEXT = st.text(
    st.characters(exclude_characters="\t\n", exclude_categories=["Cs"]), max_size=20
).filter(lambda text: not text.endswith("\r"))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.tsv"
    path.write_text(
        "a\tb\n" + "".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8", newline=""
    )
    table = read_tsv(path, ("b", "a"))
    assert list(zip(table.values[1], table.values[0], strict=True)) == rows
    assert table.lines == list(range(2, len(rows) + 2))


@pytest.mark.parametrize(
    ("dev", "said"),
    [
        ("", "is empty"),
        (SST2, "no rows, only a header"),
        (SST2 + "good\t1\nbad", "line 3: 1 field where 2 are expected; the file ends in the mid"),
        (SST2 + "good\nbad\t0\n", "line 2: 1 field where 2 are expected"),
        (SST2 + "good\t1\t1\nbad\t0\n", "line 2: 3 fields where 2 are expected"),
        (SST2 + "good\t1\n\nbad\t0\n", "line 3: blank line"),
        (SST2 + "good\t2\n", "line 2: label '2' is not one of 0, 1"),
        (SST2 + "good\t1\nbad\t\n", "line 3: the label is empty; allowed: 0, 1"),
        (SST2 + "good\t" + "x" * 9999 + "\n", "label 'xxx"),
        ("sentense\tlabel\ngood\t1\n", "no column 'sentence'; it has 'sentense', 'label'"),
        ("sentence\tlabel\tlabel\ngood\t1\t1\n", "2 columns called 'label'"),
        (SST2.encode() + b"caf\xe9\t1\n", "line 2: not UTF-8 (byte 0xe9 at offset 18)"),
    ],
)
def test_broken_files_are_refused(dev: str | bytes, said: str, tmp_path: Path) -> None:
    error = refused(sst2_folder(tmp_path / "SST-2", dev))
    assert said in str(error)
    assert "dev.tsv" in str(error)
    assert len(str(error)) < 250 + len(str(tmp_path))


def test_a_close_column_is_suggested(tmp_path: Path) -> None:
    error = refused(sst2_folder(tmp_path, "sentense\tlabel\ngood\t1\n"))
    assert error.hint == "did you mean 'sentense'?"


def test_blank_lines_at_the_end_do_not_matter(tmp_path: Path) -> None:
    folder = sst2_folder(tmp_path, SST2 + "good\t1\n\n\n")
    assert len(load(get_task("sst2"), str(folder)).evaluation["validation"]) == 1


@pytest.mark.parametrize("score", ["", "high", "nan", "inf", "1_0", "٣"])
def test_scores_must_be_finite_numbers(score: str, tmp_path: Path) -> None:
    header, rows = LAYOUTS["stsb"][1:3]
    text = f"{header}\n{rows[0].format(a='x', b='y').replace('3.750', score)}\n"
    for file in ("train.tsv", "dev.tsv"):
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert "train.tsv, line 2: " in str(refused(tmp_path, "stsb"))


def test_what_was_looked_for_is_listed(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert "neither a folder SST-2 nor train.tsv, dev.tsv" in str(error)
    (tmp_path / "train.tsv").write_text(SST2 + "fine\t1\n")
    assert str(refused(tmp_path)) == f"{tmp_path} has no dev.tsv"
    (tmp_path / "dev.tsv").mkdir()
    assert "is a folder where a file is expected" in str(refused(tmp_path))
    with pytest.raises(InputError, match="does not exist"):
        load(get_task("sst2"), str(tmp_path / "absent"))


def test_the_training_file_is_only_needed_for_training(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text(SST2 + "good\t1\n")
    data = load(get_task("sst2"), str(tmp_path), train=False)
    assert data.train is None
    assert len(data.evaluation["validation"]) == 1


def test_examples_without_consensus_are_left_out_and_counted(tmp_path: Path) -> None:
    _, header, rows, _ = LAYOUTS["mnli"]
    lines = [header, rows[0], rows[0].replace("contradiction", "-"), rows[1]]
    text = "".join(f"{line}\n" for line in lines)
    for file in ("train.tsv", "dev_matched.tsv", "dev_mismatched.tsv"):
        (tmp_path / file).write_text(text)
    data = load(get_task("mnli"), str(tmp_path))
    assert data.evaluation["validation_matched"]["index"][:] == [0, 2]
    assert data.notes[0] == "train.tsv: 1 row without a consensus label left out"


def test_examples_torn_by_a_line_break_are_left_out_and_counted(tmp_path: Path) -> None:
    header, (row, other) = LAYOUTS["qqp"][1], LAYOUTS["qqp"][2]
    torn = "7\t8\t9\tone \nquestion\tanother\t1"
    text = "\n".join([header, row, torn, other]) + "\n"
    for file in ("train.tsv", "dev.tsv"):
        (tmp_path / file).write_text(text)
    data = load(get_task("qqp"), str(tmp_path))
    assert data.evaluation["validation"]["index"][:] == [0, 3]
    assert data.notes[0] == "train.tsv: 1 examples torn by a line break left out"


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    task = get_task("sst2")
    before = fingerprint(task, str(sst2_folder(tmp_path, SST2 + "good\t1\n")))
    assert fingerprint(task, str(sst2_folder(tmp_path, SST2 + "good\t1\n"))) == before
    assert fingerprint(task, str(sst2_folder(tmp_path, SST2 + "good\t0\n"))) != before
    assert len(before) == 64


@pytest.mark.skipif(not GLUE.is_dir(), reason="needs the real GLUE files beside the checkout")
@pytest.mark.parametrize(
    ("name", "train", "evaluation"),
    [
        ("sst2", 67_349, {"validation": 872}),
        ("qqp", 87_412, {"validation": 20_206}),
        ("mnli", 69_848, {"validation_matched": 9_815, "validation_mismatched": 9_832}),
    ],
)
def test_real_files_have_every_row(name: str, train: int, evaluation: dict) -> None:
    data = load(get_task(name), str(GLUE))
    assert data.train is not None
    assert len(data.train) == train
    assert {split: len(dataset) for split, dataset in data.evaluation.items()} == evaluation
    assert data.notes == ()
