"""What a tokenizer's file does to a text before it is cut has bounds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tokenizers import Regex, Tokenizer, normalizers, processors
from tokenizers.models import WordLevel

from prunecli.errors import InputError
from prunecli.models.tokenizergrowth import check_growth

TEN = normalizers.Replace("a", "a" * 10)
TOKENS = [("[CLS]", 1), ("[SEP]", 2)]


def checked(normalizer: object = None, processor: object = None) -> None:
    backend = Tokenizer(WordLevel({"a": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="a"))
    if normalizer is not None:
        backend.normalizer = normalizer
    if processor is not None:
        backend.post_processor = processor
    check_growth(SimpleNamespace(backend_tokenizer=backend), "m")


def templates(single: str, pair: str | None = None) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=TOKENS)


def test_usual_ones_pass() -> None:
    checked()
    checked(
        normalizers.BertNormalizer(), templates("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
    )
    spaces = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁"), normalizers.NFKC()]
    checked(normalizers.Sequence([*spaces, normalizers.Replace(Regex(" {2,}"), "▁")]))
    checked(None, processors.Sequence([processors.ByteLevel(), templates("$A [SEP]")]))
    checked(normalizers.Sequence([TEN, TEN]))
    checked(normalizers.Replace("a" * 1000, "b" * 1000))
    check_growth(SimpleNamespace(), "one that is not fast")


@pytest.mark.parametrize(
    "normalizer",
    [
        normalizers.Sequence([TEN] * 6),
        normalizers.Sequence([normalizers.Sequence([TEN, TEN]), normalizers.NFC(), TEN]),
        normalizers.Replace(Regex(""), "a" * 200),
        normalizers.Replace("ab", "b" * 300),
        normalizers.Prepend("a" * 200_000),
        normalizers.Sequence([normalizers.Prepend("a" * 90_000), TEN]),
    ],
    ids=["six", "nested", "expression", "long", "before", "before and then"],
)
def test_a_text_grows_within_bounds(normalizer: object) -> None:
    with pytest.raises(InputError, match="times as long before it is cut"):
        checked(normalizer)


@pytest.mark.parametrize(
    ("single", "said"),
    [("$A $A", "more than once"), ("$A" + " [SEP]" * 1_001, "more than 1,000 tokens")],
)
def test_a_text_stands_in_its_tokens_once(single: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        checked(None, templates(single))
    with pytest.raises(InputError, match=said):
        checked(None, processors.Sequence([processors.ByteLevel(), templates(single)]))
