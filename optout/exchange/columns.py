"""Incoming columns made uniform: trimmed `large_string`, null where nothing was given."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optout.errors import BadInput
from optout.exchange.schema import COLUMNS, NEEDED_COLUMNS

__all__ = ["Fault", "Faults", "text_columns"]


class Fault(NamedTuple):
    """What is wrong with a row: a stable code and a sentence."""

    code: str
    detail: str


class Faults:
    """The first fault of every bad row, by its position in the batch."""

    def __init__(self) -> None:
        self.first: dict[int, Fault] = {}

    def add(self, positions: np.ndarray, code: str, detail: str) -> None:
        fault = Fault(code, detail)
        for position in positions.tolist():
            self.first.setdefault(position, fault)

    def add_where(self, bad: pa.BooleanArray, code: str, detail: str) -> None:
        """Add a fault where `bad` holds (null does not)."""
        if bad.true_count:
            self.add(np.flatnonzero(bad.fill_null(False).to_numpy(zero_copy_only=False)), code, detail)

    def add_each(self, indices: pa.Int32Array, faults: dict[int, Fault]) -> None:
        """Add `faults[i]` to every row whose dictionary index is `i`; null indices are skipped."""
        if not faults:
            return
        codes = indices.fill_null(-1).to_numpy()
        for position in np.flatnonzero(np.isin(codes, list(faults))).tolist():
            self.first.setdefault(position, faults[int(codes[position])])


def text_columns(table: pa.Table, faults: Faults) -> dict[str, pa.LargeStringArray]:
    """Every exchange column of `table` as trimmed text; absent columns are all null.

    Raises:
        BadInput: a needed column is missing (code `missing_column`); the message names those there are.
    """
    check_columns(table.column_names)
    return {name: _text_column(table, name, faults) for name in COLUMNS}


def check_columns(names: list[str], source: str = "the table") -> None:
    """Refuse a source without the needed columns."""
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise BadInput(f"{source} has the column {twice[0]!r} more than once", code="duplicate_column")
    missing = [name for name in NEEDED_COLUMNS if name not in names]
    if missing:
        lacks, has = " or ".join(map(repr, missing)), ", ".join(names) or "none"
        raise BadInput(f"{source} has no column {lacks}; its columns are: {has}", code="missing_column")


def _text_column(table: pa.Table, name: str, faults: Faults) -> pa.LargeStringArray:
    if name not in table.column_names:
        return pa.nulls(table.num_rows, pa.large_string())
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, pa.large_string())
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    text = _only_utf8(_as_text(column, name), name, faults)
    trimmed = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(pc.binary_length(trimmed), 0), pa.scalar(None, pa.large_string()), trimmed)


def _as_text(column: pa.Array, name: str) -> pa.Array:
    """`column` as large_string; bytes that are not UTF-8 are let through here."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _as_text(pc.binary_join(column, " "), name)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_string(kind):
        return column.cast(pa.large_binary()).view(pa.large_string())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pc.strftime(_in_utc(column), format="%Y-%m-%dT%H:%M:%S+00:00").cast(pa.large_string())
    try:
        return column.cast(pa.large_string())
    except pa.ArrowException as error:
        raise BadInput(f"the column {name!r} is of type {kind}, not text", code="wrong_type") from error


def _in_utc(column: pa.Array) -> pa.Array:
    instants = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None)))
    return instants.cast(pa.timestamp("us", tz="UTC"))


def _only_utf8(text: pa.LargeStringArray, name: str, faults: Faults) -> pa.LargeStringArray:
    """`text` with a fault, and null, where the bytes are not UTF-8."""
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        decoded = [_decoded(value) for value in text.cast(pa.large_binary()).to_pylist()]
        bad = np.array([value is False for value in decoded])
        faults.add(np.flatnonzero(bad), "invalid_utf8", f"the column {name!r} is not valid UTF-8")
        return pa.array([value or None for value in decoded], pa.large_string())
    return text


def _decoded(value: bytes | None) -> str | bool | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return False
