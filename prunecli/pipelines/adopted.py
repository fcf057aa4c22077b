"""A finished classifier that is taken as it is, as a baseline: a run, or what becomes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from prunecli.core.engine import achieved
from prunecli.core.structured import check_dense
from prunecli.errors import InputError, UsageError
from prunecli.models import loading as models
from prunecli.pipelines.adoption import (
    asked_labels,
    check_nothing_said,
    tell_of_chance,
    tell_of_places,
)
from prunecli.pipelines.baseline import spec_of_dense
from prunecli.pipelines.described import described
from prunecli.pipelines.entering import tell_of
from prunecli.pipelines.job import Inputs, Job, settings_inputs
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.preflight import check_model, check_room, check_shapes
from prunecli.pipelines.publish import score_and_publish
from prunecli.pipelines.subjects import (
    Place,
    called,
    check_task,
    find_subject,
    run_of_artefact,
)
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import (
    BaselineSpec,
    DerivedSpec,
    RunRecord,
    run_name,
)
from prunecli.runtimes.opening import model_folder
from prunecli.settings.model import cuts
from prunecli.settings.option import flag
from prunecli.store.folders import PREDICTIONS
from prunecli.store.predictions import load_predictions


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
            task = described(job, source, place, labels, task=task)
            inputs = settings_inputs(job, task, model=place)
            return _adopt(inputs, spec_of_adopted(inputs, seed, labels), source)
    run = run_of_artefact(job.workspace, found) if isinstance(found, ArtefactRecord) else found
    if isinstance(run.spec, DerivedSpec):
        raise InputError(
            f"{called(found)} is pruned already",
            hint=f"prune its baseline: --from {run.spec.source}",
        )
    check_task(run, task)
    check_nothing_said(job, labels, called(found))
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
    said = asked_labels(labels, inputs.task, inputs.model)
    return spec_of_dense(inputs, seed, training=None, labels=said)


def _adopt(inputs: Inputs, spec: BaselineSpec, source: str) -> Outcome:
    """The run of the classifier that ``inputs`` name, which the user calls ``source``."""
    job, name, place = inputs.job, run_name(spec), inputs.model
    with job.lock(name):
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
        publish = partial(
            score_and_publish, inputs, spec, model, tokenizer, title=source, seconds={}
        )
        record = job.tracked(spec, publish)
        predictions = load_predictions(job.workspace.verify_file(record, PREDICTIONS))
        tell_of_chance(inputs, model.config, predictions)
    return Outcome(record, reused=False)
