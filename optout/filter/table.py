"""Parquet files: rows are judged batch by batch, the rest stays as it is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from optout.filter.atomic import sha256_of, write_atomic
from optout.filter.columns import Found, find_columns
from optout.filter.counting import count_rows
from optout.filter.kinds import Job, Kind, Written, by_suffix
from optout.filter.modes import DataFormat, MaskFormat, Mode
from optout.filter.parquet import Source
from optout.filter.results import MOST_NAMED, Counts
from optout.filter.settings import Settings
from optout.filter.sinks import Judged, Sink, columns_read, make_sink
from optout.filter.source import Shard
from optout.filter.table_items import judge_rows, looks_at_pictures

__all__ = ["KIND", "write_table"]


def _write_parquet(job: Job) -> Written:
    return write_table(job, Source)


def write_table(job: Job, open_source: Callable[[Path, str], Source]) -> Written:
    """Filter the rows of one file."""
    named: list[str] = []
    counts, digest = write_atomic(job.out, lambda part: _write(job, open_source, part, named))
    return Written(counts, {job.output: digest}, tuple(named[:MOST_NAMED]))


def _write(
    job: Job, open_source: Callable[[Path, str], Source], part: Path, named: list[str]
) -> tuple[Counts, str]:
    """Fill `part`; returns the counts and the digest of what was written."""
    with open_source(job.shard.path, job.name) as source:
        found = find_columns(source.schema, job.settings.columns, job.name)
        sink = make_sink(part, source, job.settings, found, job.snapshot)
        job.snapshot.expect(source.rows)
        try:
            counts = _fill(job, source, found, sink, named)
            sink.close()
        except BaseException:
            sink.abandon()
            raise
    return counts, sha256_of(part) if job.prove else ""


def _fill(job: Job, source: Source, found: Found, sink: Sink, named: list[str]) -> Counts:
    counts = Counts()
    for judged in _judged(job, source, found, sink, named):
        sink.add(judged)
        counts += count_rows(judged)
        if found.url is not None and job.domains is not None:
            job.domains.add(judged.batch.column(found.url), judged.keep)
        if job.progress is not None:
            job.progress(judged.batch.num_rows)
    return counts


def _judged(job: Job, source: Source, found: Found, sink: Sink, named: list[str]) -> Iterator[Judged]:
    """The shard's rows with their answers, batch by batch; tells the sink where row groups end."""
    names = job.question.names != "ignore" and job.snapshot.first_words is not None
    columns = columns_read(job.settings, found, names=names, pictures=looks_at_pictures(job, found))
    keeps, first = job.settings.keeps, 0
    for group in range(source.groups):
        for batch in source.batches(group, columns):
            verdicts, broken = judge_rows(job, batch, found, first, names=names)
            named += broken[: MOST_NAMED - len(named)]
            yield Judged(batch, first, verdicts, keeps[verdicts.outcome])
            first += batch.num_rows
        sink.end_group()


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
