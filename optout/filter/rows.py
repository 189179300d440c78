"""Tables of metadata beside pictures: written with the rows that stay, or with answers beside each row."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from optout.errors import UsageError
from optout.filter.kinds import Job
from optout.filter.parquet import Source, Writer
from optout.filter.samples import Answers
from optout.filter.sinks import ANNOTATIONS, answers

__all__ = ["answer_table", "copy_rows", "require_unannotated", "write_mask"]

_MASK_CODEC = "zstd"


def copy_rows(
    source: Source,
    part: Path,
    *,
    codec: str | None,
    keep: npt.NDArray[np.bool_] | None = None,
    added: pa.Table | None = None,
) -> None:
    """Write the rows of a Parquet file with everything as it is: those of `keep`, or all with more columns.

    Args:
        source: the open file, of n rows.
        part: the file to write.
        codec: one codec for all columns, or None for each column's own.
        keep: bool[n].
        added: a table of n rows whose columns are appended.
    """
    fields = [] if added is None else list(added.schema)
    with pa.OSFile(str(part), "wb") as sink:
        writer = Writer(sink, source, codec=codec, added=fields)
        first = 0
        for group in range(source.groups):
            for batch in source.batches(group):
                rows = slice(first, first + batch.num_rows)
                first += batch.num_rows
                if keep is not None:
                    batch = batch.filter(pa.array(keep[rows]))
                if added is not None:
                    batch = _with(batch, added.slice(rows.start, batch.num_rows))
                writer.add(batch)
            writer.end_group()
        writer.close()


def _with(batch: pa.RecordBatch, added: pa.Table) -> pa.RecordBatch:
    columns = [column.combine_chunks() for column in added.columns]
    schema = pa.schema([*batch.schema, *added.schema])
    return pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema)


def require_unannotated(names: Sequence[str], where: str) -> None:
    """Raise UsageError (`column_exists`) where one of `names` is a column that `annotate` adds."""
    taken = [field.name for field in ANNOTATIONS if field.name in names]
    if taken:
        raise UsageError(f"{where} has a column {taken[0]!r} already", code="column_exists")


def answer_table(job: Job, found: Answers) -> pa.Table:
    """The answers about all samples: a table of `ANNOTATIONS`, in the order of the samples."""
    schema = pa.schema(ANNOTATIONS)
    batches = [
        pa.RecordBatch.from_arrays(answers(job.snapshot, judged.verdicts), schema=schema)
        for judged in found.batches
    ]
    return pa.Table.from_batches(batches, schema=schema)


def write_mask(job: Job, found: Answers, column: str, part: Path) -> None:
    """List the samples to leave out: their names in `column`, the decision, the reason."""
    table = answer_table(job, found)
    names = [
        name.decode("utf-8", "replace")
        for judged in found.batches
        for name in judged.batch["name"].to_pylist()
    ]
    listed = pa.table(
        {
            column: pa.array(names, pa.string()),
            "decision": table["optout_decision"],
            "reason": table["optout_reason"],
        }
    )
    out = pa.array(~found.keep)
    pq.write_table(listed.filter(out), part, compression=job.settings.codec or _MASK_CODEC)
