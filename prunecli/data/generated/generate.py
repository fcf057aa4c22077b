"""From the grammars to balanced, disjoint training and evaluation examples."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from prunecli.data.examples import Examples, Number, Splits
from prunecli.data.generated import acceptability, inference, questions, sentiment, similarity
from prunecli.data.generated.settings import EVALUATION_SIZE, SEED, TRAIN_SIZE, VERSION
from prunecli.errors import InputError
from prunecli.files import hash_text
from prunecli.tasks import Task

Texts = tuple[str, ...]


def _sentiment(rng: Random, label: str) -> Texts:
    return (sentiment.sentence(rng, label == "positive"),)


def _acceptability(rng: Random, label: str) -> Texts:
    return (acceptability.sentence(rng, label == "acceptable"),)


def _questions(rng: Random, label: str) -> Texts:
    return questions.pair(rng, not label.startswith("not_"))


GRAMMARS: dict[str, Callable[[Random, str], Texts]] = {
    "sst2": _sentiment,
    "cola": _acceptability,
    "qqp": _questions,
    "mrpc": _questions,
    "mnli": inference.pair,
    "qnli": inference.pair,
    "rte": inference.pair,
    "wnli": inference.pair,
}
"""For each task of classes: makes the texts of an example with the label of this name."""

SCORES = tuple(range(int(similarity.HIGHEST) + 1))
"""The scores that regression examples take, equally often."""


class Generated:
    """The generated examples of one task."""

    generated = True
    source = "generated"

    def __init__(self, task: Task) -> None:
        if task.name not in GRAMMARS and not (task.regression and task.name == "stsb"):
            raise InputError(
                f"there is no generated data for task '{task.name}'",
                hint="leave out --demo, or choose one of " + ", ".join([*GRAMMARS, "stsb"]),
            )
        self.task = task

    def fingerprint(self) -> str:
        """SHA-256 of the generator's version and settings."""
        return hash_text("generated", VERSION, self.task.name, SEED, TRAIN_SIZE, EVALUATION_SIZE)

    def read(self, *, train: bool) -> Splits:
        """Make the examples; several evaluation splits are as large as one each."""
        return generate(self.task, seed=SEED, train_size=TRAIN_SIZE, eval_size=EVALUATION_SIZE)


def generate(task: Task, *, seed: int, train_size: int, eval_size: int) -> Splits:
    """Examples of a GLUE task from its grammar: the same for the same arguments.

    Labels are balanced, and no example stands in two splits or twice in one.
    """
    rng = Random(f"{task.name} {seed}")
    seen: set[Texts] = set()
    train = _draw(task, rng, train_size, seen)
    return Splits(train, {split.name: _draw(task, rng, eval_size, seen) for split in task.splits})


def _draw(task: Task, rng: Random, size: int, seen: set[Texts]) -> Examples:
    labels: list[Number] = [
        position % (task.num_labels if task.label_names else len(SCORES))
        for position in range(size)
    ]
    rng.shuffle(labels)
    rows: list[Texts] = []
    for label in labels:
        texts = _texts(task, rng, label)
        while texts in seen:
            texts = _texts(task, rng, label)
        seen.add(texts)
        rows.append(texts)
    return Examples(
        tuple(list(column) for column in zip(*rows, strict=True)),
        [float(label) for label in labels] if task.regression else labels,
        range(size),
    )


def _texts(task: Task, rng: Random, label: Number) -> Texts:
    if task.regression:
        return similarity.pair(rng, float(label))
    return GRAMMARS[task.name](rng, task.label_names[int(label)])
