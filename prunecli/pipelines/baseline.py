"""The dense classifier that everything is held against: found or trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from prunecli.core.engine import achieved
from prunecli.errors import InputError
from prunecli.models import loading as models
from prunecli.models.positions import fewest_tokens
from prunecli.pipelines.adoption import tell_of_nothing_learnt
from prunecli.pipelines.entering import tell_of, tell_of_training
from prunecli.pipelines.job import DEMO_MODEL, Inputs, Job, settings_inputs
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.preflight import check_model, check_reversible, check_room
from prunecli.pipelines.publish import score_and_publish
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.pipelines.together import BASELINE, together
from prunecli.records.runs import (
    BaselineSpec,
    EvaluationSpec,
    RunRecord,
    TrainingInfo,
    TrainingSpec,
    run_name,
)
from prunecli.settings.listing import part_of_run
from prunecli.settings.model import Settings
from prunecli.store.folders import PREDICTIONS
from prunecli.store.predictions import load_predictions
from prunecli.tasks import get_task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def train_baselines(job: Job) -> Iterator[Outcome | Failure]:
    """Fine-tune a dense classifier for each task and seed, or find the one that stands.

    One that fails does not stop the others; an unknown task is raised before any work.
    """
    for task in job.settings.task:
        get_task(task)
    for task, seed in product(job.settings.task, job.settings.seed):
        yield attempt(f"{task}-baseline-s{seed}", partial(_asked, job, task, seed))


def _asked(job: Job, task: str, seed: int) -> Outcome:
    inputs = settings_inputs(job, task)
    return _train(inputs, baseline_spec(inputs, seed))


def baseline_spec(inputs: Inputs, seed: int) -> BaselineSpec:
    """What the settings ask for as the dense classifier of one task."""
    settings = inputs.job.settings
    return spec_of_dense(
        inputs,
        seed,
        training=training_spec(settings, settings.baseline_epochs),
        new_head=settings.new_head or None,
    )


def spec_of_dense(
    inputs: Inputs,
    seed: int,
    *,
    training: TrainingSpec | None,
    new_head: bool | None = None,
    labels: tuple[str, ...] = (),
) -> BaselineSpec:
    """A dense classifier of what ``inputs`` name, trained or, without ``training``, as it is."""
    return BaselineSpec(
        task=inputs.task.name,
        model=inputs.model_fingerprint,
        data=inputs.data_fingerprint,
        seed=seed,
        max_seq_length=inputs.max_seq_length,
        training=training,
        evaluation=evaluation_spec(inputs.job),
        labels=labels,
        new_head=new_head,
    )


def training_spec(settings: Settings, epochs: float) -> TrainingSpec:
    """How a baseline is trained, and as far as it goes what is recovered from it."""
    return TrainingSpec(**{**part_of_run(settings, "training"), "epochs": epochs})


def evaluation_spec(job: Job) -> EvaluationSpec:
    return EvaluationSpec(
        max_eval_samples=job.settings.max_eval_samples,
        precision=job.precision(job.settings.eval_precision),
    )


def find_or_train(
    job: Job, task: str, seed: int, check: Callable[[Inputs], object] = lambda _: None
) -> Outcome:
    """The finished baseline that fits what was asked for, or a new one.

    The exact specification comes first. Otherwise a finished baseline of the same task, data,
    model and seed fits when it agrees with every setting that the user gave; several that fit are
    an `InputError` that names them. Of other runs those whose records cannot be read are passed
    over, and told. ``check`` is called before one is trained, and may raise.
    """
    found, inputs, wanted = found_or_wanted(job, task, seed)
    if found is not None:
        return Outcome(found, reused=True)
    check(inputs)
    return _train(inputs, wanted)


def found_or_wanted(
    job: Job, task: str, seed: int
) -> tuple[RunRecord | None, Inputs, BaselineSpec]:
    """The finished baseline that `find_or_train` takes, if there is one, and what is asked for."""
    inputs = settings_inputs(job, task)
    wanted = baseline_spec(inputs, seed)
    found = job.workspace.find(run_name(wanted))
    if found is None:
        given = job.settings.model_fields_set
        fitting = [
            record
            for record in job.workspace.readable_runs(job.notice_once)
            if isinstance(record.spec, BaselineSpec) and _fits(record.spec, wanted, given)
        ]
        if len(fitting) > 1:
            raise InputError(
                f"{len(fitting)} baselines of {task} fit: "
                + ", ".join(record.name for record in fitting),
                hint="choose one with --from RUN",
            )
        if fitting:
            _tell_differences(job, fitting[0], wanted)
            return fitting[0], inputs, wanted
    return found, inputs, wanted


def _fits(found: BaselineSpec, wanted: BaselineSpec, given: set[str]) -> bool:
    """Whether ``found`` differs from ``wanted`` only in settings that the user left open."""

    always = {"task", "model", "data", "seed"}
    return not (_differences(found, wanted).keys() & (always | given))


def _differences(found: BaselineSpec, wanted: BaselineSpec) -> dict[str, object]:
    """Settings in which ``found`` differs from ``wanted``, with its values."""

    def parts(spec: BaselineSpec) -> dict[str, object]:
        flat = spec.model_dump(exclude={"training", "evaluation", "kind"})
        flat["new_head"] = bool(spec.new_head)
        training = spec.training.model_dump() if spec.training else {}
        training["baseline_epochs"] = training.pop("epochs", None)
        evaluation = {
            "max_eval_samples": spec.evaluation.max_eval_samples,
            "eval_precision": spec.evaluation.precision,
        }
        return {**flat, **training, **evaluation}

    ours, theirs = parts(wanted), parts(found)
    return {key: theirs.get(key) for key in ours if theirs.get(key) != ours[key]}


def _tell_differences(job: Job, record: RunRecord, wanted: BaselineSpec) -> None:
    assert isinstance(record.spec, BaselineSpec)
    differences = _differences(record.spec, wanted)
    settings = ", ".join(f"{key} {value}" for key, value in differences.items())
    job.progress.notice(f"taking the baseline {record.name}, made with {settings}")


def _train(inputs: Inputs, spec: BaselineSpec) -> Outcome:
    job, name = inputs.job, run_name(spec)
    found = job.workspace.find(name)
    if found is not None:
        return Outcome(found, reused=True)
    with job.lock(name):
        found = job.workspace.find(name)
        if found is not None:  # another process has made it meanwhile
            return Outcome(found, reused=True)
        if inputs.model != DEMO_MODEL:
            tell_of(job, inputs.model, new_head=job.settings.new_head)
        record = job.tracked(spec, partial(_published, inputs, spec))
    if not job.settings.demo:
        predictions = load_predictions(job.workspace.verify_file(record, PREDICTIONS))
        tell_of_nothing_learnt(job, name, inputs.task, predictions)
    return Outcome(record, reused=False)


def _published(inputs: Inputs, spec: BaselineSpec) -> RunRecord:
    """The run of ``spec``, trained, scored and written."""
    watch = Stopwatch()
    model, tokenizer, training = trained(inputs, spec, watch)
    return score_and_publish(
        inputs,
        spec,
        model,
        tokenizer,
        title=f"{inputs.task.title} baseline",
        seconds=watch.seconds,
        training=training,
    )


def trained(
    inputs: Inputs, spec: BaselineSpec, watch: Stopwatch
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, TrainingInfo]:
    """The classifier of ``spec``, trained and not yet scored, in all processes that train."""
    from prunecli.data import collator
    from prunecli.training.trainer import train

    assert spec.training is not None
    job = inputs.job
    what = {"task": inputs.reference, "spec": spec.model_dump(mode="json")}
    with together(job, spec.training, BASELINE, **what):
        model, tokenizer = fresh(inputs, spec.seed)
        check_model(model, tokenizer, inputs.max_seq_length)
        check_reversible(model, (), trains=True)
        check_room(inputs, model.num_parameters(), runs=1, trainings=[spec.training])
        tell_of_training(job, inputs.model, achieved(model).sparsity)
        with watch.phase("tokenise"):
            examples = inputs.train_set(tokenizer)
        with watch.phase("train"), job.workspace.writing():
            training, _ = train(
                model,
                examples,
                collator(tokenizer, length=partial(max, fewest_tokens(model.config))),
                spec.training,
                seed=spec.seed,
                device=job.device,
                precision=job.precision(spec.training.precision),
                checkpoints=job.workspace.checkpoints_dir(run_name(spec)),
                title=f"{inputs.task.title} baseline: training",
                progress=job.progress,
                callbacks=job.tracking.callbacks(),
            )
    return model, tokenizer, training


def fresh(inputs: Inputs, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The encoder with a new head and its tokenizer, before training."""
    if inputs.model != DEMO_MODEL:
        new_head = inputs.job.settings.new_head
        model = models.load_for_training(inputs.model, inputs.task, seed, new_head=new_head)
        return model, models.load_tokenizer(inputs.model)
    from prunecli.data.generated import build_tokenizer, tiny_model

    assert inputs.data.train is not None
    texts = [
        text
        for column in ("text_a", "text_b")
        if column in inputs.data.train.column_names
        for text in inputs.data.train[column]
    ]
    tokenizer = build_tokenizer(texts)
    return tiny_model(inputs.task, len(tokenizer), seed), tokenizer
