"""Columns of hexadecimal text, as digests and bare hashes come."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["is_hex", "lower_text", "present"]

Bools = npt.NDArray[np.bool_]

_HEX = np.isin(np.arange(256), np.frombuffer(b"0123456789abcdef", np.uint8))


def lower_text(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of lower-case text; bytes that are not UTF-8 stay what they are: no hex digits."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_string(array.type):
        array = array.cast(pa.large_binary()).cast(pa.large_string(), safe=False)
    return pc.ascii_lower(array)


def present(column: Any) -> Bools:
    """bool[n]: which values are not null."""
    return np.asarray(column.is_valid())


def is_hex(texts: pa.Array, width: int) -> Bools:
    """Which texts consist of `width` lower-case hex digits."""
    good = np.asarray(pc.equal(pc.binary_length(texts), width).fill_null(False)).copy()
    rows = np.flatnonzero(good)
    if len(rows):
        right_length = texts.take(pa.array(rows))
        digits = np.frombuffer(right_length.buffers()[2], np.uint8)[: width * len(rows)].reshape(-1, width)
        good[rows] = _HEX[digits].all(axis=1)
    return good
