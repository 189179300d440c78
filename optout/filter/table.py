"""Parquet files: rows are judged batch by batch, the rest stays as it is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from optout.filter.atomic import sha256_of, write_atomic
from optout.filter.columns import Found, find_columns
from optout.filter.counting import count_rows
from optout.filter.kinds import Job, Kind, Written, by_suffix
from optout.filter.marker import begin
from optout.filter.modes import DataFormat, MaskFormat, Mode
from optout.filter.parquet import Source
from optout.filter.results import MOST_NAMED, Counts
from optout.filter.settings import Settings
from optout.filter.sinks import Judged, Sink, columns_read, make_sink
from optout.filter.source import Shard
from optout.filter.table_items import RowVectors, judge_rows, looks_at_pictures
from optout.filter.table_source import RowSource
from optout.filter.unasked import ROLES, unasked

if TYPE_CHECKING:
    # That kind of table is written by this module.
    from optout.filter.arrow import ArrowSource

__all__ = ["KIND", "Filled", "fill_table", "write_table"]


class Filled(NamedTuple):
    """What became of the rows of a table.

    Attributes:
        counts: how many rows are what.
        keep: bool[n], the rows that stay.
        named: sentences about rows that cannot be judged, the first few.
    """

    counts: Counts
    keep: npt.NDArray[np.bool_]
    named: tuple[str, ...]


def write_table(job: Job, open_source: "Callable[[Path, str], Source | ArrowSource]") -> Written:
    """Filter the one file of a shard."""

    def fill(part: Path) -> tuple[Filled, str]:
        with open_source(job.shard.path, job.name) as source:
            filled = fill_table(job, source, part)
        begin(job.out, [job.output])
        return filled, sha256_of(part) if job.prove else ""

    filled, digest = write_atomic(job.out, fill)
    return Written(filled.counts, {job.output: digest}, filled.named)


def fill_table(job: Job, source: RowSource, part: Path, vectors: RowVectors | None = None) -> Filled:
    """Judge the rows of `source`, and write to `part` what the mode asks for.

    Args:
        job: what is asked.
        source: an open table of n rows.
        part: the file to write.
        vectors: the embeddings of the rows.
    """
    found = find_columns(source.schema, job.settings.columns, source.name, required=vectors is None)
    sink = make_sink(part, source, job.settings, found, job.snapshot)
    job.snapshot.expect(source.rows)
    try:
        filled = _fill(job, source, found, sink, vectors)
        sink.close()
    except BaseException:
        sink.abandon()
        raise
    return filled


def _fill(job: Job, source: RowSource, found: Found, sink: Sink, vectors: RowVectors | None) -> Filled:
    counts, named, keep = Counts(), list[str](), [np.empty(0, np.bool_)]
    for judged in _judged(job, source, found, sink, vectors, named):
        sink.add(judged)
        counts += count_rows(judged)
        keep.append(judged.keep)
        if found.url is not None and job.domains is not None:
            job.domains.add(judged.batch.column(found.url), judged.keep)
        if job.progress is not None:
            job.progress(judged.batch.num_rows)
    roles = [
        role for role in ROLES if getattr(found, role) is not None and (vectors is None or role != "image")
    ]
    counts += unasked(job, roles, counts.rows, vectors=vectors is not None and vectors.model is not None)
    return Filled(counts, np.concatenate(keep), tuple(named[:MOST_NAMED]))


def _judged(
    job: Job, source: RowSource, found: Found, sink: Sink, vectors: RowVectors | None, named: list[str]
) -> Iterator[Judged]:
    """The shard's rows with their answers, batch by batch; tells the sink where row groups end."""
    names = job.question.names != "ignore" and job.snapshot.first_words is not None
    columns = columns_read(job.settings, found, names=names, pictures=looks_at_pictures(job, found))
    keeps, first = job.settings.keeps, 0
    for group in range(source.groups):
        for batch in source.batches(group, columns):
            verdicts, sentences = judge_rows(job, batch, found, first, names=names, vectors=vectors)
            named += sentences[: MOST_NAMED - len(named)]
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
    write=lambda job: write_table(job, Source),
    rows=_rows,
)
