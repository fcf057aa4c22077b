"""Loading classifiers and judging what is in a folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from prunecli.errors import InputError
from prunecli.models import hub as whereabouts
from prunecli.models import loading as models
from prunecli.models.labels import label_order
from prunecli.models.positions import check_positions
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task


@pytest.fixture
def folder(swept: Workspace, baseline: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(swept.run_dir(baseline) / "model", tmp_path / "model"))


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("distilbert-base-uncased", False),
        ("org/model", False),
        ("./org", True),
        ("../model", True),
        ("/models/x", True),
        ("~/models/x", True),
        ("a/b/c", True),
    ],
)
def test_what_is_meant_as_a_path(name: str, local: bool) -> None:
    assert models.is_local(name) is local


def test_the_fingerprint_is_of_the_content(folder: Path, tmp_path: Path) -> None:
    first = models.model_fingerprint(str(folder))
    assert first.startswith("sha256:")
    moved = folder.rename(tmp_path / "moved")
    (moved / "README.md").write_text("notes do not count")
    assert models.model_fingerprint(str(moved)) == first
    (moved / "vocab.txt").write_text("but a vocabulary does")
    assert models.model_fingerprint(str(moved)) != first
    assert models.model_fingerprint("distilbert-base-uncased") == "distilbert-base-uncased"


def config(labels: dict[int, str]) -> SimpleNamespace:
    return SimpleNamespace(id2label=labels)


def test_label_order_by_name() -> None:
    mnli = get_task("mnli")
    shuffled = config({0: "CONTRADICTION", 1: "Entailment", 2: "neutral"})
    assert label_order(shuffled, mnli, "m") == [1, 2, 0]
    silent = config({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"})
    assert label_order(silent, mnli, "m") == [0, 1, 2]
    assert label_order(config({0: "score"}), get_task("stsb"), "m") == [0]
    with pytest.raises(InputError, match="trained for other labels"):
        label_order(config({0: "yes", 1: "no", 2: "maybe"}), mnli, "m")
    with pytest.raises(InputError, match="trained for other labels"):  # numbered from 1
        label_order(config(dict(enumerate(mnli.label_names, 1))), mnli, "m")


def test_what_the_owner_said_comes_before_names() -> None:
    said = config({0: "negative", 1: "positive"})
    said.task_labels = ["positive", "negative"]
    assert label_order(said, get_task("sst2"), "m") == [1, 0]
    said.task_labels = ["good", "bad"]  # of another task
    assert label_order(said, get_task("sst2"), "m") == [0, 1]


@pytest.mark.parametrize(
    ("said", "order"),
    [
        ([1, 0], [1, 0]),
        ([0, 1], [0, 1]),
        (["1", 0], [1, 0]),
        ([1, 1], [0, 1]),  # the rest say nothing that can be used: the names are taken
        ([True, False], [0, 1]),
        ([1.0, 0.0], [0, 1]),
        ([[1], {}], [0, 1]),
        ([], [0, 1]),
        ({"0": 1}, [0, 1]),
        ("10", [0, 1]),
        (7, [0, 1]),
    ],
)
def test_what_a_file_says_of_labels_may_be_of_any_type(said: object, order: list[int]) -> None:
    task = replace(get_task("sst2"), label_names=("0", "1"))
    made = config({0: "0", 1: "1"})
    made.task_labels = said
    assert label_order(made, task, "m") == order


def test_a_new_head_follows_from_the_seed(folder: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(folder).save_pretrained(folder)
    mnli = get_task("mnli")
    a, b, c = (models.load_for_training(str(folder), mnli, seed) for seed in (1, 1, 2))
    assert torch.equal(a.classifier.weight, b.classifier.weight)
    assert not torch.equal(a.classifier.weight, c.classifier.weight)
    assert a.config.id2label == dict(enumerate(mnli.label_names))
    assert a.config.num_labels == 3
    stsb = models.load_for_training(str(folder), get_task("stsb"), 1)
    assert (stsb.config.num_labels, stsb.config.problem_type) == (1, "regression")


def test_weights_come_back_in_float32(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    found = models.load_classifier(str(folder), get_task("sst2"))
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}


def test_lengths_and_tokenizers_that_fit(folder: Path) -> None:
    model = models.load_classifier(str(folder), get_task("sst2"))
    check_positions(model.config, model.config.max_position_embeddings)
    with pytest.raises(InputError, match="reads at most"):
        check_positions(model.config, model.config.max_position_embeddings + 1)
    models.check_tokenizer(model, models.load_tokenizer(str(folder)))
    vocabulary = {"word": model.config.vocab_size}
    with pytest.raises(InputError, match="ids go up to"):
        models.check_tokenizer(model, SimpleNamespace(get_vocab=lambda: vocabulary))


def test_the_hub_is_asked_once_and_a_folder_never(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def info(self: object, name: str, **_: object) -> None:
        asked.append(name)
        raise ConnectionError

    whereabouts.ask_hub.cache_clear()
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", info)
    for _ in range(2):
        with pytest.raises(InputError, match="cannot be loaded from the hub") as caught:
            models.load_tokenizer("no-one/nothing")
    assert "--demo" in str(caught.value.hint)
    with pytest.raises(InputError):
        models.load_tokenizer("./no/such/folder")
    assert asked == ["no-one/nothing"]
    whereabouts.ask_hub.cache_clear()


def test_round_trip(folder: Path, tmp_path: Path) -> None:
    model = models.load_classifier(str(folder), get_task("sst2"))
    models.save_model(model, models.load_tokenizer(str(folder)), tmp_path / "saved")
    again = models.load_classifier(str(tmp_path / "saved"), get_task("sst2"))
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not list((tmp_path / "saved").glob("*.bin"))
