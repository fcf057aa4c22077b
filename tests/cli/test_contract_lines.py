"""The lines of the contract, typed as they stand there, against a stand-in for the hub."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calling import called_apart
from hub_stand_in import hub
from transformers import DistilBertConfig, DistilBertModel

from prunecli.data import load
from prunecli.data.generated import build_tokenizer
from prunecli.tasks import get_task

SWEEP = "prune sweep --task qqp --strategy layerwise --levels 0.5 0.6 0.7 0.8"

CARD = """---
configs:
- config_name: qqp
  data_files:
  - split: train
    path: qqp/train-*
  - split: validation
    path: qqp/validation-*
dataset_info:
- config_name: qqp
  features:
  - name: question1
    dtype: string
  - name: question2
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': not_duplicate
          '1': duplicate
  - name: idx
    dtype: int32
---
"""


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, bytes]]:
    """`nyu-mll/glue` with generated QQP, and a tiny model under the name of the default one."""
    task = get_task("qqp")
    data = load(task, "generated", max_train_samples=320, max_eval_samples=100)
    assert data.train is not None
    tokenizer = build_tokenizer([*data.train["text_a"], *data.train["text_b"]])
    folder = tmp_path_factory.mktemp("model")
    size = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    config = DistilBertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **size)
    DistilBertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model = {path.name: path.read_bytes() for path in folder.iterdir()}

    def parquet(part: Any) -> bytes:
        sink = io.BytesIO()
        columns = {
            "question1": part["text_a"][:],
            "question2": part["text_b"][:],
            "label": pa.array(part["label"][:], pa.int64()),
            "idx": pa.array(part["index"][:], pa.int32()),
        }
        pq.write_table(pa.table(columns), sink)
        return sink.getvalue()

    return {
        "datasets/nyu-mll/glue": {
            "README.md": CARD.encode(),
            "qqp/train-00000-of-00001.parquet": parquet(data.train),
            "qqp/validation-00000-of-00001.parquet": parquet(data.evaluation["validation"]),
        },
        "models/distilbert-base-uncased": model,
    }


def test_the_two_lines_work_as_typed(repositories, tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k}
    lines = [SWEEP, SWEEP, "prune report --format md"]
    with hub(repositories) as endpoint:
        swept, again, report = called_apart(
            [shlex.split(line)[1:] for line in lines],
            where=tmp_path,
            environment={
                **clean,
                "HF_HOME": str(tmp_path / "home"),
                "HF_ENDPOINT": endpoint,
                "OMP_NUM_THREADS": "1",
            },
        )
    assert swept.code == 0, swept.err
    assert swept.out.count("qqp-layerwise-magnitude-") == 4
    assert "0 made, 5 found finished and reused" in again.err
    assert report.code == 0, report.err
    assert re.search(r"^\|\s+80% \|", report.out, re.MULTILINE)
    assert (tmp_path / "workspace/reports/report.md").read_text() == report.out
    assert (tmp_path / "workspace/reports/figures/qqp.png").stat().st_size > 10_000
    record = json.loads(next((tmp_path / "workspace/runs").glob("*80*/record.json")).read_text())
    assert record["data"]["source"] == "hub"
    assert not record["data"]["generated"]
