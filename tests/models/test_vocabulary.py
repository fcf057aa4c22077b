"""Vocabularies cut to the tokens of some texts, for each kind of tokenizer it is done for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from prunecli.data.generated import sentiment
from prunecli.errors import InputError
from prunecli.models.loading import load_any_classifier, load_tokenizer
from prunecli.models.tokens import state_of, token_ids, used_tokens, with_places
from prunecli.models.vocabulary import trim_vocabulary

TEXTS = [sentiment.sentence(Random(seed), seed % 2 == 0) for seed in range(300)]
TEXTS += ["naïve café, 日本語 — ok", "antidisestablishmentarianism", "ünïcödé x̂y"]
NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [*NAMES[:1], "[unused0]", "[unused1]", *NAMES[1:]]
    trainer = trainers.WordPieceTrainer(
        vocab_size=220, special_tokens=special, limit_alphabet=40, show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    return surrounded(made, "[CLS]", "[SEP]")


def bytes_bpe() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=ROBERTA,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    ids = made.get_vocab()
    made.post_processor = processors.RobertaProcessing(
        ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), add_prefix_space=False
    )
    return made


def words_bpe() -> Tokenizer:
    """As of CLIP: pieces that end a word are marked, and characters may be unknown."""
    made = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=250,
        special_tokens=ROBERTA,
        limit_alphabet=40,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    return surrounded(made, "<s>", "</s>")


def unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=ROBERTA[:4], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(TEXTS[:300], trainer)
    made.add_special_tokens(["<mask>"])  # its id is that after the model's own
    return surrounded(made, "<s>", "</s>")


def words() -> Tokenizer:
    splitter = pre_tokenizers.Whitespace()
    known = sorted({word for text in TEXTS for word, _ in splitter.pre_tokenize_str(text)})
    ids = {word: number for number, word in enumerate((*NAMES, *known))}
    made = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    made.pre_tokenizer = splitter
    return surrounded(made, "[CLS]", "[SEP]")


def surrounded(made: Tokenizer, first: str, last: str) -> Tokenizer:
    ids = made.get_vocab()
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(token, ids[token]) for token in (first, last)],
    )
    return made


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "WordPiece": wordpiece,
    "BPE of bytes": bytes_bpe,
    "BPE of words": words_bpe,
    "Unigram": unigram,
    "WordLevel": words,
}


def wrapped(made: Tokenizer) -> Any:
    names = NAMES if "[PAD]" in made.get_vocab() else ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=128, **dict(zip(roles, names, strict=True))
    )


@pytest.fixture(scope="module", params=KINDS)
def whole(request: pytest.FixtureRequest) -> Any:
    return wrapped(KINDS[request.param]())


def cut(whole: Any, texts: list[str]) -> tuple[Any, dict[int, int]]:
    state = state_of(whole)
    kept = used_tokens(state, texts)
    places = {old: new for new, old in enumerate(sorted(kept))}
    return with_places(whole, state, places), places


SOME = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12)
quick = settings(max_examples=25, deadline=None)


@quick
@given(texts=SOME)
def test_the_texts_keep_their_pieces_and_tokens_their_names(whole: Any, texts: list[str]) -> None:
    found, places = cut(whole, texts)
    for text in texts:
        assert found(text)["input_ids"] == [places[old] for old in whole(text)["input_ids"]]
    pairs = list(zip(texts, texts[::-1], strict=True))
    for one, other in pairs:
        old, new = whole(one, other), found(one, other)
        assert new["input_ids"] == [places[number] for number in old["input_ids"]]
        assert new.encodings[0].type_ids == old.encodings[0].type_ids
    assert sorted(places.values()) == list(range(len(places)))
    assert sorted(found.get_vocab().values()) == list(range(len(places)))
    for old, new in places.items():
        token = whole.convert_ids_to_tokens(old)
        assert found.convert_ids_to_tokens(new) == token
        assert found.convert_tokens_to_ids(token) == new
    for role in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"):
        assert getattr(found, role) == getattr(whole, role)


@quick
@given(texts=SOME, other=st.text(max_size=60))
def test_no_text_fails(whole: Any, texts: list[str], other: str) -> None:
    found, places = cut(whole, texts)
    ids = found(other)["input_ids"]
    assert all(0 <= number < len(places) for number in ids)
    assert ids[0] == found.cls_token_id
    assert ids[-1] == found.sep_token_id


@quick
@given(texts=SOME, other=st.text(alphabet=st.sampled_from("abcdefghij tuvé日x̂"), max_size=40))
def test_pieces_of_pieces_are_those_of_the_text(whole: Any, texts: list[str], other: str) -> None:
    """Where nothing is unknown before, nothing is after, but with whole words alone."""
    found, _ = cut(whole, texts)
    before = whole(other)["input_ids"].count(whole.unk_token_id)
    after = found(other)["input_ids"].count(found.unk_token_id)
    if type(whole.backend_tokenizer.model).__name__ == "WordLevel":
        assert after >= before
    elif not before:
        assert not after
        said = [
            one.decode(one(other)["input_ids"], skip_special_tokens=True) for one in (whole, found)
        ]
        assert said[0].replace("##", "").replace(" ", "") == said[1].replace("##", "").replace(
            " ", ""
        )


@quick
@given(texts=SOME)
def test_what_was_unknown_as_a_whole_stays_so(whole: Any, texts: list[str]) -> None:
    """Of a word that WordPiece gives up the pieces before that are kept: none leads on."""
    unknown = [text for text in TEXTS if whole.unk_token_id in whole(text)["input_ids"]]
    found, places = cut(whole, [*texts, *unknown])
    for text in unknown:
        assert found(text)["input_ids"] == [places[old] for old in whole(text)["input_ids"]]


def test_a_word_that_is_given_up_is_so_with_fewer_pieces() -> None:
    """Without 'ab' the pieces 'a' and '##bcd' would make of 'abcd' what was unknown."""
    ids = {token: number for number, token in enumerate([*NAMES, "a", "ab", "##bcd", "x"])}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    whole = wrapped(surrounded(made, "[CLS]", "[SEP]"))
    assert whole.tokenize("abcd") == ["[UNK]"]
    found, _ = cut(whole, ["abcd", "xbcd"])
    assert found.tokenize("abcd") == ["[UNK]"]
    assert {"a", "ab", "##bcd"} <= found.get_vocab().keys()


# Models

MODELS = {
    "distilbert": ("WordPiece", lambda n: transformers.DistilBertConfig(
        vocab_size=n, dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=140)),
    "bert": ("WordPiece", lambda n: transformers.BertConfig(
        vocab_size=n, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=140)),
    "mpnet": ("Unigram", lambda n: transformers.MPNetConfig(
        vocab_size=n, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=140, pad_token_id=1)),
    "roberta": ("BPE of bytes", lambda n: transformers.RobertaConfig(
        vocab_size=n, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=140, pad_token_id=1, bos_token_id=0,
        eos_token_id=2)),
    "xlm-roberta": ("Unigram", lambda n: transformers.XLMRobertaConfig(
        vocab_size=n, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=140, pad_token_id=1, bos_token_id=0,
        eos_token_id=2)),
    "deberta-v2": ("Unigram", lambda n: transformers.DebertaV2Config(
        vocab_size=n, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=140, pad_token_id=1)),
}  # fmt: skip


def saved(kind: str, folder: Path) -> Path:
    tokens, config = MODELS[kind]
    tokenizer = wrapped(KINDS[tokens]())
    torch.manual_seed(0)
    made = config(len(tokenizer) + 3)  # as many have rows that no token stands for
    made.id2label = {0: "bad", 1: "good"}
    model = transformers.AutoModelForSequenceClassification.from_config(made)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text("A card.\n")
    (folder / "vocab.txt").write_text("of the whole vocabulary\n")
    return folder


@torch.inference_mode()
def logits(folder: Path, texts: list[str]) -> torch.Tensor:
    tokenizer, model = load_tokenizer(str(folder)), load_any_classifier(str(folder)).eval()
    return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_with_fewer_tokens_answers_its_texts_as_before(kind: str, tmp_path: Path) -> None:
    folder, out = saved(kind, tmp_path / "whole"), tmp_path / "out"
    texts = TEXTS[:6]
    trimmed = trim_vocabulary(folder, out, iter(texts))
    assert trimmed.tokens < trimmed.before
    assert torch.equal(logits(folder, texts), logits(out, texts))
    config = json.loads((out / "config.json").read_text())
    tokenizer = load_tokenizer(str(out))
    assert config["vocab_size"] == trimmed.tokens == len(tokenizer)
    assert config["pad_token_id"] == tokenizer.pad_token_id
    before, after = (load_file(one / "model.safetensors") for one in (folder, out))
    assert before.keys() == after.keys()
    (cut_name,) = (name for name in before if before[name].shape != after[name].shape)
    assert torch.equal(after[cut_name], before[cut_name][sorted(trimmed.places)])
    assert all(torch.equal(before[n], after[n]) for n in before if n != cut_name)
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "model.safetensors", "README.md"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    assert "was trimmed to" in (out / "README.md").read_text()


def test_plain_transformers_loads_it(tmp_path: Path) -> None:
    folder = saved("roberta", tmp_path / "whole")
    trim_vocabulary(folder, tmp_path / "out", TEXTS[:4])
    program = f"""
import sys
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder = {str(tmp_path / "out")!r}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
print(model(**tokenizer([{TEXTS[0]!r}], return_tensors="pt")).logits.tolist())
assert "prunecli" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert torch.allclose(
        torch.tensor(json.loads(done.stdout.splitlines()[-1])), logits(folder, TEXTS[:1]), atol=1e-6
    )


def test_weights_in_several_files(tmp_path: Path) -> None:
    folder = saved("distilbert", tmp_path / "whole")
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[:5], "model-2.safetensors": names[5:]}
    for file, own in parts.items():
        save_file({name: tensors[name] for name in own}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: f for f, own in parts.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    trim_vocabulary(folder, tmp_path / "out", TEXTS[:6])
    assert not (tmp_path / "out" / "model.safetensors.index.json").exists()
    assert torch.equal(logits(folder, TEXTS[:6]), logits(tmp_path / "out", TEXTS[:6]))


def test_what_cannot_be_done_soundly_is_refused(tmp_path: Path) -> None:
    folder = saved("distilbert", tmp_path / "whole")
    with pytest.raises(InputError, match="no texts"):
        trim_vocabulary(folder, tmp_path / "a", [])
    made = load_tokenizer(str(folder))
    state = state_of(made)
    assert set(token_ids(state).values()) == set(range(len(made)))

    class Slow:
        """A tokenizer of Python's own."""

    with pytest.raises(InputError, match="the vocabulary of a Slow tokenizer cannot be trimmed"):
        state_of(Slow())  # type: ignore[arg-type]
