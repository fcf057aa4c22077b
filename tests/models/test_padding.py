"""Models without a padding token, and models and tokenizers that do not agree on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folders
import pytest
import torch
import transformers
from calling import call, refused
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from prunecli.core.activations import visit_inputs
from prunecli.core.scope import prunable
from prunecli.models import loading as models
from prunecli.models.padding import OwnLength
from prunecli.runtimes.opening import load
from prunecli.store.workspace import Workspace

SETTINGS = {
    "llama": {"num_key_value_heads": 1},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": folders.LENGTH},
    "opt": {"word_embed_proj_dim": 16, "ffn_dim": 24},
}
TEXTS = ("a good film", "it is really never dull", "bad")


def decoder(architecture: str, **settings: Any) -> Any:
    given = {"pad_token_id": None, "bos_token_id": 1, "eos_token_id": 1}
    return folders.classifier(architecture, **{**SETTINGS[architecture], **given, **settings})


def alone(folder: Path) -> torch.Tensor:
    """The answer to each text by itself, at its last token: nothing is padded."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, pad_token_id=None)
    words = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return torch.cat([model(**words(text, return_tensors="pt")).logits for text in TEXTS])


def together(folder: Path) -> torch.Tensor:
    """The answers to all texts in one padded batch, as this package loads model and tokenizer."""
    model = models.load_any_classifier(str(folder))
    words = models.load_tokenizer(str(folder))
    with torch.no_grad():
        return model(**words(list(TEXTS), padding=True, return_tensors="pt")).logits


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize(
    ("said", "special", "used"),
    [
        (None, {"eos_token": "<end>"}, "<end>"),
        (None, {"eos_token": "<end>", "pad_token": "<pad>"}, "<pad>"),
        (2, {"eos_token": "<end>", "bos_token": "<go>"}, "<go>"),  # the configuration's
        (6, {"eos_token": "<end>", "pad_token": "<pad>"}, "<pad>"),  # they do not agree
        (-1, {"eos_token": "<end>"}, "<end>"),  # how some say that there is none
    ],
)
def test_an_answer_does_not_depend_on_padding(
    architecture: str, said: int | None, special: dict[str, str], used: str, tmp_path: Path
) -> None:
    model = decoder(architecture)
    folder = folders.saved(tmp_path, model, folders.tokenizer(**special))
    wanted = alone(folder)
    model.config.pad_token_id = said
    model.config.save_pretrained(folder)
    assert models.load_tokenizer(str(folder)).pad_token == used
    assert torch.allclose(together(folder), wanted, atol=1e-5)
    assert load(folder)(input_ids=torch.ones(3, 4).long()).logits.shape == (3, 2)


def test_encoders_are_left_as_they_are(tmp_path: Path) -> None:
    """Their mask says what is padding, and RoBERTa would number its positions otherwise."""
    roberta = folders.classifier("roberta", pad_token_id=1)
    folder = folders.saved(tmp_path, roberta, folders.tokenizer(cls_token="<s>", pad_token="<p>"))
    assert models.load_tokenizer(str(folder)).pad_token_id == 2
    assert models.load_any_classifier(str(folder)).config.pad_token_id == 1


def test_what_was_chosen_is_told_and_saved(tmp_path: Path) -> None:
    folder = folders.saved(
        tmp_path / "llama", decoder("llama"), folders.tokenizer(eos_token="<end>")
    )
    data, workspace = tmp_path / "d.csv", Workspace(tmp_path / "w")
    data.write_text(folders.rows(60))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    done = call(
        *("prune", "--from", folder, "--task", "sst2", "--data", data, "--level", "0.5"),
        *("--epochs", "1", "--calibration-samples", "16", "-w", workspace.root),
    )
    assert done.code == 0, done.err
    assert done.err.count("has no padding token: '<end>' (id 1), which ends a text, stands in") == 1
    for name in workspace.names():
        made = workspace.run_dir(name) / "model"
        stock = AutoModelForSequenceClassification.from_pretrained(made)
        words = AutoTokenizer.from_pretrained(made)
        assert (stock.config.pad_token_id, words.pad_token) == (1, "<end>")
        found = stock(**words(list(TEXTS), padding=True, return_tensors="pt")).logits
        assert torch.allclose(found, alone(made), atol=1e-5)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("command", ["evaluate", "prune", "train-baseline"])
def test_without_any_token_to_stand_in_it_is_refused_first(command: str, tmp_path: Path) -> None:
    folder = folders.saved(tmp_path / "llama", decoder("llama"), folders.tokenizer())
    data = tmp_path / "d.csv"
    data.write_text(folders.rows(40))
    arguments = {
        "evaluate": ["evaluate", folder],
        "prune": ["prune", "--from", folder, "--level", "0.5"],
        "train-baseline": ["train-baseline", "--model", folder],
    }[command]
    done = call(*arguments, "--task", "sst2", "--data", data, "-w", tmp_path / "w")
    refused(done, 3, "its tokenizer has no padding token", "set tokenizer.pad_token")
    assert Workspace(tmp_path / "w").names() == []


def test_two_that_do_not_agree_are_told(tmp_path: Path) -> None:
    special = {"eos_token": "<end>", "pad_token": "<pad>"}
    model = decoder("llama", pad_token_id=6)
    folder, data = folders.saved(tmp_path / "m", model, folders.tokenizer(**special)), tmp_path
    (data / "d.csv").write_text(folders.rows(10))
    done = call(
        *("evaluate", folder, "--task", "sst2", "--data", data / "d.csv", "-w", tmp_path / "w")
    )
    assert done.code == 0, done.err
    assert "takes token 6 for padding, and its tokenizer gives '<pad>' (id 2)" in done.err


def test_a_teacher_takes_the_padding_of_its_student(tmp_path: Path) -> None:
    from prunecli.pipelines.teacher import TeacherSource
    from prunecli.tasks import get_task

    special = {"eos_token": "<end>", "pad_token": "<pad>"}
    folder = folders.saved(tmp_path, decoder("llama"), folders.tokenizer(**special))
    student = folders.tokenizer(**special)
    student.pad_token = "<end>"
    teacher = TeacherSource("t", str(folder))
    assert teacher.load(get_task("sst2"), 16, student).config.pad_token_id == student.eos_token_id


@pytest.mark.parametrize(
    ("tokens", "longformer", "bigbird"), [(20, 32, 20), (28, 32, 28), (30, 32, 32)]
)
def test_the_length_to_which_models_pad_by_themselves(
    tokens: int, longformer: int, bigbird: int
) -> None:
    windows, blocks = (kind(each) for kind, each in zip((_windows, _blocks), (16, 4), strict=True))
    assert OwnLength.of(windows.config)(tokens) == longformer
    assert OwnLength.of(blocks.config)(tokens) == bigbird
    assert OwnLength.of(transformers.BertConfig())(tokens) == tokens


@pytest.mark.parametrize("tokens", [20, 28, 30, 37])
@pytest.mark.parametrize("kind", ["longformer", "big_bird"])
def test_what_models_pad_by_themselves_is_not_read_as_words(kind: str, tokens: int) -> None:
    model = _windows(16) if kind == "longformer" else _blocks(4)
    ids = torch.randint(3, 90, (2, tokens), generator=torch.Generator().manual_seed(tokens))
    mask = torch.ones_like(ids)
    ids[1, tokens - 7 :], mask[1, tokens - 7 :] = 1, 0
    longer = OwnLength.of(model.config)(tokens) - tokens
    batch = {
        "input_ids": torch.nn.functional.pad(ids, (0, longer), value=1),
        "attention_mask": torch.nn.functional.pad(mask, (0, longer)),
    }
    weights = {name: each for name, each in prunable(model).items() if "global" not in name}
    rows: dict[str, int] = {}
    visit_inputs(model, weights, [batch], lambda name, inputs: rows.update({name: len(inputs)}))
    assert weights.keys() == rows.keys()
    assert {found for name, found in rows.items() if ".layer." in name} == {2 * tokens - 7}
    with torch.no_grad():  # and the answers are those to the texts as they are
        given = model(input_ids=ids, attention_mask=mask).logits
        assert torch.allclose(model(**batch).logits, given, atol=1e-6)


def _windows(size: int) -> Any:
    return folders.classifier(
        "longformer", vocab_size=90, pad_token_id=1, attention_window=[size, 4]
    )


def _blocks(size: int) -> Any:
    return folders.classifier(
        "big_bird", vocab_size=90, pad_token_id=1, block_size=size, num_random_blocks=1
    )
