"""Reading claim exchange files of any size in batches."""

from collections.abc import Iterator
from pathlib import Path

from optout.errors import BadInput, UsageError
from optout.exchange.blocks import RawBatch
from optout.exchange.csvfile import read_csv
from optout.exchange.identity import Ledger
from optout.exchange.jsonlines import read_json_lines
from optout.exchange.parquet import read_parquet
from optout.exchange.parse import parse_claims
from optout.exchange.schema import ClaimBatch
from optout.words import Grade

__all__ = ["FORMATS", "read_claims"]

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_BYTES_A_ROW = 128


def read_claims(
    path: str | Path,
    *,
    format: str | None = None,
    batch_rows: int = 65_536,
    default_owner: str = "",
    grade: int = Grade.STATED,
) -> Iterator[ClaimBatch]:
    """Read and check an exchange file; every row ends up in a batch's claims or in its `rejected`.

    Args:
        path: a `.jsonl`, `.csv` or `.parquet` file; the first two may be compressed (`.gz`).
        format: `jsonl`, `csv` or `parquet` where the name does not say.
        batch_rows: about how many rows a batch holds.
        default_owner: the owner of rows that name none.
        grade: evidence grade given to every claim.

    Raises:
        BadInput: the file as a whole cannot be used: missing, empty, cut short, without the needed columns.
        UsageError: the format is unknown.
    """
    path = Path(path)
    ledger = Ledger()
    for raw in _raw_batches(path, format or _format_of(path), batch_rows):
        batch = parse_claims(
            raw.table, rows=raw.rows, default_owner=default_owner, grade=grade, ledger=ledger
        )
        yield ClaimBatch(batch.claims, sorted([*raw.rejected, *batch.rejected]))


def _format_of(path: Path) -> str:
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"{path} must end in .jsonl, .csv or .parquet, or its format be given", code="unknown_format"
        )
    return FORMATS[suffix]


def _raw_batches(path: Path, format_name: str, batch_rows: int) -> Iterator[RawBatch]:
    try:
        match format_name:
            case "jsonl":
                yield from read_json_lines(path, batch_rows * _BYTES_A_ROW)
            case "csv":
                yield from read_csv(path, batch_rows * _BYTES_A_ROW)
            case "parquet":
                yield from read_parquet(path, batch_rows)
            case _:
                raise UsageError(
                    f"unknown format {format_name!r}: jsonl, csv or parquet", code="unknown_format"
                )
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}", code="unreadable_file") from error
