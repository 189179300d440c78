"""Pointers, unaligned 64-bit reads and writes, and sizes of the kernel's buffers.

Compiled functions hand each other plain pointers: arrays would be counted in and out at every call, which
costs more than the work on a row. Only the loops see arrays, and those keep them alive.
"""

# mypy: disable-error-code="import-untyped,no-untyped-call"

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from optout.compiled import compiled, inline_code
from optout.locators.status import MAX_BYTES

__all__ = [
    "FULL",
    "META",
    "PAD",
    "ROOM",
    "advance",
    "copy_bytes",
    "load64",
    "pointer",
    "store64",
]

PAD = 32
"""Bytes that may be read or written past the end, and before the start, of every scratch buffer's text."""

ROOM = 3 * MAX_BYTES + 512 + 2 * PAD
"""Bytes of a canonical locator's buffer: a text of MAX_BYTES is three times as long once it is encoded."""

FULL = 1 << 14
"""Bytes of locators and keys after which their hashes are computed, to stay in the cache."""

META = 7
"""Numbers kept of every canonical locator; `scan` names them."""


@inline_code
def pointer(typingctx: Any, array: Any) -> Any:
    """The address of a contiguous array's first item; bool arrays are taken as uint8."""
    item = types.uint8 if array.dtype == types.boolean else array.dtype

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        struct = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        return builder.bitcast(struct.data, context.get_value_type(signature.return_type))

    return types.CPointer(item)(array), codegen


@inline_code
def advance(typingctx: Any, base: Any, count: Any) -> Any:
    """The address `count` items further on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return base(base, types.int64), codegen


@inline_code
def load64(typingctx: Any, base: Any, index: Any) -> Any:
    """The 8 bytes from `index` on as a little-endian uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(args[0], [args[1]])
        value = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        value.align = 1
        return value

    return types.uint64(base, types.int64), codegen


@inline_code
def store64(typingctx: Any, base: Any, index: Any, value: Any) -> Any:
    """Write a uint64 into the 8 bytes from `index` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(args[0], [args[1]])
        store = builder.store(args[2], builder.bitcast(place, ir.IntType(64).as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(base, types.int64, types.uint64), codegen


@compiled
def copy_bytes(source: Any, start: int, size: int, target: Any, at: int) -> None:
    """Copy `size` bytes, and touch no others."""
    whole = size & ~7
    done = 0
    while done < whole:
        store64(target, at + done, load64(source, start + done))
        done += 8
    while done < size:
        target[at + done] = source[start + done]
        done += 1
