"""Making an artefact of a run, and scoring what is read back from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.core import engine
from prunecli.errors import InputError, IntegrityError
from prunecli.files import file_sha256, files_in
from prunecli.machine.extras import needed
from prunecli.machine.hardware import machine
from prunecli.models import loading as models
from prunecli.models.switching import check_one_attention
from prunecli.onnxfile.quantise import weight_bits
from prunecli.pipelines.adopted import check_own_settings, resolve_source
from prunecli.pipelines.adoption import check_nothing_said
from prunecli.pipelines.agreement import (
    Source,
    check_answers,
    check_examples,
    source_of_export,
)
from prunecli.pipelines.bound import Held, hold
from prunecli.pipelines.calibration import unlabelled_batches
from prunecli.pipelines.checks import check_cut_options
from prunecli.pipelines.deployments import deployment_of
from prunecli.pipelines.evaluate import run_inputs
from prunecli.pipelines.exports import EXPORTS, ExportedModel
from prunecli.pipelines.exports.onnx import TOLERANCE
from prunecli.pipelines.job import Job
from prunecli.pipelines.prune import cut_run
from prunecli.pipelines.publish import model_info
from prunecli.pipelines.reading import (
    read_back,
    session_of,
    tell_of_batches,
    tell_of_overflow,
)
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.pipelines.subjects import (
    Place,
    called,
    check_task,
    find_subject,
    run_of_artefact,
)
from prunecli.pipelines.vocabulary import Trim, trimmed, unknown_tokens
from prunecli.records.artefacts import (
    ArtefactRecord,
    ArtefactSpec,
    FileInfo,
    Setting,
    artefact_name,
)
from prunecli.records.gates import GateResult
from prunecli.records.runs import (
    BaselineSpec,
    RunRecord,
    TaskInfo,
    points_lost,
    primary_scores,
)
from prunecli.runtimes import RUNTIMES
from prunecli.settings.model import cuts, to_a_speed
from prunecli.store.folders import MASK, PREDICTIONS
from prunecli.store.masks import load_mask
from prunecli.store.predictions import load_predictions, save_predictions

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Exported:
    """What came of an export that left an artefact."""

    record: ArtefactRecord
    found: bool
    """Whether it was there already."""
    refusal: IntegrityError | None = None
    """What the command ends in: the artefact is kept, and over its bound."""
    gates: Sequence[GateResult] = ()
    """What it loses, held against its bound, on each split."""


def export(
    job: Job,
    subject: str,
    format_name: str,
    given: Mapping[str, Any],
    *,
    task: str | None = None,
    labels: Sequence[str] = (),
    vocabulary: Trim | None = None,
    max_difference: float | None = None,
    keep: bool = False,
) -> Exported:
    """Export a run, an artefact or any classifier, or find it exported.

    A classifier that is no run becomes one first, of ``task`` and with ``labels``: see
    `resolve_source`.

    Where answers depend on their batch, scores are of one example at a time, and the record has
    what batches make of them. One that an older version scored in batches is made anew.

    ``given`` are the options of the format, ``vocabulary`` says whether the tokens that some texts
    do not use are left out. Where the settings of ``job`` say so, heads and neurons
    are cut out first, which makes a run of its own. What was written is read back and scored on the
    examples of the run: `IntegrityError` where the answers show that it loses more than
    ``max_difference`` points of its primary metric against its source (what the format says unless
    given; see `hold`), where any logit differs by more than the format's tolerance, which is 0
    where it loses nothing, or where a zero of the run's mask came back. Nothing is kept then, but
    for the run of a cut. With ``keep`` what loses too much is kept, its record says so, and the
    error stands in what is returned.
    """
    format_ = EXPORTS.get(format_name)
    settings = format_.settings(given)
    check_cut_options(job.settings)
    if cuts(job.settings):
        for module, extra in format_.packages.items():  # known before the minutes of a cut
            needed(module, extra=extra, purpose=f"--format {format_name}")
    found = _entered(job, subject, task, labels)
    if cuts(job.settings):
        if isinstance(found, ArtefactRecord):
            raise InputError(
                f"artefact {found.name} cannot be cut", hint=f"cut what it was made of: {found.run}"
            )
        found = cut_run(deployed_so(job, format_name, settings), found.name)
        job.progress.notice(f"cut     {found.name}")
    source = source_of_export(job, found)
    most = format_.max_difference(settings) if max_difference is None else max_difference
    spec = ArtefactSpec(
        source=source.name,
        format=format_name,
        settings=settings,
        vocabulary=vocabulary.spec if vocabulary else None,
    )
    name = artefact_name(spec)
    made = job.workspace.find_artefact(name)
    if made is None or made.scored_in_batches:
        with job.workspace.lock(name):
            made = job.workspace.find_artefact(name)
            if made is None or made.scored_in_batches:
                if made is not None:
                    tell_of_batches(job, made)
                return _make(job, source, spec, vocabulary or Trim(None), most, keep=keep)
    tell_of_overflow(job, made)
    return _hold_again(job, source, made, most, keep=keep)


def _entered(
    job: Job, subject: str, task: str | None, labels: Sequence[str]
) -> RunRecord | ArtefactRecord:
    """The finished run or artefact that is exported; of another classifier the run that it is."""
    found = find_subject(job.workspace, subject)
    if isinstance(found, Place):
        outcome = resolve_source(job, subject, task, job.settings.seed[0], labels)
        if not outcome.reused:
            job.progress.notice(f"made    {outcome.record.name}, which {subject} now is here")
        return outcome.record
    check_nothing_said(job, labels, called(found))
    run = run_of_artefact(job.workspace, found) if isinstance(found, ArtefactRecord) else found
    check_task(run, task)
    check_own_settings(job, run)
    return found


def deployed_so(job: Job, format_name: str, settings: Mapping[str, Setting]) -> Job:
    """``job``, whose speed, if one is asked for, is that of the format with its ``settings``."""
    if not to_a_speed(job.settings):
        return job
    name = deployment_of(format_name, settings)
    return replace(job, settings=job.settings.model_copy(update={"deployed_as": name}))


def _make(
    job: Job, source: Source, spec: ArtefactSpec, trim: Trim, most: float, *, keep: bool
) -> Exported:
    run, name, format_ = source.run, artefact_name(spec), EXPORTS.get(spec.format)
    inputs = run_inputs(
        job,
        run,
        max_eval_samples=run.spec.evaluation.max_eval_samples,
        max_seq_length=run.spec.max_seq_length,
    )
    inputs.check_data_of(run)
    check_examples(inputs, source)
    inputs.model, inputs.model_fingerprint = run.model.name, run.model.fingerprint
    watch, dense = Stopwatch(), _dense(job, run)
    with job.workspace.writing(), job.workspace.stage_artefact(name) as folder:
        with (
            watch.phase("export"),
            source.opened() as whole,
            trimmed(job, run, whole, trim) as (model, vocabulary),
        ):
            config = models.load_config(str(model))  # which refuses what cannot be scored
            if not format_.runtime.startswith("torch"):
                check_one_attention(config, run.spec.max_seq_length)
            calibration = partial(unlabelled_batches, job, run, model)
            exported = ExportedModel(model, whole, frozenset(run.layers), job.progress, calibration)
            with EXPORTS.blaming(spec.format):
                ledger = format_.write(exported, folder, spec.settings)
        with read_back(
            job, spec, folder, inputs.task, precision=run.spec.evaluation.precision
        ) as back:
            if back.model is not None:
                _check_zeros(job, run, back.model)
            with watch.phase("evaluate"):
                answering = (back.classifier, back.tokenizer, back.config)
                predictions = inputs.answers(*answering, title=name)
                batched = inputs.spread(*answering, predictions, title=name)
            counts = engine.achieved(back.model) if back.model is not None else None
            read = unknown_tokens(inputs, source.opened, back.tokenizer, vocabulary)
        tolerance = format_.tolerance(spec.settings)
        if tolerance is not None and (read is None or back.precision == "float32"):
            # beside texts of another length sums are made in another order
            least = 0.0 if read is None else TOLERANCE
            alike = read.alike if read else None
            check_answers(inputs, source, predictions, name, max(tolerance, least), alike)
        metrics = inputs.metrics(predictions)
        held = hold(run.task, source.predictions(), predictions, most)
        refusal = _refusal(name, spec, held, kept=keep)
        if refusal is not None and not keep:
            raise refusal
        save_predictions(folder / PREDICTIONS, predictions)
        record = ArtefactRecord(
            name=name,
            spec=spec,
            run=run.name,
            task=run.task,
            command=job.command,
            created=datetime.now(timezone.utc),
            data=inputs.data_info(),
            model=model_info(counts, back.model, inputs) if counts else source.model,
            sparsity=counts.sparsity if counts else source.sparsity,
            counted="artefact" if counts else "source",
            metrics=metrics,
            source_metrics={split: dict(found) for split, found in source.metrics.items()},
            difference=_difference(run.task, source.metrics, metrics),
            drop=points_lost(dense, metrics),
            exact=tolerance == 0 and read is None,
            runtime=RUNTIMES.get(format_.runtime).version(),
            ledger=ledger,
            seconds=watch.seconds,
            precision=back.precision,
            weight_bits=weight_bits() if "int8" in spec.settings else None,
            max_seq_length=inputs.max_seq_length,
            machine=machine(job.device),
            files=_files(folder),
            batched=batched,
            session=session_of(format_.opens(folder)),
            vocabulary=read.info if read else source.vocabulary,
            lost=dict(held.lost),
            over=most if refusal else None,
            dense_bytes=4 * (run.model.dense_parameters or run.model.parameters),
        )
        job.workspace.write_record(folder, record)
    if refusal is None and held.otherwise:
        job.progress.notice(held.told())
    return Exported(record, found=False, refusal=refusal, gates=held.gates(name))


def _hold_again(
    job: Job, source: Source, found: ArtefactRecord, most: float, *, keep: bool
) -> Exported:
    """Hold an artefact that is there against a bound, which may be another than it was made with.

    Its mark goes by the last bound at which it was kept. `IntegrityError` where it is over this one
    and not to be kept so: it then stays as it was.
    """
    folder = job.workspace.artefact_dir(found.name)
    answers = load_predictions(job.workspace.verify_artefact_file(found, PREDICTIONS))
    held = hold(found.task, source.predictions(), answers, most)
    refusal = _refusal(found.name, found.spec, held, kept=keep)
    if refusal is not None and not keep:
        raise refusal
    over = most if refusal else None
    if over != found.over:
        with job.workspace.writing(), job.workspace.lock(found.name):
            found = found.model_copy(update={"over": over, "lost": dict(held.lost)})
            job.workspace.write_record(folder, found)
            job.workspace.share(folder)
    if refusal is None and held.otherwise:
        job.progress.notice(held.told())
    return Exported(found, found=True, refusal=refusal, gates=held.gates(found.name))


def _refusal(name: str, spec: ArtefactSpec, held: Held, *, kept: bool) -> IntegrityError | None:
    if not held.over:
        return None
    finer = EXPORTS.get(spec.format).finer
    if spec.vocabulary is not None:
        finer += ", or trim the vocabulary to more texts"
    return held.refusal(name, finer, kept=kept)


def _check_zeros(job: Job, run: RunRecord, model: PreTrainedModel) -> None:
    if MASK in run.files:
        load_mask(job.workspace.verify_file(run, MASK)).verify(model)


def _difference(
    task: TaskInfo,
    source: Mapping[str, Mapping[str, float]],
    found: Mapping[str, Mapping[str, float]],
) -> float:
    before, after = primary_scores(task, source), primary_scores(task, found)
    return max(100 * abs(before[split] - after[split]) for split in after)


def _dense(job: Job, run: RunRecord) -> RunRecord | None:
    """The dense baseline of a run, which may be itself, if it is at hand."""
    return run if isinstance(run.spec, BaselineSpec) else job.workspace.find(run.spec.source)


def _files(folder: Path) -> dict[str, FileInfo]:
    return {
        name: FileInfo(sha256=file_sha256(path), bytes=path.stat().st_size)
        for name, path in files_in(folder).items()
    }
