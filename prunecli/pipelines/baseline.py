"""The dense classifier that everything is held against: found, adopted or trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from prunecli.core.engine import achieved
from prunecli.core.structured import check_dense
from prunecli.errors import InputError, UsageError
from prunecli.models import loading as models
from prunecli.pipelines.adoption import (
    asked_labels,
    check_no_labels,
    tell_of_chance,
    tell_of_places,
)
from prunecli.pipelines.entering import tell_of, tell_of_training
from prunecli.pipelines.job import DEMO_MODEL, Inputs, Job, Stopwatch, settings_inputs
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.preflight import check_model, check_room, check_shapes
from prunecli.pipelines.publish import score_and_publish
from prunecli.pipelines.subjects import (
    Place,
    called,
    check_task,
    find_subject,
    run_of_artefact,
    task_of_place,
)
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import (
    BaselineSpec,
    DerivedSpec,
    EvaluationSpec,
    RunRecord,
    TrainingSpec,
    run_name,
)
from prunecli.runtimes.opening import model_folder
from prunecli.settings.listing import part_of_run
from prunecli.settings.model import Settings, cuts
from prunecli.settings.option import flag
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


def adopted(job: Job, source: str, labels: Sequence[str] = ()) -> Iterator[Outcome | Failure]:
    """Take what ``source`` names as the baseline of each task: see `resolve_source`.

    Raises `UsageError` for several seeds, of which nothing here makes use.
    """
    if len(job.settings.seed) > 1:
        raise UsageError(
            "--from names one baseline, and several seeds were given",
            hint="leave out --from, or give one seed",
        )
    seed = job.settings.seed[0]
    for task in job.settings.task or (None,):
        one = partial(resolve_source, job, source, task, seed, labels)
        yield attempt(f"{task or source}-baseline-s{seed}", one)


def _asked(job: Job, task: str, seed: int) -> Outcome:
    inputs = settings_inputs(job, task)
    return _train(inputs, baseline_spec(inputs, seed))


def baseline_spec(inputs: Inputs, seed: int) -> BaselineSpec:
    """What the settings ask for as the dense classifier of one task."""
    settings = inputs.job.settings
    return BaselineSpec(
        task=inputs.task.name,
        model=inputs.model_fingerprint,
        data=inputs.data_fingerprint,
        seed=seed,
        max_seq_length=settings.max_seq_length,
        training=training_spec(settings, settings.baseline_epochs),
        evaluation=evaluation_spec(inputs.job),
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


def resolve_source(
    job: Job, source: str, task: str | None, seed: int, labels: Sequence[str] = ()
) -> Outcome:
    """The baseline that ``--from`` names: a baseline run, or a finished classifier taken as it is.

    Such a one, in a folder, in a packed file, on the hub or in an artefact of a baseline, is scored
    once and kept as a baseline run, so that drops have something to be measured from. ``labels``
    are the task's for each of its outputs, where its own do not say it.
    Raises `InputError` for a run that is pruned already, and what refuses the pruning that the
    settings ask for before anything is scored.
    """
    found = find_subject(job.workspace, source, task)
    if isinstance(found, Place):
        with found.opened() as place:
            inputs = settings_inputs(job, task_of_place(source, task), model=place)
            return _adopt(inputs, spec_of_adopted(inputs, seed, labels), source)
    run = run_of_artefact(job.workspace, found) if isinstance(found, ArtefactRecord) else found
    if isinstance(run.spec, DerivedSpec):
        raise InputError(
            f"{called(found)} is pruned already",
            hint=f"prune its baseline: --from {run.spec.source}",
        )
    check_task(run, task)
    check_no_labels(labels, called(found))
    if isinstance(found, ArtefactRecord) and not found.exact:
        with model_folder(job.workspace.verified_artefact(found)) as folder:
            inputs = Inputs(
                job := _scoring_as(job, run),
                run.task.reference,
                data_of=run,
                model=str(folder),
                max_train_samples=job.settings.max_train_samples,
                max_eval_samples=job.settings.max_eval_samples,
            )
            return _adopt(inputs, spec_of_adopted(inputs, seed, labels), found.name)
    check_own_settings(job, run)
    return Outcome(run, reused=True)


def check_own_settings(job: Job, run: RunRecord) -> None:
    """Raise `UsageError` where the settings say of a run what it says itself, and otherwise."""
    for key, value in (
        ("seed", (run.spec.seed,)),
        ("max_seq_length", run.spec.max_seq_length),
        ("max_eval_samples", run.spec.evaluation.max_eval_samples),
        ("eval_precision", run.spec.evaluation.precision),
    ):
        if key in job.settings.model_fields_set and getattr(job.settings, key) != value:
            raise UsageError(
                f"run {run.name} has its own {flag(key)}, {value}",
                hint="what is made of a run is scored as it was; leave the flag out",
            )


def _scoring_as(job: Job, run: RunRecord) -> Job:
    """``job``, scoring as ``run`` was scored where the settings do not say otherwise."""
    own = {
        "max_seq_length": run.spec.max_seq_length,
        "max_eval_samples": run.spec.evaluation.max_eval_samples,
        "eval_precision": run.spec.evaluation.precision,
    }
    left_open = {k: v for k, v in own.items() if k not in job.settings.model_fields_set}
    return replace(job, settings=job.settings.model_copy(update=left_open))


def spec_of_adopted(inputs: Inputs, seed: int, labels: Sequence[str]) -> BaselineSpec:
    """What the classifier that ``inputs`` name becomes as a baseline that is taken as it is."""
    return BaselineSpec(
        task=inputs.task.name,
        model=inputs.model_fingerprint,
        data=inputs.data_fingerprint,
        seed=seed,
        max_seq_length=inputs.max_seq_length,
        training=None,
        evaluation=evaluation_spec(inputs.job),
        labels=asked_labels(labels, inputs.task, inputs.model),
    )


def _adopt(inputs: Inputs, spec: BaselineSpec, source: str) -> Outcome:
    """The run of the classifier that ``inputs`` name, which the user calls ``source``."""
    job, name, place = inputs.job, run_name(spec), inputs.model
    with job.workspace.lock(name):
        found = job.workspace.find(name)
        if found is not None:
            return Outcome(found, reused=True)
        tell_of(job, place)
        model = models.load_classifier(place, inputs.task, spec.labels)
        tell_of_places(job, model.config, inputs.task, source)
        tokenizer = models.load_tokenizer(place)
        check_model(model, tokenizer, inputs.max_seq_length)
        check_shapes(model, job.settings)
        if cuts(job.settings):
            check_dense(achieved(model).sparsity)
        check_room(inputs, model.num_parameters(), runs=1, trainings=())
        inputs.model = source
        record = score_and_publish(inputs, spec, model, tokenizer, title=source, seconds={})
        predictions = load_predictions(job.workspace.verify_file(record, PREDICTIONS))
        tell_of_chance(inputs, model.config, predictions)
    return Outcome(record, reused=False)


def _train(inputs: Inputs, spec: BaselineSpec) -> Outcome:
    from prunecli.data import collator
    from prunecli.training.trainer import train

    job, name = inputs.job, run_name(spec)
    found = job.workspace.find(name)
    if found is not None:
        return Outcome(found, reused=True)
    assert spec.training is not None
    title = f"{inputs.task.title} baseline"
    with job.workspace.lock(name):
        found = job.workspace.find(name)
        if found is not None:  # another process has made it meanwhile
            return Outcome(found, reused=True)
        watch = Stopwatch()
        if inputs.model != DEMO_MODEL:
            tell_of(job, inputs.model)
        model, tokenizer = fresh(inputs, spec.seed)
        check_model(model, tokenizer, inputs.max_seq_length)
        check_room(inputs, model.num_parameters(), runs=1, trainings=[spec.training])
        tell_of_training(job, inputs.model, achieved(model).sparsity)
        with watch.phase("tokenise"):
            examples = inputs.train_set(tokenizer)
        with watch.phase("train"), job.workspace.writing():
            training, _ = train(
                model,
                examples,
                collator(tokenizer),
                spec.training,
                seed=spec.seed,
                device=job.device,
                precision=job.precision(spec.training.precision),
                checkpoints=job.workspace.checkpoints_dir(name),
                title=f"{title}: training",
                progress=job.progress,
            )
        record = score_and_publish(
            inputs,
            spec,
            model,
            tokenizer,
            title=title,
            seconds=watch.seconds,
            training=training,
        )
    return Outcome(record, reused=False)


def fresh(inputs: Inputs, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The encoder with a new head and its tokenizer, before training."""
    if inputs.model != DEMO_MODEL:
        model = models.load_for_training(inputs.model, inputs.task, seed)
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
