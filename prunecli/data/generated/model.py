"""A tiny DistilBERT for the generated tasks, trained from nothing."""

from __future__ import annotations

from typing import Any

from prunecli.data.generated.settings import ATTENTION_STD, DEMO_MODEL, POSITION_STD
from prunecli.tasks import Task


def tiny_model(task: Task, vocab_size: int, seed: int) -> Any:
    """A ``DistilBertForSequenceClassification`` with random weights drawn by ``seed``.

    Query and key matrices of a layer start equal, so that a token first looks at its own like:
    what a pretrained encoder brings along, and what the pair tasks turn on. (After Trockman &
    Kolter 2023, "Mimetic Initialization of Self-Attention Layers".) Positions start fainter than
    words for the same reason. The caller's random state is left as it was.
    """
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    names = task.label_names or ("score",)
    config = DistilBertConfig(
        vocab_size=vocab_size,
        pad_token_id=0,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
        problem_type="regression" if task.regression else "single_label_classification",
        **DEMO_MODEL,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = DistilBertForSequenceClassification(config)
        for layer in model.distilbert.transformer.layer:
            query, key = layer.attention.q_lin.weight, layer.attention.k_lin.weight
            key.copy_(query.normal_(0, ATTENTION_STD))
        model.distilbert.embeddings.position_embeddings.weight.normal_(0, POSITION_STD)
    return model
