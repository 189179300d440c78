"""Unaligned 64-bit reads and writes, byte classes and the scratch memory of the kernel."""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from optout.locators.status import MAX_BYTES

__all__ = ["PAD", "Scratch", "copy_bytes", "load64", "new_scratch", "store64"]

PAD = 16
"""Bytes that may be read or written past the end, and before the start, of every scratch buffer's text."""


@intrinsic
def load64(typingctx: Any, array: Any, index: Any) -> Any:
    """The 8 bytes of a uint8 array from `index` on as a little-endian uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        struct = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        pointer = builder.gep(struct.data, [args[1]])
        value = builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()))
        value.align = 1
        return value

    return types.uint64(array, types.int64), codegen


@intrinsic
def store64(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a uint64 into the 8 bytes of a uint8 array from `index` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        struct = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        pointer = builder.gep(struct.data, [args[1]])
        store = builder.store(args[2], builder.bitcast(pointer, ir.IntType(64).as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), codegen


@njit(cache=True, nogil=True)
def copy_bytes(source: Any, start: int, size: int, target: Any, at: int) -> None:
    """Copy between arrays of which only the target has room to spare."""
    whole = size & ~7
    for done in range(0, whole, 8):
        store64(target, at + done, load64(source, start + done))
    for done in range(whole, size):
        target[at + done] = source[start + done]


class Scratch(NamedTuple):
    """Buffers that one call works in; `canonical` has a row for the locator and for each origin."""

    text: np.ndarray
    """uint8: the text being read."""
    clean: np.ndarray
    """uint8: the same without references, blanks at the ends, tabs and line ends."""
    canonical: np.ndarray
    """uint8[4, …]: what was made of it, from PAD on."""
    variant: np.ndarray
    """uint8: its variant key."""
    slashes: np.ndarray
    """int64: where the slashes of the path stand."""
    meta: np.ndarray
    """int64[4, 6]: where its parts end; the columns are in `scan`."""


def new_scratch() -> Scratch:
    """Fresh buffers: large enough for every text of MAX_BYTES, three times as long once it is encoded."""
    room = 3 * MAX_BYTES + 512 + 2 * PAD
    return Scratch(
        np.zeros(MAX_BYTES + 512, np.uint8),
        np.zeros(MAX_BYTES + 512, np.uint8),
        np.zeros((4, room), np.uint8),
        np.zeros(room, np.uint8),
        np.zeros(MAX_BYTES + 8, np.int64),
        np.zeros((4, 6), np.int64),
    )
