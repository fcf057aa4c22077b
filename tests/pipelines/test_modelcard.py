"""The card of a run's model: its header for the hub, what it says, and what it withstands."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from calling import Called
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from prunecli.evaluation.statistics import Interval, wilson
from prunecli.models.loading import model_fingerprint
from prunecli.records.runs import (
    BaselineSpec,
    DataInfo,
    DistillationSpec,
    EvaluationSpec,
    LayerSparsity,
    MachineInfo,
    ModelInfo,
    PrunedSpec,
    RunRecord,
    TrainingInfo,
    TrainingSpec,
    run_name,
)
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.shown.modelcard import model_card
from prunecli.store.predictions import Predictions, load_predictions
from prunecli.store.workspace import Workspace
from prunecli.tasks import TASKS

Prune = Callable[..., Called]

HUB = "distilbert-base-uncased@12040accade4e8a0f71eabdb258fecc2e7e948be"
DATA = "d" * 64
DENSE = BaselineSpec(task="mnli", model=HUB, data=DATA)
PRUNED = PrunedSpec(
    task="mnli",
    source=run_name(DENSE),
    data=DATA,
    strategy="layerwise",
    criterion="magnitude",
    level=0.8,
)
LEARNT = TrainingInfo(steps=36_816, examples=392_702, loss=0.5, precision="bf16", device="cpu")
MACHINE = MachineInfo(
    system="Linux x86_64",
    processor="A processor",
    cores=2,
    memory_gib=23.5,
    device="cpu",
    threads=2,
    versions={"prunecli": "0.1.0", "torch": "2.13.0"},
)


def made(
    spec: BaselineSpec | PrunedSpec,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
    **changes: Any,
) -> RunRecord:
    """A record of ``spec``; MNLI of the hub unless told otherwise."""
    task = TASKS.get(spec.task)
    level = spec.level if isinstance(spec, PrunedSpec) else 0.0
    given: dict[str, Any] = {
        "name": run_name(spec),
        "spec": spec,
        "task": task.info(task.name),
        "command": "prune sweep --task mnli",
        "created": datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc),
        "data": DataInfo(
            source="hub",
            fingerprint=DATA,
            generated=False,
            evaluation_examples={"validation_matched": 9815, "validation_mismatched": 9832},
        ),
        "model": ModelInfo(
            name="distilbert-base-uncased",
            fingerprint=HUB,
            architecture="DistilBertForSequenceClassification",
            parameters=1_500,
            nonzero_parameters=1_500 - round(level * 1000),
            prunable=1_000,
        ),
        "layers": {"encoder": LayerSparsity(zeros=round(level * 1000), size=1000)},
        "metrics": metrics
        or {
            "validation_matched": {"accuracy": 8000 / 9815},
            "validation_mismatched": {"accuracy": 8100 / 9832},
        },
        "seconds": {},
        "training": LEARNT if isinstance(spec, BaselineSpec) else None,
        "machine": MACHINE,
        "files": {},
    }
    return RunRecord(**given | changes)


def generated(record: RunRecord) -> RunRecord:
    update = {"source": "generated", "generated": True}
    return record.model_copy(update={"data": record.data.model_copy(update=update)})


def header(card: str) -> Any:
    """The header, read as the hub does: between the first line and the next of three dashes."""
    first, found, _ = re.split(r"^---\n", card, maxsplit=2, flags=re.MULTILINE)
    assert first == ""
    return yaml.safe_load(found)


def body(card: str) -> str:
    return re.split(r"^---\n", card, maxsplit=2, flags=re.MULTILINE)[2]


def row(card: str, split: str, metric: str = "accuracy") -> list[str]:
    for line in card.splitlines():
        cells = [cell.strip().replace("\\", "") for cell in line.strip("|").split("|")]
        if cells[:2] == [split, metric]:
            return cells[2:]
    raise AssertionError(f"no row {split} {metric}")


def fact(card: str, key: str) -> str:
    found = re.search(rf"^- \*\*{key}:\*\* (.*)$", card, re.MULTILINE)
    assert found, key
    return found[1]


# The header


def test_header_of_a_run_on_the_hubs_data() -> None:
    record = made(PRUNED)
    found = header(model_card(record, made(DENSE)))
    results = found.pop("model-index")
    assert found == {
        "language": "en",
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "base_model": "distilbert-base-uncased",
        "datasets": ["nyu-mll/glue"],
        "metrics": ["accuracy"],
        "tags": ["prunecli", "pruning", "sparse", "unstructured"],
    }
    dataset = {"name": "GLUE MNLI", "type": "nyu-mll/glue", "config": "mnli"}
    assert results == [
        {
            "name": record.name,
            "results": [
                {
                    "task": {"type": "text-classification"},
                    "dataset": {**dataset, "split": split},
                    "metrics": [{"type": "accuracy", "value": value["accuracy"]}],
                }
                for split, value in record.metrics.items()
            ],
        }
    ]


def test_the_hubs_own_client_reads_it() -> None:
    record = made(PRUNED)
    found = ModelCard(model_card(record)).data
    assert found.model_name == record.name
    assert [result.metric_value for result in found.eval_results or []] == [
        value["accuracy"] for value in record.metrics.values()
    ]


@pytest.mark.parametrize("fingerprint", ["demo", "sha256:0123456789abcdef"])
def test_a_model_that_is_not_on_the_hub_is_no_base_model(fingerprint: str) -> None:
    record = made(PRUNED)
    for name in ("bert-base-uncased", "someone/model", "/home/someone/model"):
        changed = {"name": name, "fingerprint": fingerprint}
        own = record.model_copy(update={"model": record.model.model_copy(update=changed)})
        assert "base_model" not in header(model_card(own))


@pytest.mark.parametrize("source", ["generated", "/data/GLUE", "mine.csv", "task.toml"])
def test_data_that_is_not_of_the_hub_is_not_named_so(source: str) -> None:
    record = made(PRUNED)
    data = {"source": source, "generated": source == "generated"}
    own = record.model_copy(update={"data": record.data.model_copy(update=data)})
    found = header(model_card(own, made(DENSE)))
    assert not {"datasets", "language"} & found.keys()
    for result in found["model-index"][0]["results"]:
        assert result["dataset"]["type"] == ("generated" if data["generated"] else "local")
        assert "config" not in result["dataset"]


def test_data_that_nothing_is_known_to_have_learnt_from_is_not_named_as_such() -> None:
    adopted = made(DENSE.model_copy(update={"training": None}), training=None)
    assert "datasets" not in header(model_card(adopted))
    assert "datasets" not in header(model_card(made(PRUNED), adopted))
    assert "datasets" in header(model_card(made(PRUNED, training=LEARNT), adopted))


def test_metrics_go_by_the_hubs_names() -> None:
    spec = BaselineSpec(task="stsb", model=HUB, data=DATA)
    found = header(model_card(made(spec, {"validation": {"spearman": 0.8, "pearson": -0.1}})))
    assert found["metrics"] == ["spearmanr", "pearsonr"]
    (result,) = found["model-index"][0]["results"]
    assert result["metrics"] == [
        {"type": "spearmanr", "value": 0.8},
        {"type": "pearsonr", "value": -0.1},
    ]


# What it says


def test_scores_with_intervals_and_drops() -> None:
    dense = made(DENSE)
    card = model_card(
        made(PRUNED, {"validation_matched": {"accuracy": 7000 / 9815}}),
        dense,
    )
    interval = wilson(7000, 9815)
    assert row(card, "validation_matched") == [
        "9,815",
        "71.32",
        f"{interval.low * 100:.2f}–{interval.high * 100:.2f}",
        "81.51",
        "10.19",
    ]


def test_a_gain_is_a_negative_drop_and_no_change_has_no_sign() -> None:
    better = made(PRUNED, {"validation_matched": {"accuracy": 8001 / 9815}})
    assert row(model_card(better, made(DENSE)), "validation_matched")[-1] == "−0.01"
    assert row(model_card(made(PRUNED), made(DENSE)), "validation_matched")[-1] == "0.00"


def test_without_the_dense_record_no_drop_is_given() -> None:
    card = model_card(made(PRUNED))
    assert row(card, "validation_matched")[-2:] == ["—", "—"]
    assert "so no drop is given" in card


def test_the_drop_has_its_interval_where_that_is_known() -> None:
    record = made(PRUNED, {"validation_matched": {"accuracy": 0.7, "f1": 0.6}})
    card = model_card(record, made(DENSE), {"validation_matched": Interval(-0.001, 0.2)})
    assert row(card, "validation_matched")[-1] == "−0.10 to 20.00"
    assert row(card, "validation_matched", "f1")[-1] == "—"
    assert "Its interval is paired" in card
    assert "interval of the drop" not in model_card(record, made(DENSE))


def test_only_an_accuracy_of_so_many_examples_has_an_interval() -> None:
    record = made(DENSE, {"validation_matched": {"accuracy": 0.8, "f1": 0.7}})
    card = model_card(record)
    assert row(card, "validation_matched", "f1") == ["9,815", "70.00", "—"]
    unknown = record.data.model_copy(update={"evaluation_examples": {}})
    card = model_card(record.model_copy(update={"data": unknown}))
    assert row(card, "validation_matched") == ["—", "80.00", "—"]


def test_one_shot_pruning() -> None:
    card = model_card(made(PRUNED))
    assert "# MNLI, pruned to 80%" in card
    assert fact(card, "Sparsity") == (
        "80% asked for, 80.0000% achieved: 800 of 1,000 prunable weights are zero"
    )
    assert fact(card, "Strategy").startswith("layerwise – Rank each matrix by itself")
    assert fact(card, "Criterion").startswith("magnitude – Remove the weights of the smallest")
    assert fact(card, "Pattern") == "unstructured"
    assert fact(card, "Recovery").startswith("none")
    assert "1,000 of 1,500 parameters" in card
    assert "so 700 parameters (46.7%) are not zero" in card
    assert "zeros alone make neither the file smaller nor the model faster" in card
    assert "Distillation" not in card
    assert "Growth" not in card


def test_recovery_with_a_teacher_in_a_chain() -> None:
    spec = PRUNED.model_copy(
        update={
            "criterion": "movement",
            "first_criterion": "wanda",
            "calibration_samples": 512,
            "schedule": "polynomial",
            "update_every": "0.5ep",
            "recovery": TrainingSpec(epochs=2.0, learning_rate=5e-5, rewind_every="1ep"),
            "distillation": DistillationSpec(hardness=0.9, teacher="big-one"),
            "keep": "best",
            "chain": (0.5, 0.6, 0.8),
            "after": "the-run-before",
        }
    )
    training = LEARNT.model_copy(update={"kept_step": 1_234})
    card = model_card(made(spec, training=training))
    assert fact(card, "First criterion").startswith("wanda – ")
    assert fact(card, "Calibration").startswith("512 ")
    assert "epochs 2.0, learning rate 5e-05" in fact(card, "Recovery")
    assert "rewind every 1ep" in fact(card, "Recovery")
    assert fact(card, "Growth of sparsity") == (
        "polynomial, initial sparsity 0.5, update every 0.5ep, settle 0.25, delay 0.0"
    )
    assert fact(card, "Distillation").startswith("from big-one, hardness 0.9, temperature 2.0")
    assert fact(card, "Chain") == (
        "part of one training through 60%, 80% from the weights of the-run-before"
    )
    assert fact(card, "Weights kept") == "best"
    assert "36,816 on 392,702 examples, bf16 on cpu" in fact(card, "Steps")
    assert "step 1,234 kept" in fact(card, "Steps")


def test_a_pattern_that_leaves_nothing_to_share_has_no_strategy() -> None:
    spec = PRUNED.model_copy(update={"pattern": "2:4", "level": 0.5})
    card = model_card(made(spec))
    assert fact(card, "Pattern") == "2:4"
    assert "Strategy" not in card
    assert header(card)["tags"][-1] == "2:4"  # a text, not a number to base 60


def test_a_name_that_is_no_longer_registered_is_given_as_it_is() -> None:
    card = model_card(made(PRUNED.model_copy(update={"criterion": "former", "strategy": "old"})))
    assert (fact(card, "Criterion"), fact(card, "Strategy")) == ("former", "old")


def test_a_dense_model() -> None:
    card = model_card(made(DENSE))
    assert "# MNLI, dense" in card
    assert "epochs 3.0, learning rate 2e-05, batch size 32" in fact(card, "Fine-tuning")
    assert "36,816" in fact(card, "Steps")
    assert "Drop" not in card
    assert "pruned" not in card.lower().replace("prunecli", "")
    adopted = made(DENSE.model_copy(update={"training": None}), training=None)
    assert "taken as it is" in fact(model_card(adopted), "Training")
    one = "under every seed it is the same training"
    assert one in model_card(adopted)
    assert one in model_card(made(PRUNED), adopted)
    assert one not in model_card(made(PRUNED), made(DENSE)) + model_card(made(PRUNED))


def test_limits_and_provenance() -> None:
    spec = PRUNED.model_copy(update={"evaluation": EvaluationSpec(max_eval_samples=20_000)})
    record = made(spec)
    data = record.data.model_copy(update={"notes": ["dev.tsv: 3 rows left out"]})
    card = model_card(record.model_copy(update={"data": data}))
    assert (
        "scored on these examples only: validation\\_matched 9,815, validation\\_mismatched 9,832"
        in card
    )
    assert "At most 20,000 were drawn at random" in card
    assert "public validation examples, not its test set" in card
    assert "cut at 128 tokens" in card
    assert "Note on the data: dev.tsv: 3 rows left out" in card
    assert fact(card, "Made") == "2026-01-02 03:04 UTC with seed 42"
    assert "A processor; 2 cores" in fact(card, "Machine")
    assert fact(card, "Versions") == "prunecli 0.1.0, torch 2.13.0"
    assert card.endswith("```sh\nprune sweep --task mnli\n```\n")


def test_generated_data_is_said_loudly() -> None:
    card = model_card(generated(made(PRUNED)))
    assert "# MNLI, pruned to 80% (generated data)" in card
    assert "\n\n> **Made on generated data.**" in card
    assert "**They are generated: no score here is one on a real task.**" in card
    found = header(card)
    assert "generated-data" in found["tags"]
    for result in found["model-index"][0]["results"]:
        assert result["dataset"]["name"] == "generated data in the shape of MNLI"
    assert "enerated" not in model_card(made(PRUNED))


# What it withstands

HOSTILE = [
    "---",
    "a\n---\n# not a title\n- not an item",
    "key: value # comment",
    "!!python/object/apply:os.system ['true']",
    "*alias &anchor {a: b} [c] %tag | > @x `y`",
    "null",
    "12:30:45",
    "quotes ' and \" and \\ and \\n",
    "<script>alert(1)</script> & ]]> -->",
    "[a](http://b) ![c](d) www.e.f $x$ |||| ~~~ ``` ````",
    "\u202eright to left\u202c\x00\x85\u2028lines\ud7ff",
    "x" * 10_000,
    "word " * 2_000,
    "数据 🙂",
    "# ",
]


def hostile(value: str) -> RunRecord:
    """A record in which everything that may come from outside is ``value``."""
    record = made(
        PRUNED.model_copy(
            update={"distillation": DistillationSpec(teacher=value), "recovery": TrainingSpec()}
        )
    )
    counts = {value: 9815}
    return record.model_copy(
        update={
            "name": value,
            "command": value,
            "metrics": {value: {"accuracy": 0.5}},
            "task": record.task.model_copy(
                update={"title": value, "name": value, "label_names": [value, value + "2"]}
            ),
            "data": record.data.model_copy(
                update={"source": value, "notes": [value], "evaluation_examples": counts}
            ),
            "model": record.model.model_copy(update={"name": value, "architecture": value}),
            "machine": record.machine.model_copy(update={"processor": value}),
        }
    )


def structure(markdown: str) -> list[str]:
    """The elements of a document, without its words."""
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(markdown)
    inner = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inner} <= {
        "text",
        "text_special",
        "softbreak",
        "strong_open",
        "strong_close",
        "code_inline",
    }
    return [token.type for token in tokens]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_changes_nothing_but_its_place(value: str) -> None:
    card, tame = model_card(hostile(value)), model_card(hostile("tame"))
    assert structure(body(card)) == structure(body(tame))
    assert body(card).count("\n") == body(tame).count("\n")
    assert "<script" not in body(card).rpartition("sh\n")[0]
    assert not any(unicodedata.bidirectional(letter) in {"RLO", "PDF"} for letter in body(card))
    assert max(map(len, card.splitlines())) < 12_000


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_parses_back(value: str) -> None:
    found = header(model_card(hostile(value)))
    expected = header(model_card(hostile("tame")))
    assert found.keys() == expected.keys()
    (model,) = found["model-index"]
    assert model["name"] == value
    (result,) = model["results"]
    assert result["dataset"]["split"] == value
    assert result["metrics"] == [{"type": "accuracy", "value": 0.5}]
    if value.isprintable() and len(value) < 100:
        assert result["dataset"]["name"] == value.strip()


# As the pipeline writes it


def test_every_run_has_its_card(swept: Workspace) -> None:
    def predictions(name: str) -> dict[str, Predictions]:
        return load_predictions(swept.run_dir(name) / "predictions.safetensors")

    answers = Answers(predictions)
    for record in swept.runs():
        source = record.spec.source if isinstance(record.spec, PrunedSpec) else None
        baseline = swept.get(source) if source else None
        card = swept.verify_file(record, "model/README.md").read_text(encoding="utf-8")
        drops = {}
        if baseline is not None:
            for split in record.metrics:  # as a report has it
                metric = record.task.primary_metric
                found = answers.difference(metric, split, [baseline], [record])
                drops[split] = found.interval
            assert "95% interval of the drop" in card
        assert card == model_card(record, baseline, drops)
        assert header(card)["model-index"][0]["name"] == record.name
        assert "(generated data)" in card
        assert "so no drop is given" not in card


def test_the_lines_of_the_card_load_the_model(swept: Workspace, pruned: str) -> None:
    folder = swept.run_dir(pruned) / "model"
    card = (folder / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(block.replace("path/to/this/folder", str(folder)), {})
    assert said.getvalue().strip() in {"negative", "positive"}


def test_a_card_may_be_edited(
    prune: Prune, workspace: Workspace, pruned: str, baseline: str
) -> None:
    before = model_fingerprint(str(workspace.run_dir(baseline) / "model"))
    for name in (baseline, pruned):
        card = workspace.run_dir(name) / "model" / "README.md"
        card.write_text(card.read_text().replace("---\n", "---\nlicense: mit\n", 1))
        done = prune("evaluate", name, "-w", workspace.root)
        assert done.code == 0, done.err
    assert model_fingerprint(str(workspace.run_dir(baseline) / "model")) == before
    done = prune("prune", "--from", baseline, "--level", 0.6, "-w", workspace.root, "--json")
    assert done.code == 0, done.err
    made_now = workspace.run_dir(done.json["runs"][-1]["name"]) / "model" / "README.md"
    assert "license" not in header(made_now.read_text())


def test_a_folder_with_a_card_of_its_own_gets_ours(
    prune: Prune, workspace: Workspace, baseline: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(workspace.run_dir(baseline) / "model", tmp_path / "mine"))
    (folder / "README.md").write_text("# Mine")
    tail = ["--task", "sst2", "--demo", "--max-eval-samples", 100, "--json", "-w", workspace.root]
    done = prune("prune", "--from", folder, "--level", 0.5, *tail)
    assert done.code == 0, done.err
    for run in done.json["runs"]:
        card = (workspace.run_dir(run["name"]) / "model" / "README.md").read_text()
        assert header(card)["model-index"][0]["name"] == run["name"]
    assert (folder / "README.md").read_text() == "# Mine"


def test_without_the_dense_predictions_the_drop_has_no_interval(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    (workspace.run_dir(baseline) / "predictions.safetensors").write_bytes(b"")
    done = prune("prune", "--from", baseline, "--level", 0.65, "-w", workspace.root, "--json")
    assert done.code == 0, done.err
    card = (workspace.run_dir(done.json["runs"][-1]["name"]) / "model" / "README.md").read_text()
    assert "| Drop |" in card
    assert "interval of the drop" not in card
