"""CSV with a header line, comma separated, quoted as RFC 4180 says."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from optout.errors import BadInput
from optout.exchange.blocks import LONGEST_ROW, RawBatch, line_blocks
from optout.exchange.columns import check_columns
from optout.exchange.schema import COLUMNS, Rejected, excerpt_of

__all__ = ["read_csv"]


def read_csv(path: Path, block_bytes: int) -> Iterator[RawBatch]:
    """Blocks of rows, numbered as a spreadsheet does: the header is row 1, the first claim row 2.

    Raises:
        BadInput: the header lacks the needed columns (code `missing_column`).
    """
    blocks = line_blocks(path, block_bytes)
    header, _, pending = next(blocks).partition(b"\n")
    records = _Records(_header_names(header, path))
    for block in blocks:
        yield records.read(pending + block, last=False)
        pending = records.unread
    yield records.read(pending, last=True)


def _header_names(header: bytes, path: Path) -> list[str]:
    try:
        names = [name.strip() for name in _fields(header.decode())]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} has no readable CSV header: {error}", code="malformed_csv") from error
    check_columns(names, str(path))
    return names


class _Records:
    """Cuts text into records; keeps the number of the next row and the bytes of an unfinished record."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.next_row = 2
        self.unread = b""

    def read(self, data: bytes, *, last: bool) -> RawBatch:
        lines = data.splitlines(keepends=True) if b"\r" not in data else _split(data)
        columns: dict[str, list[str | None]] = {name: [] for name in self.names if name in COLUMNS}
        rows: list[int] = []
        rejected: list[Rejected] = []
        at = 0
        while at < len(lines):
            taken, outcome = self._record(lines, at, last)
            if not taken:
                break
            if isinstance(outcome, list):
                rows.append(self.next_row)
                for name, text in zip(self.names, outcome, strict=True):
                    if name in columns:
                        columns[name].append(text)
            elif outcome is not None:
                rejected.append(Rejected(self.next_row, *outcome, excerpt_of(lines[at])))
            self.next_row += 1
            at += taken
        self.unread = b"".join(lines[at:])
        table = pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})
        return RawBatch(table, rows, rejected)

    def _record(
        self, lines: list[bytes], at: int, last: bool
    ) -> tuple[int, list[str] | tuple[str, str] | None]:
        """How many lines the record at `lines[at]` takes (0: more are needed); its fields or its fault."""
        text = b""
        for taken, line in enumerate(lines[at:], 1):
            text += line
            if len(text) > LONGEST_ROW:
                return 1, ("bad_quoting", "a quoted field is opened here and not closed")
            try:
                fields = _fields(text.decode())
            except UnicodeDecodeError:
                return 1, ("invalid_utf8", "the row is not valid UTF-8")
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    continue
                return 1, ("bad_quoting", f"the row is not CSV: {error}")
            return taken, self._checked(fields)
        return (1, ("bad_quoting", "a quoted field is opened here and not closed")) if last else (0, None)

    def _checked(self, fields: list[str]) -> list[str] | tuple[str, str] | None:
        if fields and len(fields) != len(self.names):
            return "wrong_column_count", f"the row has {len(fields)} fields, the header {len(self.names)}"
        return fields or None


def _split(data: bytes) -> list[bytes]:
    """Lines with their ends; only a line feed ends a line (a lone carriage return may stand in a field)."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + [
        tail for tail in data.split(b"\n")[-1:] if tail
    ]


def _fields(text: str) -> list[str]:
    records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if len(records) > 1:
        raise csv.Error("a quote in the middle of a field")
    return records[0] if records else []
