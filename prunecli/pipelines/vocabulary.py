"""Models whose vocabulary is trimmed before they are written in another form."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prunecli.data import tokenise
from prunecli.errors import InputError, UsageError
from prunecli.files import file_sha256
from prunecli.models import loading as models
from prunecli.models.vocabulary import Trimmed, trim_vocabulary
from prunecli.pipelines.job import Inputs, Job
from prunecli.records.artefacts import UnknownTokens, VocabularyInfo, VocabularySpec
from prunecli.records.runs import RunRecord
from prunecli.store.folders import MODEL
from prunecli.text.numbers import counted, decimals

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Trim:
    """Whether a vocabulary is trimmed, and to which texts."""

    spec: VocabularySpec | None
    texts: Path | None = None
    """A file of them, one a line; the training texts of the run without one."""


def asked_vocabulary(how: str | None, texts: Path | None) -> Trim | None:
    """What ``--vocabulary`` and ``--vocabulary-texts`` ask for.

    Raises `UsageError`, and `InputError` for a file that cannot be read.
    """
    if how is None:
        if texts is not None:
            raise UsageError("--vocabulary-texts is for --vocabulary trim", hint="add that")
        return None
    if how != "trim":
        raise UsageError(f"--vocabulary: input should be 'trim', got {how}")
    if texts is None:
        return Trim(VocabularySpec())
    try:
        return Trim(VocabularySpec(texts=file_sha256(texts)[:16]), texts)
    except OSError as error:
        raise InputError(f"cannot read {texts}: {error.strerror or error}") from None


@dataclass(frozen=True)
class Kept:
    """A trimmed vocabulary and the number of texts that it was trimmed to."""

    trimmed: Trimmed
    texts: int


@contextmanager
def trimmed(
    job: Job, run: RunRecord, folder: Path, trim: Trim
) -> Iterator[tuple[Path, Kept | None]]:
    """The model folder to be written: ``folder``, or one with the tokens that texts use.

    That one is gone when the block ends. Raises what `trim_vocabulary` raises, and `InputError`
    where there are no texts.
    """
    if trim.spec is None:
        yield folder, None
        return
    count = 0

    def counting() -> Iterator[str]:
        nonlocal count
        lines = _lines(trim.texts) if trim.texts is not None else _training_texts(job, run)
        for text in lines:
            count += 1
            yield text

    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        out = Path(temporary) / MODEL
        found = trim_vocabulary(folder, out, counting())
        yield out, Kept(found, count)


def _training_texts(job: Job, run: RunRecord) -> Iterator[str]:
    """Every text of the training examples of a run's data, those that it did not see included."""
    inputs = Inputs(job, run.task.reference, data_of=run, model=run.model.name)
    train = inputs.data.train
    if train is None:
        raise InputError(
            f"a vocabulary is trimmed to training texts, and {inputs.source} has none",
            hint="give texts with --vocabulary-texts FILE, one a line",
        )
    for part in train.with_format(None).iter(1000):
        for column in ("text_a", "text_b"):
            yield from part.get(column, ())


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            yield from (text for line in lines if (text := line.rstrip("\r\n")))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8", hint="save it as UTF-8, one text a line") from None


@dataclass(frozen=True)
class ReadTexts:
    """What a trimmed vocabulary makes of the examples that are scored."""

    info: VocabularyInfo
    alike: dict[str, NDArray[np.bool_]]
    """By split whether an example has the same tokens as with the whole vocabulary."""


def unknown_tokens(
    inputs: Inputs,
    source: Callable[[], AbstractContextManager[Path]],
    tokenizer: PreTrainedTokenizerBase,
    kept: Kept | None,
) -> ReadTexts | None:
    """Hold the tokens that ``tokenizer`` makes against those of the ``source``'s own.

    ``None`` where the vocabulary was not trimmed.
    """
    if kept is None:
        return None
    with source() as folder:
        whole = models.load_tokenizer(str(folder))
    splits, alike = {}, {}
    for split, data in inputs.data.evaluation.items():
        before, after = (_ids(inputs, data, one) for one in (whole, tokenizer))
        places = kept.trimmed.places
        alike[split] = np.array(
            [
                [places.get(number) for number in one] == other
                for one, other in zip(before, after, strict=True)
            ]
        )
        had, has = _unknown(before, whole), _unknown(after, tokenizer)
        splits[split] = UnknownTokens(
            tokens_before=had[0],
            tokens=has[0],
            texts_before=had[1],
            texts=has[1],
            otherwise=1 - float(alike[split].mean()),
        )
    trimmed = kept.trimmed
    info = VocabularyInfo(
        tokens=trimmed.tokens, tokens_before=trimmed.before, texts=kept.texts, splits=splits
    )
    return ReadTexts(info, alike)


def told_vocabulary(info: VocabularyInfo) -> str:
    """How many tokens are kept, and what they make of the examples, in a line."""
    told = [
        f"on {split} {_percent(found.tokens)} of the tokens unknown "
        f"(before {_percent(found.tokens_before)}), in {_percent(found.texts)} of the texts "
        f"(before {_percent(found.texts_before)}), {_percent(found.otherwise)} of them in other "
        "tokens than before"
        for split, found in info.splits.items()
    ]
    return (
        f"Vocabulary: {info.tokens:,} of {info.tokens_before:,} tokens, those of "
        f"{counted(info.texts, 'text')}; {'; '.join(told)}"
    )


def _percent(share: float) -> str:
    return f"{decimals(100 * share)}%"


def _ids(inputs: Inputs, data: Any, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    rows = tokenise(
        data, tokenizer, max_length=inputs.max_seq_length, cache_dir=None, key="vocabulary"
    )
    return list(rows["input_ids"])


def _unknown(texts: list[list[int]], tokenizer: PreTrainedTokenizerBase) -> tuple[float, float]:
    """Shares of tokens and of texts."""
    unknown = tokenizer.unk_token_id
    special = set(tokenizer.all_special_ids) - {unknown}
    tokens = sum(number not in special for text in texts for number in text)
    if unknown is None or not tokens:
        return 0.0, 0.0
    found = [text.count(unknown) for text in texts]
    return sum(found) / tokens, sum(map(bool, found)) / len(texts)
