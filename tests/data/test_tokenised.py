"""Token ids and their cache on disk."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoTokenizer

from prunecli.data import tokenise
from prunecli.data.examples import Examples
from prunecli.data.generated import build_tokenizer
from prunecli.data.tokenised import is_whole
from prunecli.errors import InputError
from prunecli.tasks import get_task

TEXTS = ["the plot is good", "it is bad", "good"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(TEXTS)


@pytest.fixture
def single() -> Dataset:
    return Examples((TEXTS,), [1, 0, 1], [0, 2, 5]).dataset(get_task("sst2"))


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_columns_and_values(tokenizer: Any, single: Dataset) -> None:
    data = tokenise(single, tokenizer, max_length=5, cache_dir=None, key="")
    assert set(data.column_names) == {"input_ids", "labels", "length", "index"}
    assert tokenizer.convert_ids_to_tokens(data[0]["input_ids"]) == [
        "[CLS]", "the", "plot", "is", "[SEP]",
    ]  # fmt: skip
    assert data["length"][:] == [5, 5, 3]
    assert data["labels"][:] == [1, 0, 1]
    assert data["index"][:] == [0, 2, 5]


def test_pairs_scores_and_types(tokenizer: Any) -> None:
    pairs = Examples((["the plot is good"], ["bad"]), [2.5], [0]).dataset(get_task("stsb"))
    tokenizer = build_tokenizer(TEXTS)
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    row = tokenise(pairs, tokenizer, max_length=6, cache_dir=None, key="")[0]
    assert tokenizer.convert_ids_to_tokens(row["input_ids"]) == [
        "[CLS]", "the", "plot", "[SEP]", "bad", "[SEP]",
    ]  # fmt: skip
    assert row["token_type_ids"] == [0, 0, 0, 0, 1, 1]
    assert row["labels"] == 2.5


def test_a_selection_keeps_rows_and_labels_together(tokenizer: Any, single: Dataset) -> None:
    data = tokenise(single.select([2, 1]), tokenizer, max_length=9, cache_dir=None, key="")
    assert data["labels"][:] == [1, 0]
    assert data["index"][:] == [5, 2]
    assert data["length"][:] == [3, 5]


def test_the_second_time_it_comes_from_the_cache(
    tokenizer: Any, single: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path / "c", key="k")
    monkeypatch.setattr("prunecli.data.tokenised._encode", lambda *_: pytest.fail("tokenised"))
    # Whoever used the tokenizer last may have left padding on; that is no part of the content.
    tokenizer(TEXTS, padding=True, truncation=True, max_length=4)
    again = tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path / "c", key="k")
    assert again[:] == first[:]
    assert len(entries(tmp_path / "c")) == 1


def test_whatever_matters_makes_another_entry(
    tokenizer: Any, single: Dataset, tmp_path: Path
) -> None:
    other = Examples((["it", "is", "bad"],), [1, 0, 1], [0, 2, 5]).dataset(get_task("sst2"))
    for data, tok, length, key in (
        (single, tokenizer, 8, "k"),
        (single, tokenizer, 9, "k"),
        (single, tokenizer, 8, "other"),
        (single, build_tokenizer([*TEXTS, "more"]), 8, "k"),
        (other, tokenizer, 8, "k"),
    ):
        tokenise(data, tok, max_length=length, cache_dir=tmp_path, key=key)
    assert len(entries(tmp_path)) == 5


@pytest.mark.parametrize("damage", ["truncate", "flip", "no checksum", "empty", "binary checksum"])
def test_a_damaged_entry_is_made_again(
    damage: str, tokenizer: Any, single: Dataset, tmp_path: Path
) -> None:
    whole = tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path, key="k")[:]
    (entry,) = entries(tmp_path)
    data, checksum = entry / "data.arrow", entry / "data.arrow.sha256"
    content = data.read_bytes()
    if damage == "truncate":
        data.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        data.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
    elif damage == "no checksum":
        checksum.unlink()
    elif damage == "empty":
        data.unlink()
        checksum.unlink()
    else:
        checksum.write_bytes(b"\xff\xfe")
    assert tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path, key="k")[:] == whole
    assert entries(tmp_path) == [entry]
    assert data.read_bytes() == content


def test_several_writers_at_once(single: Dataset, tmp_path: Path) -> None:
    def work(_: int) -> dict[str, list[Any]]:
        tokenizer = build_tokenizer(TEXTS)
        return tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path, key="k")[:]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(16)))
    assert all(result == results[0] for result in results)
    assert len(entries(tmp_path)) == 1


@pytest.mark.parametrize("damaged", [False, True])
def test_another_writer_may_be_first_at_any_moment(
    damaged: bool, single: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> dict[str, list[Any]]:
        tokenizer = build_tokenizer(TEXTS)
        return tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path, key="k")[:]

    whole = work()
    (entry,) = entries(tmp_path)
    content, own = (entry / "data.arrow").read_bytes(), Path.replace

    def raced(path: Path, target: Path) -> Path:
        """Another does all of its work just before."""
        with monkeypatch.context() as others:
            others.setattr(Path, "replace", own)
            assert work() == whole
        return own(path, target)

    if damaged:
        (entry / "data.arrow").write_bytes(b"")
    else:
        shutil.rmtree(entry)
    monkeypatch.setattr(Path, "replace", raced)
    assert work() == whole
    assert entries(tmp_path) == [entry]
    assert (entry / "data.arrow").read_bytes() == content


def test_a_damaged_entry_that_another_took_away(
    tokenizer: Any, single: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path, key="k")
    (entry,) = entries(tmp_path)
    (entry / "data.arrow").write_bytes(b"")
    own = Path.replace

    def gone(path: Path, target: Path) -> Path:
        if path == entry:
            shutil.rmtree(entry)
        return own(path, target)

    monkeypatch.setattr(Path, "replace", gone)
    tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path, key="k")
    assert is_whole(entry)
    assert entries(tmp_path) == [entry]


def test_a_cache_that_cannot_be_written_is_an_input_error(
    tokenizer: Any, single: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write the tokenised examples"):
        tokenise(single, tokenizer, max_length=8, cache_dir=tmp_path / "file" / "c", key="k")


def test_a_slow_tokenizer_is_refused(single: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a fast tokenizer"):
        tokenise(single, object(), max_length=8, cache_dir=tmp_path, key="k")


def test_the_generated_tokenizer_survives_a_round_trip(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded("The PLOT is unheard", "bad") == tokenizer("the plot is [UNK]", "bad")
    assert loaded.model_input_names == ["input_ids", "attention_mask"]
    assert loaded.pad_token_id == 0
