"""Arrow string arrays as numpy buffers, without copying the text."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

__all__ = ["Texts", "chunks", "texts"]

_EMPTY = np.zeros(0, np.bool_)


class Texts(NamedTuple):
    """One contiguous array of byte strings: arrays outside of compiled code, pointers within."""

    data: Any
    """uint8, read-only: all bytes."""
    offsets: Any
    """int64[n + 1], read-only: where every row begins and the last ends."""
    valid: Any
    """bool[n]: whether a row is not null; empty when none is."""
    rows: int
    nulls: bool
    size: int
    """How many bytes there are."""


def chunks(array: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """The pieces of an array, each of them not chunked."""
    if isinstance(array, pa.ChunkedArray):
        yield from array.chunks
    else:
        yield array


def texts(array: pa.Array) -> Texts:
    """The buffers of a string or binary array, of either width or as views.

    Raises:
        TypeError: the array holds no strings.
    """
    array = _plain(array)
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, offsets_buffer, data_buffer = array.buffers()
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    if offsets_buffer is None or len(array) == 0:
        offsets = np.zeros(len(array) + 1, np.int64)
    else:
        every = np.frombuffer(offsets_buffer, np.int64 if wide else np.int32)
        offsets = every[array.offset : array.offset + len(array) + 1].astype(np.int64, copy=False)
    valid = np.array(array.is_valid()) if array.null_count else _EMPTY
    return Texts(_read_only(data), _read_only(offsets), valid, len(array), array.null_count > 0, len(data))


def _read_only(array: np.ndarray) -> np.ndarray:
    """The same items; one compiled version then serves writable buffers as well."""
    view = array.view()
    view.flags.writeable = False
    return view


def _plain(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_null(kind):
        return array.cast(pa.string())
    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    if pa.types.is_string_view(kind):
        return array.cast(pa.large_string())
    if pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return array.cast(pa.large_binary())
    if not (
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    ):
        raise TypeError(f"locators are strings, not {kind}")
    return array
