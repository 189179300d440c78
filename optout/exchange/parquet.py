"""Parquet: the exchange columns, of text or of types that have an obvious text."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from optout.errors import BadInput
from optout.exchange.blocks import RawBatch
from optout.exchange.columns import check_columns
from optout.exchange.schema import COLUMNS

__all__ = ["read_parquet"]


def read_parquet(path: Path, batch_rows: int) -> Iterator[RawBatch]:
    """Batches of rows numbered from 1.

    Raises:
        BadInput: empty, cut short or damaged (code `broken_parquet`), or without the needed columns.
    """
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty", code="empty_file")
    first = 1
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            names = file.schema_arrow.names
            check_columns(names, str(path))
            wanted = [name for name in COLUMNS if name in names]
            for batch in file.iter_batches(batch_rows, columns=wanted):
                yield RawBatch(pa.table(batch), range(first, first + batch.num_rows), [])
                first += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a complete Parquet file: {error}", code="broken_parquet") from error
