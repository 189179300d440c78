"""JSON Lines: one object a line."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.json as pa_json

from optout.exchange.blocks import LONGEST_ROW, RawBatch, line_blocks
from optout.exchange.schema import COLUMNS, Rejected, excerpt_of

__all__ = ["read_json_lines"]

_TEXTS = pa.schema([pa.field(name, pa.string()) for name in COLUMNS])
_USES = _TEXTS.get_field_index("uses")
#: `uses` is text or a list of texts; a block that has both is read line by line.
_SCHEMAS = (_TEXTS, _TEXTS.set(_USES, pa.field("uses", pa.list_(pa.string()))))


def read_json_lines(path: Path, block_bytes: int) -> Iterator[RawBatch]:
    """Blocks of rows; a line's number is its row number, blank lines are skipped but counted."""
    first = 1
    for block in line_blocks(path, block_bytes):
        table = _all_at_once(block)
        if table is None:
            yield _line_by_line(block, first)
        else:
            yield RawBatch(table, range(first, first + table.num_rows), [])
        first += block.count(b"\n")


def _all_at_once(block: bytes) -> pa.Table | None:
    """The block as one table, or None when a line of it needs to be looked at alone.

    Escaped surrogates are left to the careful way: Arrow lets half a pair through.
    """
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    one_object_a_line = block.startswith(b"{") and block.count(b"\n{") == lines - 1
    if not one_object_a_line or b"\\ud" in block or b"\\uD" in block:
        return None
    for schema in _SCHEMAS:
        options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        reading = pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1)
        try:
            table = pa_json.read_json(pa.BufferReader(block), read_options=reading, parse_options=options)
        except pa.ArrowInvalid:
            continue
        return table if table.num_rows == lines else None
    return None


def _line_by_line(block: bytes, first: int) -> RawBatch:
    """Every line on its own, so that a bad one takes no other with it."""
    columns: dict[str, list[str | None]] = {name: [] for name in COLUMNS}
    rows: list[int] = []
    rejected: list[Rejected] = []
    for number, line in enumerate(block.splitlines() if b"\r" not in block else block.split(b"\n"), first):
        if not line.strip():
            continue
        try:
            texts = _texts_of(line)
        except _BadLine as bad:
            rejected.append(Rejected(number, bad.code, str(bad), excerpt_of(line)))
            continue
        rows.append(number)
        for name in COLUMNS:
            columns[name].append(texts.get(name))
    table = pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})
    return RawBatch(table, rows, rejected)


class _BadLine(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _texts_of(line: bytes) -> dict[str, str]:
    if len(line) > LONGEST_ROW:
        raise _BadLine("line_too_long", f"the line is longer than {LONGEST_ROW:,} bytes")
    try:
        row = orjson.loads(line.decode())
    except UnicodeDecodeError:
        raise _BadLine("invalid_utf8", "the line is not valid UTF-8") from None
    except orjson.JSONDecodeError as error:
        raise _BadLine("malformed_json", f"the line is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise _BadLine("malformed_json", "the line is JSON, but not an object with the exchange columns")
    return {name: _text_of(name, row[name]) for name in COLUMNS if row.get(name) is not None}


def _text_of(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name == "uses" and isinstance(value, list) and all(isinstance(use, str) for use in value):
        return " ".join(value)
    raise _BadLine("wrong_type", f"{name!r} holds {type(value).__name__}, not text")
