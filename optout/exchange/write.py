"""Writing claims as exchange files, for exports and mirrors."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from optout.errors import UsageError
from optout.exchange.schema import COLUMNS, named_uses
from optout.words import Decision, SelectorKind

__all__ = ["exchange_table", "write_claims"]

_LARGEST_BATCH = 100_000


def write_claims(claims: pa.Table, path: str | Path) -> None:
    """Write a table of `CLAIM_SCHEMA` as `.jsonl`, `.csv` or `.parquet`; read back, it gives the same claims.

    Grade and claim id are not part of the format: the reader grants the one and derives the other.

    Raises:
        UsageError: the name ends in none of the three (code `unknown_format`).
    """
    path = Path(path)
    match path.suffix:
        case ".parquet":
            pq.write_table(exchange_table(claims), path)
        case ".csv":
            pa_csv.write_csv(exchange_table(claims), path)
        case ".jsonl":
            _write_json_lines(exchange_table(claims), path)
        case _:
            raise UsageError(f"{path} must end in .jsonl, .csv or .parquet", code="unknown_format")


def exchange_table(claims: pa.Table) -> pa.Table:
    """The exchange columns of `claims`, all text, null where there is nothing to say."""
    texts = {
        "selector": _labels(claims["kind"], lambda number: SelectorKind(number).label),
        "decision": _labels(claims["decision"], lambda number: Decision(number).label),
        "uses": _labels(claims["uses"], lambda number: " ".join(named_uses(number).labels)),
        "valid_from": pc.strftime(claims["valid_from"], format="%Y-%m-%dT%H:%M:%SZ"),
    }
    columns = [texts[name] if name in texts else claims[name] for name in COLUMNS]
    return pa.table([_null_if_empty(column.cast(pa.large_string())) for column in columns], list(COLUMNS))


def _null_if_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.large_string()), column)


def _labels(numbers: pa.ChunkedArray, label: Callable[[int], str]) -> pa.Array:
    encoded = numbers.combine_chunks().dictionary_encode()
    return pa.array([label(number) for number in encoded.dictionary.to_pylist()]).take(encoded.indices)


def _write_json_lines(table: pa.Table, path: Path) -> None:
    with path.open("wb") as out:
        for batch in table.to_batches(max_chunksize=_LARGEST_BATCH):
            for row in batch.to_pylist():
                out.write(
                    orjson.dumps({name: value for name, value in row.items() if value is not None}) + b"\n"
                )
