"""A whole data set: every shard, what is done already, and the receipt at the end."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from optout import dsse
from optout.engine import Question
from optout.errors import BadInput, DoesNotHold, UsageError
from optout.filter.atomic import ensure_directory, sha256_of, write_atomic
from optout.filter.domains import merge_counts
from optout.filter.kinds import open_kind
from optout.filter.marker import load_result, read_domains, still_holds
from optout.filter.modes import Codec, DataFormat, MaskFormat, Mode
from optout.filter.occupied import require_ours
from optout.filter.pool import Failure, Task, run_tasks
from optout.filter.results import Counts, ShardResult
from optout.filter.settings import Settings, at_of, plan_of
from optout.filter.sinks import save_uids
from optout.filter.source import Shard, find_shards
from optout.keys import PrivateKey, load_private
from optout.parents import digests_of, read_parents
from optout.receipt import (
    RECEIPT_NAME,
    SnapshotFacts,
    Subject,
    make_statement,
    read_statement,
    sign_statement,
)
from optout.snapshot import Snapshot, open_snapshot
from optout.snapshot.manifest import ENVELOPE_NAME, PAYLOAD_TYPE

__all__ = ["KEPT_UIDS", "ShardsFailed", "Summary", "filter_dataset"]

# A process needs about a second to start; that is this much data.
_BYTES_WORTH_A_PROCESS = 64 << 20

#: The one file that DataComp's resharder takes, made of all shards' uids.
KEPT_UIDS = "kept_uids.npy"


@dataclass(frozen=True)
class Summary:
    """What a run came to; `as_json` is what `optout filter --json` prints.

    Attributes:
        counts: what became of the rows of all shards.
        shards: how many shards there are.
        resumed: how many of them an earlier run had finished.
        failed: shards that could not be done.
        seconds: of this run.
        rows_done: rows that this run read.
        snapshot: its digest.
        named: sentences about items that could not be judged, the first few of each shard.
        plan: snapshot, question and settings.
        out: the output directory.
        receipt, receipt_sha256: the receipt's path and digest; None without key or with failed shards.
    """

    counts: Counts
    shards: int
    resumed: int
    failed: tuple[Failure, ...]
    seconds: float
    rows_done: int
    snapshot: str
    named: tuple[str, ...]
    plan: dict[str, Any]
    out: str
    receipt: str | None
    receipt_sha256: str | None

    def as_json(self) -> dict[str, Any]:
        question, settings = self.plan["question"], self.plan["settings"]
        return {
            **asdict(self.counts),
            "mode": str(settings["mode"]),
            **question,
            "shards": self.shards,
            "resumed": self.resumed,
            "failed": [failure._asdict() for failure in self.failed],
            "error_items": list(self.named),
            "seconds": round(self.seconds, 3),
            "rows_per_s": round(self.rows_done / self.seconds) if self.seconds else 0,
            "snapshot": self.snapshot,
            "out": self.out,
            "receipt": self.receipt,
            "receipt_sha256": self.receipt_sha256,
        }


class ShardsFailed(BadInput):
    """Some shards could not be done; the others are finished. `summary` has the counts and the reasons."""

    def __init__(self, summary: Summary) -> None:
        first = summary.failed[0]
        more = f" (and {len(summary.failed) - 1} more shards failed)" if len(summary.failed) > 1 else ""
        super().__init__(f"{first.detail}{more}; no receipt was written", code=first.code)
        self.summary = summary


def filter_dataset(
    source: str | Path,
    out: str | Path,
    *,
    snapshot: Snapshot | str | Path,
    question: Question,
    mode: Mode | str = Mode.DROP,
    key: PrivateKey | str | Path | None = None,
    processes: int | None = None,
    overwrite: bool = False,
    settings: Settings | None = None,
    progress: Callable[[int], object] | None = None,
    data_format: DataFormat | str | None = None,
    parents: Sequence[str | Path] = (),
) -> Summary:
    """Filter every shard that `source` names into the directory `out`.

    A shard that an earlier run finished with the same snapshot, question and settings is not done again; if
    the question has no time, that run's time is carried on.

    Args:
        source: a file, a directory or a glob.
        out: directory for the outputs, which keep the shards' names.
        snapshot: the directory of a snapshot, or an open one (then everything is done in this process).
        question: use, time, grade, names.
        mode: `drop`, `annotate` or `mask`; `settings` has the rest.
        key: signs the receipt; without it there is none, and what only a receipt needs is not computed.
        processes: how many at once; None for one a core, fewer where there is little to do.
        overwrite: do everything anew, whatever `out` holds of earlier runs.
        settings: what is kept, columns, codec; its mode is replaced by `mode`.
        progress: called with numbers of rows done.
        data_format: what the source holds; None tells it by what is there.
        parents: receipts of the filter runs that the source came from; the new receipt carries them.

    Raises:
        ShardsFailed: shards with bad input; the others are done, there is no receipt.
        BadInput: nothing to filter, a bad key.
        UsageError: `out` holds something else, or the output of another snapshot or question; parents but no
            key.
        OptoutError: the disk is full.
    """
    started = _Start(time.monotonic(), datetime.now(UTC))
    signer = load_private(key) if isinstance(key, str | Path) else key
    earlier = read_parents(parents)
    if earlier and signer is None:
        raise UsageError("a parent receipt is carried by a receipt: give a key to sign one", code="no_key")
    settings = replace(settings or Settings(), mode=Mode(mode))
    if settings.codec is not None and settings.codec not in list(Codec):
        raise UsageError(f"unknown codec {settings.codec!r}: {', '.join(Codec)}", code="unknown_codec")
    shards = find_shards(source, Path(out), DataFormat(data_format) if data_format else None)
    tasks = [_task(shard, Path(out), settings, prove=signer is not None) for shard in shards]
    run = _prepare(tasks, Path(out), snapshot, question, settings, overwrite=overwrite)
    if progress is not None:
        progress(sum(result.counts.rows for result in run.finished.values()))
    where = snapshot if isinstance(snapshot, Snapshot) else Path(snapshot)
    count = processes or _processes_for(run.waiting)
    done = list(run_tasks(run.waiting, where, run.question, settings, processes=count, progress=progress))
    summary, results = _summarise(run, done, started)
    if summary.failed:
        raise ShardsFailed(summary)
    if settings.mode is Mode.MASK and settings.mask_format is MaskFormat.DATACOMP:
        _merge_uids(run.out, results)
    if signer is not None:
        receipt = _sign(run, results, signer, started.at, earlier)
        summary = replace(summary, receipt=str(receipt), receipt_sha256=sha256_of(receipt))
    return replace(summary, seconds=time.monotonic() - started.clock)


def _processes_for(tasks: list[Task]) -> int:
    """One a core, but none whose start would take longer than its share of the work."""
    size = sum(task.shard.bytes for task in tasks)
    return min(len(os.sched_getaffinity(0)), 1 + size // _BYTES_WORTH_A_PROCESS)


class _Start(NamedTuple):
    clock: float
    at: datetime


@dataclass(frozen=True)
class _Run:
    """A run made ready: the output directory is ours, and it is known what is left to do."""

    out: Path
    snapshot: Snapshot
    question: Question
    settings: Settings
    plan: dict[str, Any]
    tasks: list[Task]
    finished: dict[str, ShardResult]
    signed_by: tuple[str, ...]

    @property
    def waiting(self) -> list[Task]:
        return [task for task in self.tasks if task.output not in self.finished]


def _prepare(
    tasks: list[Task],
    out: Path,
    where: Snapshot | str | Path,
    question: Question,
    settings: Settings,
    *,
    overwrite: bool,
) -> _Run:
    snapshot = where if isinstance(where, Snapshot) else open_snapshot(where)
    _require_distinct(tasks)
    earlier = {task.output: result for task in tasks if (result := load_result(task.out)) is not None}
    if not overwrite:
        question = _carry_time_on(question, earlier.values())
    question = replace(question, at=at_of(question))
    plan = plan_of(snapshot.digest, question, settings)
    ensure_directory(out)
    require_ours(out, [task.output for task in tasks], (RECEIPT_NAME, KEPT_UIDS), overwrite=overwrite)
    finished = {} if overwrite else _finished(out, tasks, earlier, plan)
    run = _Run(out, snapshot, question, settings, plan, tasks, finished, _signers_of(where))
    if run.waiting:
        # A receipt must never stand beside files that it does not speak of.
        for name in (RECEIPT_NAME, KEPT_UIDS):
            (out / name).unlink(missing_ok=True)
    return run


def _task(shard: Shard, out: Path, settings: Settings, *, prove: bool) -> Task:
    name = open_kind(shard.kind).output(shard.name, settings)
    return Task(shard, name, out / name, prove)


def _require_distinct(tasks: list[Task]) -> None:
    for name, count in Counter([RECEIPT_NAME, KEPT_UIDS, *(task.output for task in tasks)]).items():
        if count > 1:
            raise UsageError(f"more than one output would be called {name}", code="name_clash")


def _carry_time_on(question: Question, earlier: Iterable[ShardResult]) -> Question:
    """A question without a time, asked again to go on with a run, asks about that run's time."""
    for result in earlier if question.at is None else ():
        return replace(question, at=datetime.fromisoformat(result.plan["question"]["at"]))
    return question


def _finished(
    out: Path, tasks: list[Task], earlier: dict[str, ShardResult], plan: dict[str, Any]
) -> dict[str, ShardResult]:
    """The shards that need not be done again.

    Raises:
        UsageError: one was done with another snapshot, question or settings (`other_run`).
    """
    finished = {}
    for task in tasks:
        result = earlier.get(task.output)
        if result is None:
            continue
        if result.plan != plan:
            raise UsageError(
                f"{task.out} was made with another {_difference(result.plan, plan)}; "
                "use --overwrite or another --out",
                code="other_run",
            )
        if (result.proven or not task.prove) and still_holds(result, task.shard.inputs, out):
            finished[task.output] = result
    return finished


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two plans, for people."""
    for part in ("snapshot", "question", "settings"):
        if before.get(part) == now[part]:
            continue
        if part == "snapshot":
            return f"snapshot ({str(before.get(part))[:16]}…, now {now[part][:16]}…)"
        names = [name for name, value in now[part].items() if before[part].get(name) != value]
        return ", ".join(f"{name} ({before[part].get(name)}, now {now[part][name]})" for name in names)
    return "program version"


def _summarise(
    run: _Run, done: list[ShardResult | Failure], started: _Start
) -> tuple[Summary, list[ShardResult]]:
    fresh = [item for item in done if isinstance(item, ShardResult)]
    results = sorted([*run.finished.values(), *fresh], key=lambda result: result.name)
    summary = Summary(
        counts=sum((result.counts for result in results), Counts()),
        shards=len(run.tasks),
        resumed=len(run.finished),
        failed=tuple(sorted(item for item in done if isinstance(item, Failure))),
        seconds=time.monotonic() - started.clock,
        rows_done=sum(result.counts.rows for result in fresh),
        snapshot=run.snapshot.digest,
        named=tuple(sentence for result in results for sentence in result.named),
        plan=run.plan,
        out=str(run.out),
        receipt=None,
        receipt_sha256=None,
    )
    return summary, results


def _merge_uids(out: Path, results: list[ShardResult]) -> None:
    halves = [np.load(out / result.output).view("u8").reshape(-1, 2) for result in results]
    write_atomic(out / KEPT_UIDS, lambda part: save_uids(part, halves))


def _sign(
    run: _Run,
    results: list[ShardResult],
    signer: PrivateKey,
    started_at: datetime,
    parents: Sequence[Mapping[str, str]],
) -> Path:
    """Write the receipt; one that stands there for the same files and parents by the same key stays."""
    path = run.out / RECEIPT_NAME
    if path.exists() and _stands(path, signer, [parent["sha256"] for parent in parents]):
        return path
    outputs = [Subject(name, file.sha256) for result in results for name, file in result.outputs.items()]
    if (run.out / KEPT_UIDS).exists():
        outputs.append(Subject(KEPT_UIDS, sha256_of(run.out / KEPT_UIDS)))
    domains = merge_counts(read_domains(run.out / result.output) for result in results)
    statement = make_statement(
        outputs,
        results,
        snapshot=_facts(run),
        domains=domains,
        started=started_at,
        parents=parents,
    )
    write_atomic(path, lambda part: part.write_bytes(sign_statement(statement, signer)))
    return path


def _stands(path: Path, signer: PrivateKey, parents: list[str]) -> bool:
    try:
        predicate = read_statement(path, [signer.public])["predicate"]
    except DoesNotHold:
        return False
    return digests_of(predicate) == parents


def _facts(run: _Run) -> SnapshotFacts:
    manifest = run.snapshot.manifest
    return SnapshotFacts(run.snapshot.digest, run.signed_by, manifest.checkpoint, manifest.thresholds)


def _signers_of(snapshot: Snapshot | str | Path) -> tuple[str, ...]:
    """Ids of the keys that signed a snapshot on disk; one in memory only is signed by nobody."""
    if isinstance(snapshot, Snapshot):
        return ()
    envelope = dsse.read_envelope((Path(snapshot) / ENVELOPE_NAME).read_bytes(), PAYLOAD_TYPE)
    return tuple(key_id for key_id, _ in envelope.signatures)
