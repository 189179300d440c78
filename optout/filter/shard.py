"""One shard: a pure function of (input file, snapshot, question, settings) to an output file.

multiprocessing, Ray or Spark map `filter_shard` over paths; nothing else is shared between shards.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from optout.engine import ItemError, Items, Question, Verdicts
from optout.errors import BadInput, OptoutError
from optout.filter.atomic import sha256_of, write_atomic
from optout.filter.columns import Found, find_columns
from optout.filter.domains import DomainCounter
from optout.filter.kinds import Job, Kind, Written, by_suffix, open_kind
from optout.filter.marker import write_marker
from optout.filter.modes import DataFormat, MaskFormat, Mode
from optout.filter.parquet import Source
from optout.filter.results import Counts, Described, ShardResult
from optout.filter.settings import Settings, at_of, plan_of
from optout.filter.sinks import Judged, Sink, columns_read, make_sink
from optout.filter.source import Shard, shard_at
from optout.snapshot import Snapshot, open_snapshot
from optout.words import Outcome, SelectorKind

__all__ = ["KIND", "count_rows", "filter_shard"]


def filter_shard(
    source: Shard | str | Path,
    out: str | Path,
    snapshot: Snapshot | str | Path,
    question: Question,
    settings: Settings | None = None,
    *,
    output: str | None = None,
    prove: bool = True,
    progress: Callable[[int], object] | None = None,
    threads: int = 1,
) -> ShardResult:
    """Filter one shard. `out` appears whole, and after it the marker `.<name>.done.json` beside it.

    Args:
        source: the input file (a Parquet file, a tar, …; its companions are found beside it), or a `Shard`.
        out: the file to write, or for a folder the directory; what was there is replaced.
        snapshot: an open one, or the directory of one.
        question: use, time, grade, names; without a time: now.
        settings: mode and what else; `Settings()` drops.
        output: what to call the output in the receipt; its file name if not given.
        prove: take the digests and count the domains that a receipt needs; without, neither is known.
        progress: called with a number of rows each time that many more are done.
        threads: how many may hash pictures at once.

    Raises:
        BadInput: the file is empty, cut short, not what it should be, or lacks the columns.
        UsageError: the output cannot be written, or has a column that `annotate` adds.
        OptoutError: the disk is full.
    """
    started = time.perf_counter()
    out, settings = Path(out), settings or Settings()
    shard = source if isinstance(source, Shard) else shard_at(Path(source))
    opened = snapshot if isinstance(snapshot, Snapshot) else open_snapshot(snapshot)
    question = replace(question, at=at_of(question))
    before = {name: _stat(path, name) for name, path in shard.inputs.items()}
    domains = DomainCounter() if prove else None
    if output is None and shard.path.is_dir():
        output = open_kind(shard.kind).output(".", settings)
        out = out / output
    output = output or "/".join(out.parts[-len(Path(shard.name).parts) :])
    job = Job(shard, out, output, opened, question, settings, domains, progress, threads)
    written = open_kind(shard.kind).write(job)
    result = ShardResult(
        name=shard.name,
        output=output,
        inputs=_inputs(shard, before, prove=prove),
        outputs={name: _described(job.place(name), digest) for name, digest in written.outputs.items()},
        counts=written.counts,
        plan=plan_of(opened.digest, question, settings),
        seconds=round(time.perf_counter() - started, 3),
        proven=prove,
        named=written.named,
    )
    write_marker(out, result, domains.table() if domains is not None else None)
    return result


def _inputs(shard: Shard, before: dict[str, tuple[int, int]], *, prove: bool) -> dict[str, Described]:
    """The shard's files as they were read.

    Raises:
        BadInput: one was changed meanwhile (`changed_input`).
    """
    read = {name: sha256_of(path) if prove else "" for name, path in shard.inputs.items()}
    for name, path in shard.inputs.items():
        if _stat(path, name) != before[name]:
            raise BadInput(f"{name}: the file changed while it was read", code="changed_input")
    return {name: Described(digest, *before[name]) for name, digest in read.items()}


def _described(path: Path, digest: str) -> Described:
    found = path.stat()
    return Described(digest, found.st_size, found.st_mtime_ns)


def _stat(path: Path, name: str) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror}", code="unreadable") from error
    return found.st_size, found.st_mtime_ns


def _write_parquet(job: Job) -> Written:
    counts, digest = write_atomic(job.out, lambda part: _write(job, part))
    return Written(counts, {job.output: digest})


def _write(job: Job, part: Path) -> tuple[Counts, str]:
    """Fill `part`; returns the counts and the digest of what was written."""
    with Source(job.shard.path, job.name) as source:
        found = find_columns(source.schema, job.settings.columns, job.name)
        sink = make_sink(part, source, job.settings, found, job.snapshot)
        job.snapshot.expect(source.rows)
        try:
            counts = _fill(job, source, found, sink)
            sink.close()
        except BaseException:
            sink.abandon()
            raise
    return counts, sha256_of(part) if job.prove else ""


def _fill(job: Job, source: Source, found: Found, sink: Sink) -> Counts:
    counts = Counts()
    for judged in _judged(job, source, found, sink):
        sink.add(judged)
        counts += count_rows(judged)
        if found.url is not None and job.domains is not None:
            job.domains.add(judged.batch.column(found.url), judged.keep)
        if job.progress is not None:
            job.progress(judged.batch.num_rows)
    return counts


def _judged(job: Job, source: Source, found: Found, sink: Sink) -> Iterator[Judged]:
    """The shard's rows with their answers, batch by batch; tells the sink where row groups end."""
    names = job.question.names != "ignore" and job.snapshot.first_words is not None
    columns = columns_read(job.settings, found, names=names)
    keeps, first = job.settings.keeps, 0
    for group in range(source.groups):
        for batch in source.batches(group, columns):
            verdicts = _judge(job, batch, found, names=names)
            yield Judged(batch, first, verdicts, keeps[verdicts.outcome])
            first += batch.num_rows
        sink.end_group()


def _judge(job: Job, batch: pa.RecordBatch, found: Found, *, names: bool) -> Verdicts:
    def column(name: str | None) -> pa.Array | None:
        return None if name is None else batch.column(name)

    items = Items(
        batch.num_rows,
        url=column(found.url),
        text=column(found.text) if names else None,
        sha256=column(found.sha256),
        md5=column(found.md5),
    )
    try:
        return job.snapshot.judge(items, job.question)
    except OptoutError as error:
        raise BadInput(f"{job.name}: {error}", code=error.code) from error


def count_rows(judged: Judged) -> Counts:
    """What became of the rows of a batch."""
    outcome, keep = judged.verdicts.outcome, judged.keep
    by_outcome = {each.label: int(np.count_nonzero(outcome == each)) for each in Outcome}
    failed = by_outcome[Outcome.ERROR.label]
    # Few rows fall: whatever is told of them is gathered from them alone.
    fallen = np.flatnonzero(~keep)
    reserved = fallen[outcome[fallen] != Outcome.ERROR] if failed else fallen
    left_out = np.bincount(judged.verdicts.kind[reserved])
    errors = np.bincount(judged.verdicts.error[outcome == Outcome.ERROR]) if failed else _NONE
    return Counts(
        rows=len(outcome),
        kept=len(outcome) - len(fallen),
        dropped=len(reserved),
        errors=failed,
        flagged=int(np.count_nonzero(judged.verdicts.flagged)),
        reasons={SelectorKind(kind).label: count for kind, count in _nonzero(left_out)},
        error_reasons={ItemError(code).label: count for code, count in _nonzero(errors)},
        outcomes={label: count for label, count in by_outcome.items() if count},
    )


_NONE = np.zeros(0, np.intp)


def _nonzero(counts: npt.NDArray[np.intp]) -> list[tuple[int, int]]:
    return [(number, count) for number, count in enumerate(counts.tolist()) if count]


def _output_name(name: str, settings: Settings) -> str:
    uids = settings.mode is Mode.MASK and settings.mask_format is MaskFormat.DATACOMP
    return Path(name).with_suffix(".npy").as_posix() if uids else name


def _rows(shard: Shard) -> int | None:
    try:
        return int(pq.read_metadata(shard.path).num_rows)
    except (pa.ArrowException, OSError):
        return None


KIND = Kind(
    shards=by_suffix(DataFormat.PARQUET),
    companions=lambda path, root: [],
    output=_output_name,
    write=_write_parquet,
    rows=_rows,
)
