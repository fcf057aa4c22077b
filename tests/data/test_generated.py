"""Generated tasks: deterministic, balanced, disjoint, and not a matter of single words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from prunecli.data import fingerprint, load
from prunecli.data.generated import build_tokenizer, generate, tiny_model
from prunecli.data.generated import settings as demo
from prunecli.data.generated.scenes import Scene
from prunecli.tasks import TASKS, get_task

CLASSES = [name for name in TASKS if not get_task(name).regression]


def rows(examples: Any) -> list[tuple[str, ...]]:
    return list(zip(*examples.texts, strict=True))


@pytest.mark.parametrize("name", TASKS)
def test_same_seed_same_examples_and_no_example_twice(name: str) -> None:
    task = get_task(name)
    first, again, other = (
        generate(task, seed=seed, train_size=300, eval_size=120) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert first.train is not None
    assert list(first.evaluation) == [split.name for split in task.splits]
    every = rows(first.train) + [r for part in first.evaluation.values() for r in rows(part)]
    assert len(set(every)) == len(every) == 300 + 120 * len(task.splits)
    assert {len(texts) for texts in every} == {len(task.columns)}
    counts = Counter(first.train.labels)
    assert len(counts) == (6 if task.regression else task.num_labels)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("name", CLASSES)
def test_words_alone_do_not_give_the_label_away(name: str) -> None:
    splits = generate(get_task(name), seed=3, train_size=4000, eval_size=1000)
    assert splits.train is not None
    test = next(iter(splits.evaluation.values()))
    for binary in (False, True):
        bags = CountVectorizer(token_pattern=r"\S+", binary=binary)
        joined = [[" ".join(texts) for texts in rows(part)] for part in (splits.train, test)]
        model = LogisticRegression(max_iter=500)
        model.fit(bags.fit_transform(joined[0]), splits.train.labels)
        assert model.score(bags.transform(joined[1]), test.labels) < 0.80


@pytest.mark.parametrize("name", TASKS)
def test_loaded_like_any_other_data(name: str) -> None:
    task = get_task(name)
    data = load(task, "generated", max_train_samples=50, max_eval_samples=20, seed=7)
    more = load(task, "generated", max_train_samples=80, max_eval_samples=20, seed=7)
    assert data.generated
    assert data.source == "generated"
    assert data.fingerprint == fingerprint(task, "generated") == more.fingerprint
    assert data.train is not None
    assert more.train is not None
    drawn = data.train["index"][:]
    assert len(drawn) == 50
    assert drawn == sorted(drawn)
    assert drawn[-1] > 50  # not simply the first rows
    assert set(drawn) < set(more.train["index"])
    assert all(len(dataset) == 20 for dataset in data.evaluation.values())


def test_the_content_belongs_to_its_version() -> None:
    """Raise ``settings.VERSION`` whenever this changes: finished runs are found by it."""
    first = {name: rows(generate(get_task(name), seed=1, train_size=2, eval_size=1).train)[0]
             for name in ("sst2", "qqp", "mnli")}  # fmt: skip
    assert demo.VERSION == 1
    assert first == PINNED


PINNED = {
    "sst2": ("the plot is somewhat messy but the cast is not truly shallow",),
    "qqp": ("who fixes jackets", "which person paints jackets well"),
    "mnli": ("one baker is painting bicycles in cairo", "one baker is painting things in cairo"),
}


@pytest.mark.parametrize("name", ["sst2", "qqp", "mnli", "stsb"])
def test_the_tiny_model_fits_the_task(name: str) -> None:
    task = get_task(name)
    state = torch.get_rng_state()
    model, same, other = (tiny_model(task, 90, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    weights, others = model.state_dict(), other.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in same.state_dict().items())
    assert any(not torch.equal(weights[key], value) for key, value in others.items())
    assert model.config.num_labels == task.num_labels
    if not task.regression:
        assert tuple(model.config.id2label[i] for i in range(task.num_labels)) == task.label_names
    assert model(torch.tensor([[2, 5, 3]])).logits.shape == (1, task.num_labels)


def test_every_word_is_known_and_every_text_fits() -> None:
    limit = demo.DEMO_TRAINING["max_seq_length"]
    assert limit <= demo.DEMO_MODEL["max_position_embeddings"]
    for name in TASKS:
        splits = generate(get_task(name), seed=4, train_size=3000, eval_size=300)
        assert splits.train is not None
        tokenizer = build_tokenizer(text for column in splits.train.texts for text in column)
        for part in splits.evaluation.values():
            for texts in rows(part):
                ids = tokenizer(*texts)["input_ids"]
                assert tokenizer.unk_token_id not in ids
                assert len(ids) <= limit


def test_changing_a_scene_changes_one_slot() -> None:
    from random import Random

    scene = Scene(count=0, modifier=None, agent=1, action=2, thing=3, place=0)
    changed = scene.change("place", Random(0))
    assert changed.place not in (None, scene.place)
    assert changed.without("place") == scene.without("place")
    assert scene.open_slots() == ["modifier"]
