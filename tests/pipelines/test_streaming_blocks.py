"""Reconstruction with one block in memory leaves what reconstruction in memory does, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import folders
import pytest
import torch
from calling import Called, call, refused
from encoders.zoo import ENCODERS, Encoder, batch, classifier, encoder
from safetensors.torch import load_file

from prunecli.core import reconstruction
from prunecli.core.engine import plan, prune_, removals_apart
from prunecli.core.evidence import Evidence
from prunecli.models.loading import load_any_classifier
from prunecli.pipelines.streaming import Asked, stream, streamed, write
from prunecli.pipelines.streaming.blocks import Blocks
from prunecli.pipelines.streaming.calibrated import Calibration
from prunecli.pipelines.streaming.plan import Learning
from prunecli.pipelines.streaming.spill import Spill, bytes_of
from prunecli.progress import Silent
from prunecli.store.masks import load_mask

HOW = ("--criterion", "reconstruction", "--strategy", "layerwise", "--sparsity", 0.5)
CUT = ("ALBERT", "Funnel", "SqueezeBERT", "OpenAI GPT", "BART", "T5")
"""Encoders that cannot be cut into blocks which follow each other."""
USUAL = (
    ("DistilBERT", torch.float32, "layerwise"),
    ("BERT", torch.bfloat16, "global"),
    ("MPNet", torch.float32, "layerwise"),
    ("ModernBERT", torch.float16, "layerwise"),
    ("DeBERTa-v2", torch.float32, "global"),
    ("GPT-2", torch.float32, "global"),
    ("Llama", torch.bfloat16, "layerwise"),
    ("Qwen3", torch.bfloat16, "global"),
)
Prune = Callable[..., Called]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    path.write_text(folders.rows(40))
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier in one file of float32."""
    model = folders.classifier("bert", pad_token_id=1)
    return folders.saved(tmp_path_factory.mktemp("one") / "model", model)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "out"


@pytest.fixture
def prune(out: Path, data: Path) -> Prune:
    def run(source: Path, *more: object) -> Called:
        learnt = ("--task", "sst2", "--data", data, "--calibration-samples", 24)
        return call("prune", "--stream", "--from", source, "--output", out, *learnt, *more)

    return run


def compare(row: Encoder, folder: Path, dtype: torch.dtype, strategy: str) -> None:
    """Every number that is left, and every bit of the mask, with a model whole in memory."""
    made = classifier(row).to(dtype)
    # In some of the cases several files, in others one.
    size = "8KB" if len(row.title) % 2 else "5GB"
    made.save_pretrained(folder / "model", max_shard_size=size, save_original_format=False)
    whole = load_any_classifier(str(folder / "model"))
    batches = [batch(whole, 4, 9, seed=1), batch(whole, 3, 7, seed=2)]
    how = {"strategy": strategy, "criterion": "reconstruction"}
    mask = prune_(whole, 0.5, **how, evidence=Evidence(whole, batches))

    made_of = streamed(str(folder / "model"), Asked(0.5, **how))
    blocks = Blocks(made_of.model, made_of.names, made_of.places)
    blocks.open()
    answer = bytes_of(blocks.first_answer(batches[0]))
    given = Calibration(batches, 7, row.title, "made up", 9)
    made_of = replace(made_of, learning=Learning(given, blocks, 4 * answer))
    stream(made_of, folder / "out", "prune", Silent())

    assert load_mask(folder / "out" / "mask.safetensors") == mask
    expected, found = whole.state_dict(), dict[str, torch.Tensor]()
    for file in (folder / "out" / "model").glob("*.safetensors"):
        found |= load_file(file)
    assert found.keys() <= expected.keys()
    for name, tensor in found.items():
        assert tensor.dtype == dtype
        assert torch.equal(tensor, expected[name].to(dtype)), name
    # What is not in its turn is not in memory.
    held = [p for block in blocks.all for p in block.parameters() if p.numel() > 1]
    assert all(parameter.untyped_storage().nbytes() == 4 for parameter in held)


@pytest.mark.parametrize(("title", "dtype", "strategy"), USUAL)
def test_every_number_is_that_of_reconstruction_in_memory(
    title: str, dtype: torch.dtype, strategy: str, tmp_path: Path
) -> None:
    compare(encoder(title), tmp_path, dtype, strategy)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["global", "layerwise"])
@pytest.mark.parametrize(
    "row", [row for row in ENCODERS if row.title not in CUT], ids=lambda row: row.title
)
def test_so_is_it_for_every_other_encoder(row: Encoder, strategy: str, tmp_path: Path) -> None:
    compare(row, tmp_path, torch.float32, strategy)


@pytest.mark.parametrize(
    "title",
    [
        # Blocks that are called again, in several lists, and that give what is not kept.
        *("ALBERT", "T5", "SqueezeBERT"),
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("Funnel", "OpenAI GPT", "BART")),
    ],
)
def test_a_model_without_blocks_in_turn_is_refused_before_anything_is_written(
    title: str, prune: Prune, out: Path, tmp_path: Path
) -> None:
    labels = ("negative", "positive")
    named = {"id2label": dict(enumerate(labels)), "label2id": {labels[0]: 0, labels[1]: 1}}
    model = classifier(encoder(title), **named)
    source = tmp_path / "model"
    model.save_pretrained(source, save_original_format=False)
    folders.tokenizer(pad_token="[PAD]", eos_token="</s>").save_pretrained(source)
    refused(prune(source, *HOW), 3, "without --stream, or by magnitude")
    assert not out.parent.exists()


@pytest.fixture(scope="module")
def in_memory(source: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the same options make in a workspace."""
    place = tmp_path_factory.mktemp("workspace")
    done = call(
        "prune", "--from", source, *HOW, "--task", "sst2", "--data", data,
        "--calibration-samples", 24, "-w", place, "-q",
    )  # fmt: skip
    assert done.code == 0, done.err
    (run,) = (place / "runs").glob("*-reconstruction-*")
    return run


def test_the_files_are_those_of_the_run_in_memory(
    prune: Prune, source: Path, out: Path, in_memory: Path
) -> None:
    done = prune(source, *HOW)
    assert done.code == 0, done.err
    for file in ("model/model.safetensors", "mask.safetensors"):
        assert (out / file).read_bytes() == (in_memory / file).read_bytes()
    assert sorted(path.name for path in out.iterdir()) == [
        "mask.safetensors", "model", "summary.json",
    ]  # fmt: skip
    assert list(out.parent.iterdir()) == [out]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["removed"] == {
        name: layer["size"] // 2 for name, layer in summary["layers"].items()
    }
    learnt = summary["calibration"]
    assert (learnt["task"], learnt["examples"], learnt["silent"]) == ("sst2", 24, [])
    # Two numbers of four bytes, dense and pruned, for each of sixteen dimensions of a token.
    assert learnt["spilled"] == learnt["tokens"] * 16 * 4 * 2


def test_numbers_are_those_of_the_run_in_memory_rounded_to_what_was_stored(
    prune: Prune, out: Path, tmp_path: Path, data: Path
) -> None:
    source, dtype = tmp_path / "model", torch.bfloat16
    made = folders.classifier("llama", num_key_value_heads=1, pad_token_id=1).to(dtype)
    made.save_pretrained(source, max_shard_size="4KB")
    folders.tokenizer(pad_token="[PAD]").save_pretrained(source)
    assert prune(source, *HOW, "--pattern", "2:4", "-q").code == 0
    done = call(
        "prune", "--from", source, *HOW, "--pattern", "2:4", "--task", "sst2", "--data", data,
        "--calibration-samples", 24, "-w", tmp_path / "ws", "-q",
    )  # fmt: skip
    assert done.code == 0, done.err
    (run,) = (tmp_path / "ws" / "runs").glob("*-reconstruction-*")
    whole = load_file(run / "model" / "model.safetensors")
    files = sorted((out / "model").glob("*.safetensors"))
    assert len(files) > 2
    for file in files:
        for name, tensor in load_file(file).items():
            assert torch.equal(tensor, whole[name].to(dtype)), name
    mask = load_mask(out / "mask.safetensors")
    assert mask == load_mask(run / "mask.safetensors")
    mask.verify(load_any_classifier(str(out / "model")))


@pytest.mark.parametrize("pattern", ["unstructured", "2:4", "block:2x4"])
def test_budgets_apart_are_those_of_a_plan(pattern: str) -> None:
    model = folders.classifier("bert", pad_token_id=1)
    how = {"strategy": "layerwise", "pattern": pattern}
    for level in (0.0, 0.3, 0.5):
        assert removals_apart(model, level, **how) == plan(model, [level], **how).removals(level)


def test_what_stopped_leaves_nothing_and_is_begun_anew(
    prune: Prune, out: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = out.parent / ".out.partial" / write.SPILL / "dense"
    left.mkdir(parents=True)  # as of a process that was killed
    (left / "0.safetensors").write_bytes(b"half")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("prunecli.pipelines.streaming.spill.save_file", full)
        refused(prune(source, *HOW), 3, "hidden states cannot be written", "No space left")
    assert list(out.parent.iterdir()) == []
    assert prune(source, *HOW, "-q").code == 0
    assert list(out.parent.iterdir()) == [out]


def test_a_lack_of_memory_in_the_middle_is_told_and_leaves_nothing(
    prune: Prune, out: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve = reconstruction._solve
    asked: list[object] = []

    def lacking(*given: Any) -> Any:
        asked.append(given)
        if len(asked) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return solve(*given)

    monkeypatch.setattr(reconstruction, "_solve", lacking)
    refused(prune(source, *HOW), 3, "out of memory")
    assert list(out.parent.iterdir()) == []


def test_a_dry_run_says_what_is_spilled_and_the_disk_is_asked_for_it(
    prune: Prune, out: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = prune(source, *HOW, "--dry-run", "--json").json
    assert said["spilled"] > 0
    monkeypatch.setattr(write, "free_disk", lambda _: said["bytes"])
    refused(prune(source, *HOW), 3, "of hidden states, will take")
    assert not out.exists()


def test_what_cannot_be_reconstructed_so_is_refused_in_a_line(
    prune: Prune, out: Path, source: Path, tmp_path: Path
) -> None:
    refused(prune(source, *HOW, "--epochs", 1), 2, "--epochs has no place")
    refused(prune(source, "--sparsity", 0.5), 2, "looks at no examples", "reconstruction")
    refused(prune(source, *HOW, "--task", "sst2", "qqp"), 2, "one model")
    refused(prune(source, *HOW, "--max-seq-length", 5000), 3, "5000")
    zeros = folders.zeroed(folders.classifier("bert", pad_token_id=1), 0.6)
    sparse = folders.saved(tmp_path / "sparse", zeros)
    refused(prune(sparse, *HOW), 2, "--revive-zeros")
    assert not out.exists()


@pytest.mark.parametrize(
    "answer",
    [
        torch.arange(24.0).view(2, 3, 4),
        torch.arange(24.0).view(2, 3, 4).transpose(0, 1),
        (torch.ones(2, 3), None, torch.zeros(1, dtype=torch.int64)),
    ],
)
def test_what_a_block_gave_comes_back_as_it_was(answer: Any, tmp_path: Path) -> None:
    spill = Spill(tmp_path)
    spill[7] = answer
    found = spill[7]
    members = answer if isinstance(answer, tuple) else (answer,)
    again = found if isinstance(answer, tuple) else (found,)
    assert isinstance(found, type(answer))
    for one, other in zip(members, again, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.equal(one, other)
            assert one.dtype == other.dtype
            assert one.stride() == other.stride()
