"""Arrow string columns as plain numpy arrays, without copying the text."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.errors import UsageError

__all__ = ["Strings", "strings_of"]


class Strings(NamedTuple):
    """One chunk of a column.

    Attributes:
        data: uint8[], all text, read-only.
        offsets: int64[n + 1], where each row's text starts; rows of length 0 may be null.
        valid: bool[n], false for nulls.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    valid: npt.NDArray[np.bool_]


def strings_of(column: pa.Array | pa.ChunkedArray) -> Iterator[Strings]:
    """The chunks of a column of strings or binaries, plain, large, view or dictionary encoded.

    Raises:
        UsageError: the column holds something else (code `not_text`).
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    for chunk in chunks:
        yield _strings_of_chunk(chunk)


def _strings_of_chunk(chunk: pa.Array) -> Strings:
    if pa.types.is_dictionary(chunk.type):
        return _strings_of_chunk(chunk.dictionary.take(chunk.indices))
    if pa.types.is_null(chunk.type):
        chunk = chunk.cast(pa.large_binary())
    if pa.types.is_string_view(chunk.type) or pa.types.is_binary_view(chunk.type):
        chunk = chunk.cast(pa.large_binary())
    if pa.types.is_string(chunk.type) or pa.types.is_binary(chunk.type):
        kind: type[np.signedinteger] = np.int32
    elif pa.types.is_large_string(chunk.type) or pa.types.is_large_binary(chunk.type):
        kind = np.int64
    else:
        raise UsageError(f"expected a column of text, not of {chunk.type}", code="not_text")
    _, offsets, data = chunk.buffers()
    count = len(chunk)
    where = (
        np.frombuffer(offsets, kind)[chunk.offset : chunk.offset + count + 1]
        if offsets
        else np.zeros(1, kind)
    )
    text = np.frombuffer(data or b"", np.uint8)
    valid = chunk.is_valid().to_numpy(zero_copy_only=False)
    return Strings(text, where.astype(np.int64), valid)
