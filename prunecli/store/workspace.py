"""Every path of a workspace; locks; lookup by name.

Longer than most: whoever asks for a place of a workspace asks here.

Layout::

    workspace/
      runs/NAME/           model/, mask.safetensors, predictions.safetensors, record.json;
                           weights in model/, in packed.safetensors, or as the mask alone
      evaluations/NAME.json
      sweeps/NAME.json     what a sweep asked for and what became of each point
      artefacts/NAME/      what `prune export` made of a run, predictions, record.json
      benches/NAME.json    what `prune bench` measured
      compressions/NAME.json   what `prune compress` tried, chose and proved
      tasks/NAME.toml      what it found the columns of somebody's file to be
      reports/             what `prune report` and `prune compare` write
      examples/            texts of evaluated examples, once for all runs scored on them
      tracking/            what `--track` writes for TensorBoard, MLflow and Weights & Biases
      partial/NAME/        checkpoints of unfinished training
      cache/tokenised/     tokenised data by content
      cache/counts/        how many weights of a run are zero
      locks/
      .gitignore           so that git passes over all of it

A run or artefact is assembled beside its final place and moved there in one step, its record
written last, so a folder under ``runs/`` or ``artefacts/`` is always whole.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel

from prunecli.errors import InputError
from prunecli.files import failed_write, files_in, write_atomically
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.records.compressions import CompressionRecord
from prunecli.records.latency import LatencyTable
from prunecli.records.runs import EvaluationRecord, RunRecord, SweepRecord
from prunecli.store.contents import check_artefact, check_run
from prunecli.store.examples import EXAMPLES_FORMAT, example_line, read_examples
from prunecli.store.folders import (
    ARTEFACTS,
    BENCHES,
    COMPRESSIONS,
    EVALUATIONS,
    EXAMPLES,
    LATENCIES,
    MASK,
    RECORD,
    REPORTS,
    RUNS,
    SWEEPS,
    TASKS,
    check_no_link,
    finished,
    is_plain,
    listed,
    named_by,
    staged,
    verified,
    verified_model,
)
from prunecli.store.locks import held
from prunecli.store.lookup import is_word, meant, only, suggestion
from prunecli.store.mirror import Mirror
from prunecli.store.naming import own_record
from prunecli.store.unread import Tell, Unread, read_files, read_folders


class Workspace:
    """One folder in which everything is written."""

    def __init__(self, root: Path, mirror: Mirror | None = None) -> None:
        """That in the folder ``root``, which with ``mirror`` is the copy of one at an address."""
        self.root = root
        self._mirror = mirror
        self.runs_dir = root / RUNS
        self.evaluations_dir = root / EVALUATIONS
        self.sweeps_dir = root / SWEEPS
        self.artefacts_dir = root / ARTEFACTS
        self.benches_dir = root / BENCHES
        self.latencies_dir = root / LATENCIES
        self.compressions_dir = root / COMPRESSIONS
        self.tasks_dir = root / TASKS
        self.reports_dir = root / REPORTS
        self.examples_dir = root / EXAMPLES
        self.tokenised_dir = root / "cache" / "tokenised"
        self.counts_dir = root / "cache" / "counts"
        self.partial_dir = root / "partial"
        self.tracking_dir = root / "tracking"
        self._locks_dir = root / "locks"

    @property
    def address(self) -> str:
        """What ``--workspace`` takes to mean this one."""
        return str(self.root) if self._mirror is None else self._mirror.address

    def refresh(self, tell: Callable[[str], object] = lambda _: None) -> None:
        """See what others have put to the address that this is a copy of, if it is one."""
        if self._mirror is not None:
            self._mirror.pull(tell)

    def share(self, path: Path) -> None:
        """Send what lies at ``path`` to the address that this is a copy of, if it is one."""
        if self._mirror is not None:
            self._mirror.push(path)

    def kept(self, record: RunRecord) -> RunRecord:
        """``record``, or that of the same run that another machine sent to the address first."""
        return record if self._mirror is None else self.find(record.name) or record

    def prepare(self) -> Workspace:
        """Make the folder and see that it can be written; raises `InputError` otherwise.

        A new one tells git to ignore it.
        """
        if self._mirror is not None:
            self._mirror.check()
        try:
            new = not self.root.exists() or not any(self.root.iterdir())
            for folder in (self.runs_dir, self._locks_dir, self.partial_dir):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
            if new:
                (self.root / ".gitignore").write_text("*\n", encoding="utf-8")
        except (FileExistsError, NotADirectoryError):
            raise InputError(
                f"workspace {self.root} is not a folder", hint="give another with --workspace DIR"
            ) from None
        except OSError as error:
            raise InputError(
                f"cannot write to workspace {self.root}: {error.strerror or error}",
                hint="give another with --workspace DIR",
            ) from None
        return self

    # Runs

    def run_dir(self, name: str) -> Path:
        """The folder of the run called ``name``; refuses what would lead out of the workspace."""
        if not is_plain(name):
            raise InputError(f"'{name}' is not the name of a run", hint="see: prune runs list")
        return self.runs_dir / name

    def find(self, name: str) -> RunRecord | None:
        """The finished run with exactly this name, or ``None``."""
        folder = self.run_dir(name)
        return own_record(folder / RECORD, RunRecord) if (folder / RECORD).exists() else None

    def named_by(self, text: str) -> str | None:
        """The finished run that ``text`` is the exact name of, or whose folder it is."""
        return named_by(text, self.runs_dir)

    def get(self, text: str, task: str | None = None) -> RunRecord:
        """The run that ``text`` means, as `prunecli.store.lookup` says; else `InputError`.

        ``task`` is for words such as ``@best``. Raises what reading a record does that may be meant
        and cannot be read.
        """
        if is_word(text):
            unread: list[Unread] = []
            return meant(text, self.readable_runs(unread.append), task, unread)
        found = self.find(self.named_by(text) or text)
        if found is not None:
            return found
        names = self.names()
        one = only(text, names)
        if one is not None:
            return own_record(self.runs_dir / one / RECORD, RunRecord)
        hint = suggestion(text, names) if names else f"there are no runs in {self.root} yet"
        raise InputError(f"no run '{text}' in {self.root}", hint=hint)

    def names(self) -> list[str]:
        """Names of all finished runs, sorted."""
        return finished(self.runs_dir)

    def runs(self) -> Iterator[RunRecord]:
        """All finished runs, by name; raises `IntegrityError` at a corrupt record."""
        for name in self.names():
            yield own_record(self.runs_dir / name / RECORD, RunRecord)

    def readable_runs(self, tell: Tell) -> list[RunRecord]:
        """The finished runs whose records can be read, by name; ``tell`` gets the others."""
        return read_folders(self.runs_dir, RunRecord, tell)

    def evaluations(self) -> Iterator[EvaluationRecord]:
        """All evaluation records, by name; raises `IntegrityError` at a corrupt one."""
        for path in sorted(self.evaluations_dir.glob("*.json")):
            yield own_record(path, EvaluationRecord)

    def verify_file(self, record: RunRecord, file: str) -> Path:
        """Path of one file of a run after its checksum was compared; else `IntegrityError`."""
        return verified(self.run_dir(record.name), file, record.files.get(file))

    def verified_model(self, record: RunRecord) -> Path:
        """The model folder of a run after every file in it was compared; else `IntegrityError`.

        That is also for counts in the record that are not those of the weights. `InputError` for
        one whose weights are kept in another form; `prunecli.load` and
        `prunecli.runtimes.opening.model_folder` give those back.
        """
        if record.kept is not None:
            raise InputError(
                f"run {record.name} has no model folder on disk",
                hint=f"prune export {record.name} --format hf makes one",
            )
        folder = verified_model(self.run_dir(record.name), record.files)
        check_run(self.run_dir(record.name), record)
        return folder

    def bytes_of(self, name: str) -> int:
        """Bytes of all files in a run's folder."""
        return sum(path.stat().st_size for path in files_in(self.run_dir(name)).values())

    def remove(self, name: str) -> None:
        """Remove one run; the record goes first, so that a half-removed run does not count.

        The texts of its examples stay: other runs were scored on them.
        """
        self._remove(self.run_dir(name))
        with suppress(OSError):  # it only saves time
            self._counts_path(name).unlink()

    def check_counts(self, record: RunRecord, baseline: RunRecord | None) -> None:
        """`check_run`, which reads weights only where they changed since they were last counted.

        The mask, which is small, is held to its hash where it is there.
        """
        folder, memory = self.run_dir(record.name), self._counts_path(record.name)
        if (folder / MASK).is_file() and MASK in record.files:
            self.verify_file(record, MASK)
        check_run(folder, record, baseline, memory=memory)

    def _counts_path(self, name: str) -> Path:
        return self.counts_dir / f"{name}.json"

    def _remove(self, folder: Path) -> None:
        check_no_link(folder)
        with self.lock(folder.name):
            (folder / RECORD).unlink(missing_ok=True)
            shutil.rmtree(folder)
            if self._mirror is not None:
                self._mirror.drop(folder)

    def unreadable(self) -> dict[str, Path]:
        """Folders of runs and artefacts that no record can be read of, by their name."""
        unread: list[Unread] = []
        read = {run.name for run in self.readable_runs(unread.append)}
        read |= {one.name for one in self.readable_artefacts(unread.append)}
        return {
            folder.name: folder
            for folder in (*listed(self.runs_dir), *listed(self.artefacts_dir))
            if is_plain(folder.name) and folder.is_dir() and not folder.is_symlink()
            if folder.name not in read
        }

    # Artefacts

    def artefact_dir(self, name: str) -> Path:
        """The folder of the artefact called ``name``, which leads nowhere else."""
        if not is_plain(name):
            raise InputError(f"'{name}' is not the name of an artefact")
        return self.artefacts_dir / name

    def find_artefact(self, text: str) -> ArtefactRecord | None:
        """The finished artefact that ``text`` names or whose folder it is, or ``None``."""
        name = named_by(text, self.artefacts_dir)
        return own_record(self.artefacts_dir / name / RECORD, ArtefactRecord) if name else None

    def artefact_meant(self, text: str, task: str | None = None) -> ArtefactRecord | None:
        """The artefact that ``text`` means where it may as well mean a run.

        ``None`` where it means a run, a folder elsewhere or nothing; `InputError` where it fits
        several names. ``task`` is for words such as ``@last``, of which `get` says more.
        """
        if is_word(text):
            unread: list[Unread] = []
            both: list[RunRecord | ArtefactRecord] = [*self.readable_runs(unread.append)]
            one = meant(text, [*both, *self.readable_artefacts(unread.append)], task, unread)
            return one if isinstance(one, ArtefactRecord) else None
        exact = self.find_artefact(text)
        if exact is not None or self.named_by(text) is not None or Path(text).exists():
            return exact
        artefacts = self.artefact_names()
        name = only(text, self.names(), artefacts)
        return self.find_artefact(name) if name is not None and name in artefacts else None

    def artefact_names(self) -> list[str]:
        """Names of all finished artefacts, sorted."""
        return finished(self.artefacts_dir)

    def artefacts(self) -> Iterator[ArtefactRecord]:
        """All finished artefacts, by name; raises `IntegrityError` at a corrupt record."""
        for name in self.artefact_names():
            yield own_record(self.artefacts_dir / name / RECORD, ArtefactRecord)

    def readable_artefacts(self, tell: Tell) -> list[ArtefactRecord]:
        """What `readable_runs` is for runs."""
        return read_folders(self.artefacts_dir, ArtefactRecord, tell)

    def remove_artefact(self, name: str) -> None:
        """Remove one artefact, as `remove` does a run."""
        self._remove(self.artefact_dir(name))

    def verified_artefact(self, record: ArtefactRecord, run: RunRecord | None = None) -> Path:
        """The folder of an artefact after every file in it was compared; else `IntegrityError`.

        With ``run``, its source, so is what it has from there.
        """
        folder = self.artefact_dir(record.name)
        for file, sha256 in record.hashes.items():
            verified(folder, file, sha256)
        check_artefact(folder, record, run)
        return folder

    def verify_artefact_file(self, record: ArtefactRecord, file: str) -> Path:
        """`verify_file` for an artefact."""
        return verified(self.artefact_dir(record.name), file, record.hashes.get(file))

    @contextmanager
    def stage_artefact(self, name: str) -> Iterator[Path]:
        """`stage` for an artefact; the caller holds the lock of its name."""
        with staged(self.artefact_dir(name)) as folder:
            yield folder
        self.share(self.artefact_dir(name))

    # Measurements of speed

    def benches(self) -> Iterator[BenchRecord]:
        """All measurements, by name; raises `IntegrityError` at a corrupt record."""
        for path in sorted(self.benches_dir.glob("*.json")):
            yield own_record(path, BenchRecord)

    def readable_benches(self, tell: Tell) -> list[BenchRecord]:
        """What `readable_runs` is for runs."""
        return read_files(self.benches_dir, BenchRecord, tell)

    def bench_path(self, name: str) -> Path:
        """The file of the measurement called ``name``."""
        return self.benches_dir / f"{name}.json"

    def write_bench(self, record: BenchRecord) -> None:
        """Write a measurement, over an earlier one of the same specification."""
        self._put(self.bench_path(record.name), record)

    def find_bench(self, name: str) -> BenchRecord | None:
        """The measurement called ``name``; raises `IntegrityError` where it is corrupt."""
        path = self.bench_path(name)
        return own_record(path, BenchRecord) if path.is_file() else None

    def find_compression(self, name: str) -> CompressionRecord | None:
        """The compression called ``name``; raises `IntegrityError` where it is corrupt."""
        path = self._compression_path(name)
        return own_record(path, CompressionRecord) if path.is_file() else None

    def write_compression(self, record: CompressionRecord) -> None:
        """Write a compression, over what stood there of it before."""
        self._put(self._compression_path(record.name), record)

    def _compression_path(self, name: str) -> Path:
        return self.compressions_dir / f"{name}.json"

    def find_latency(self, name: str) -> LatencyTable | None:
        """The table of latencies called ``name``; raises `IntegrityError` where it is corrupt."""
        path = self._latency_path(name)
        return own_record(path, LatencyTable) if path.is_file() else None

    def write_latency(self, table: LatencyTable) -> None:
        """Write a table of latencies."""
        self._put(self._latency_path(table.name), table)

    def _latency_path(self, name: str) -> Path:
        return self.latencies_dir / f"{name}.json"

    # Making a run

    def checkpoints_dir(self, name: str) -> Path:
        """Where unfinished training of the run keeps its checkpoints."""
        return self.partial_dir / self.run_dir(name).name

    def unfinished(self) -> list[str]:
        """Names of the runs whose training was begun and not finished, sorted."""
        if not self.partial_dir.is_dir():
            return []
        return sorted(folder.name for folder in self.partial_dir.iterdir() if any(folder.glob("*")))

    @contextmanager
    def lock(self, name: str, wait: Callable[[str], object] | None = None) -> Iterator[None]:
        """Hold the run called ``name``; `BusyError` at once when another process holds it.

        With ``wait`` it is waited for, however long it takes, and ``wait`` gets a line that says
        so. `InputError` where the disk knows no locks: two processes could then make one run.
        """
        path = self._locks_dir / f"{self.run_dir(name).name}.lock"
        with held(path, self.root, name, wait):
            yield

    @contextmanager
    def marked(self) -> Iterator[str]:
        """A file that is there within the block: who does not see it has another workspace.

        Empty for that of an address, which is the same for all.
        """
        if self._mirror is not None:
            yield ""
            return
        path = self._locks_dir / f"mark-{secrets.token_hex(8)}"
        with self.writing():
            path.touch()
        try:
            yield str(path.absolute())
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[Path]:
        """A folder that becomes the run's folder when the block ends without an error.

        The caller holds the run's lock.
        """
        with staged(self.run_dir(name)) as folder:
            yield folder
        shutil.rmtree(self.checkpoints_dir(name), ignore_errors=True)
        self.share(self.run_dir(name))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a failure to write, by this package or the libraries it uses, into `InputError`."""
        try:
            yield
        except Exception as error:
            reason = failed_write(error)
            if reason is None:
                raise
            raise InputError(
                f"cannot write to workspace {self.root}: {reason}",
                hint="nothing half-written was kept; free some space or give another --workspace",
            ) from None

    # Texts of evaluated examples

    def examples(self, record: RunRecord, split: str) -> dict[int, dict[str, str]]:
        """Texts of the examples of ``split`` that a run was scored on, by the name of their column.

        They are found by the index that the run's predictions have. Empty where none were kept,
        as in older workspaces. Raises what `read_examples` raises.
        """
        return read_examples(self._examples_path(record, split))

    def keep_examples(
        self, record: RunRecord, split: str, rows: Iterable[tuple[int, Mapping[str, str]]]
    ) -> None:
        """Keep the texts of ``rows``, by their index, for `examples`; once for all like runs."""
        path = self._examples_path(record, split)
        if not path.exists():
            write_atomically(path, (example_line(index, texts) for index, texts in rows))
            self.share(path)

    def _examples_path(self, record: RunRecord, split: str) -> Path:
        # The subset follows from its size: it is always drawn by the same seed.
        count = record.data.evaluation_examples.get(split)
        parts = (EXAMPLES_FORMAT, record.spec.task, record.spec.data, split, count)
        digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
        return self.examples_dir / f"{digest[:16]}.jsonl"

    # Records

    def write_record(self, folder: Path, record: RunRecord | ArtefactRecord) -> None:
        """Write the record into a staged folder, the last file to appear there."""
        _write(folder / RECORD, record)

    def write_evaluation(self, record: EvaluationRecord) -> None:
        """Write an evaluation record."""
        self._put(self.evaluations_dir / f"{record.name}.json", record)

    def last_sweep(self, tell: Tell) -> SweepRecord | None:
        """What the last sweep asked for whose record can be read; ``tell`` gets the others."""
        found = read_files(self.sweeps_dir, SweepRecord, tell)
        return max(found, key=lambda one: one.created, default=None)

    def write_sweep(self, record: SweepRecord) -> None:
        """Write a sweep record; the same sweep overwrites its own."""
        self._put(self.sweeps_dir / f"{record.name}.json", record)

    def _put(self, path: Path, record: BaseModel) -> None:
        _write(path, record)
        self.share(path)


def _write(path: Path, record: BaseModel) -> None:
    write_atomically(path, record.model_dump_json(indent=2) + "\n")
