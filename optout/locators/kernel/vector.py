"""Sixteen bytes at a time: how long a run of ordinary bytes is, copied on the way."""

# mypy: disable-error-code="import-untyped,no-untyped-call"

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types

from optout.compiled import inline_code

__all__ = ["WIDTH", "copy_host_run", "copy_path_run", "copy_query_run"]

WIDTH = 16

_BYTES = ir.VectorType(ir.IntType(8), WIDTH)
_LETTERS = (ord("a"), ord("z"))
_DIGITS = (ord("0"), ord("9"))
_CASE = 0x20


def _all(value: int) -> Any:
    return ir.Constant(_BYTES, [value] * WIDTH)


def _in_ranges(builder: Any, vector: Any, ranges: Sequence[tuple[int, int]]) -> Any:
    """A bit for every byte that is in one of the ranges."""
    found = None
    for first, last in ranges:
        inside = builder.icmp_unsigned("<=", builder.sub(vector, _all(first)), _all(last - first))
        found = inside if found is None else builder.or_(found, inside)
    return found


def _pointer(builder: Any, base: Any, index: Any) -> Any:
    return builder.bitcast(builder.gep(base, [index]), _BYTES.as_pointer())


def _leading(builder: Any, found: Any) -> Any:
    """How many of the bits are set before the first that is not."""
    bits = builder.zext(builder.bitcast(found, ir.IntType(WIDTH)), ir.IntType(64))
    missing = builder.or_(builder.not_(bits), ir.Constant(ir.IntType(64), 1 << WIDTH))
    return builder.cttz(missing, ir.Constant(ir.IntType(1), 1))


def _copy_run(ranges: Sequence[tuple[int, int]], lowered: bool) -> Any:
    """Code that copies 16 bytes, letters in lower case if asked to, and counts those of the leading run."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, start, target, at = args
        vector = builder.load(_pointer(builder, source, start))
        vector.align = 1
        folded = builder.or_(vector, _all(_CASE))
        letters = _in_ranges(builder, folded, [_LETTERS])
        found = builder.or_(letters, _in_ranges(builder, vector, ranges))
        copied = builder.select(letters, folded, vector) if lowered else vector
        builder.store(copied, _pointer(builder, target, at)).align = 1
        count = _leading(builder, found)
        if not lowered:
            return count
        dots = builder.icmp_unsigned("==", vector, _all(ord(".")))
        bits = builder.zext(builder.bitcast(dots, ir.IntType(WIDTH)), ir.IntType(64))
        return builder.or_(count, builder.shl(bits, ir.Constant(ir.IntType(64), 8)))

    return codegen


@inline_code
def copy_path_run(typingctx: Any, source: Any, start: Any, target: Any, at: Any) -> Any:
    """Copy 16 bytes; how many of them, from the first on, a path takes as they are (0 to 16)."""
    codegen = _copy_run([(0x27, 0x2E), _DIGITS, (0x5F, 0x5F), (0x3D, 0x3D)], lowered=False)
    return types.int64(source, types.int64, target, types.int64), codegen


@inline_code
def copy_query_run(typingctx: Any, source: Any, start: Any, target: Any, at: Any) -> Any:
    """As `copy_path_run`, for a query without its separators `&` and `=`."""
    codegen = _copy_run([(0x27, 0x2E), (ord("/"), ord("9")), (0x5F, 0x5F)], lowered=False)
    return types.int64(source, types.int64, target, types.int64), codegen


@inline_code
def copy_host_run(typingctx: Any, source: Any, start: Any, target: Any, at: Any) -> Any:
    """Copy 16 bytes in lower case; how many, from the first on, a host may have, and 256 times the dots."""
    codegen = _copy_run([(ord("-"), ord(".")), _DIGITS, (0x5F, 0x5F)], lowered=True)
    return types.int64(source, types.int64, target, types.int64), codegen
