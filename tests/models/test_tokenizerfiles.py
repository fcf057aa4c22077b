"""Vocabularies of SentencePiece and tiktoken: read where the package is, else told which extra."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import folders
import pytest
from calling import call, refused

from prunecli.errors import InputError
from prunecli.models import loading

SPM = b"\x0a\x0e\x0a\x05<unk>\x15"
RANKS = [bytes([number]) for number in range(256)] + [b"go", b"od", b"good"]
TIKTOKEN = "".join(f"{base64.b64encode(t).decode()} {i}\n" for i, t in enumerate(RANKS)).encode()


def bare(folder: Path, kind: str, file: str, content: bytes) -> Path:
    """A model folder with this one file for a tokenizer."""
    folders.classifier(kind, vocab_size=300).save_pretrained(folder)
    (folder / file).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("kind", "file", "content", "package"),
    [
        ("deberta-v2", "spm.model", SPM, "sentencepiece"),
        ("xlm-roberta", "sentencepiece.bpe.model", SPM, "sentencepiece"),
        ("camembert", "sentencepiece.bpe.model", SPM, "sentencepiece"),
        ("rembert", "sentencepiece.model", SPM, "sentencepiece"),
        ("llama", "tokenizer.model", SPM, "sentencepiece"),
        ("llama", "tokenizer.model", TIKTOKEN, "tiktoken"),
    ],
)
def test_without_its_package_one_line_names_the_extra(
    kind: str,
    file: str,
    content: bytes,
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from prunecli.machine import extras

    there = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == package else there(name))
    folder = bare(tmp_path / "model", kind, file, content)
    data = tmp_path / "d.csv"
    data.write_text(folders.rows(10))
    done = call("evaluate", folder, "--task", "sst2", "--data", data, "-w", tmp_path / "w")
    refused(done, 3, f"{file} and no tokenizer.json, needs the package {package}")
    assert f"pip install 'prunecli[{package}]'" in done.err


def test_what_reads_the_models_of_sentencepiece_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunecli.machine import extras

    monkeypatch.setattr(extras, "find_spec", lambda _: True)
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    folder = bare(tmp_path / "model", "deberta-v2", "spm.model", SPM)
    with pytest.raises(InputError) as caught:
        loading.load_tokenizer(str(folder))
    assert caught.value.hint == "pip install 'prunecli[sentencepiece]'"


def test_a_vocabulary_that_is_ready_asks_for_nothing(tmp_path: Path) -> None:
    folder = folders.saved(tmp_path / "model", folders.classifier("bert", pad_token_id=1))
    (folder / "spm.model").write_bytes(SPM)
    assert loading.load_tokenizer(str(folder)).pad_token == "[PAD]"


def test_tiktoken_reads_its_own(tmp_path: Path) -> None:
    pytest.importorskip("tiktoken", reason="the extra tiktoken is not installed")
    folder = bare(tmp_path / "model", "llama", "tokenizer.model", TIKTOKEN)
    found = loading.load_tokenizer(str(folder))
    ids = found("good")["input_ids"]
    assert [RANKS[number] for number in ids] == [b"good"]


@pytest.mark.parametrize(
    ("kind", "file"), [("deberta-v2", "spm.model"), ("xlm-roberta", "sentencepiece.bpe.model")]
)
def test_sentencepiece_reads_its_own(kind: str, file: str, tmp_path: Path) -> None:
    pieces = pytest.importorskip("sentencepiece", reason="the extra sentencepiece is not installed")
    pytest.importorskip("google.protobuf", reason="the extra sentencepiece is not installed")
    (tmp_path / "text").write_text(folders.rows(90))
    pieces.SentencePieceTrainer.train(
        input=str(tmp_path / "text"),
        model_prefix=str(tmp_path / "made"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    folder = bare(tmp_path / "model", kind, file, (tmp_path / "made.model").read_bytes())
    found = loading.load_tokenizer(str(folder))
    text = "a good film is really good"
    assert found.decode(found(text)["input_ids"], skip_special_tokens=True).strip() == text
