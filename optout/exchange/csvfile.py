"""CSV with a header line, comma separated, quoted as RFC 4180 says."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from optout.errors import BadInput
from optout.exchange.blocks import RawBatch, line_blocks
from optout.exchange.columns import check_columns
from optout.exchange.schema import COLUMNS, Rejected, excerpt_of

__all__ = ["read_csv"]

#: A record of more bytes than this is taken for a quote that was never closed.
LONGEST_RECORD = 1 << 16


def read_csv(path: Path, block_bytes: int) -> Iterator[RawBatch]:
    """Blocks of rows, numbered as a spreadsheet does: the header is row 1, the first claim row 2.

    Raises:
        BadInput: the header lacks the needed columns (code `missing_column`), or commas (`malformed_csv`).
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
    for mark, called in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and mark in names[0]:
            # What spreadsheets save where the comma stands in numbers.
            raise BadInput(f"{path} has {called} between its columns, not commas", code="malformed_csv")
    check_columns(names, str(path))
    return names


class _Records:
    """Cuts text into records; keeps the number of the next row and the bytes of an unfinished record."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.next_row = 2
        self.unread = b""

    def read(self, data: bytes, *, last: bool) -> RawBatch:
        """The records of `data`; what may be the start of another record is left in `unread`."""
        end = len(data) if last else _record_end(data)
        table = _all_at_once(data[:end], self.names)
        if table is None:
            return self._one_by_one(data, last)
        first, self.next_row, self.unread = self.next_row, self.next_row + table.num_rows, data[end:]
        return RawBatch(table, range(first, self.next_row), [])

    def _one_by_one(self, data: bytes, last: bool) -> RawBatch:
        """Every record on its own, so that a bad one takes no other with it."""
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
            if len(text) > LONGEST_RECORD:
                break
            if taken > 1 and text.count(b'"') & 1:
                continue
            try:
                fields = _fields(text.decode())
            except UnicodeDecodeError:
                return 1, ("invalid_utf8", "the row is not valid UTF-8")
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    continue
                return 1, ("bad_quoting", f"the row is not CSV: {error}")
            return taken, self._checked(fields)
        if last or len(text) > LONGEST_RECORD:
            return 1, ("bad_quoting", "a quoted field is opened here and not closed")
        return 0, None

    def _checked(self, fields: list[str]) -> list[str] | tuple[str, str] | None:
        if fields and len(fields) != len(self.names):
            return "wrong_column_count", f"the row has {len(fields)} fields, the header {len(self.names)}"
        return fields or None


def _record_end(data: bytes) -> int:
    """Where the last whole record ends: after a line break with an even number of quotes before it."""
    end = data.rfind(b"\n") + 1
    odd = data.count(b'"', 0, end) & 1
    while odd and end:
        before = data.rfind(b"\n", 0, end - 1) + 1
        odd ^= data.count(b'"', before, end) & 1
        end = before
    return end


def _all_at_once(data: bytes, names: list[str]) -> pa.Table | None:
    """The records as one table, or None when one of them needs to be looked at alone."""
    if not data or data.count(b"\r") != data.count(b"\r\n") or data.count(b'"') & 1:
        return None
    texts = [name for name in names if name in COLUMNS]
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(texts, pa.string()),
        include_columns=texts,
        check_utf8=False,
        null_values=[],
    )
    parse = pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    reading = pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1)
    try:
        return pa_csv.read_csv(pa.BufferReader(data), reading, parse, convert)
    except pa.ArrowInvalid:
        return None


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
