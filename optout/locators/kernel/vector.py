"""Thirty-two bytes at a time: how long a run of ordinary bytes is, copied and searched on the way."""

# mypy: disable-error-code="import-untyped,no-untyped-call"

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types

from optout.compiled import compiled, inline_code

__all__ = [
    "WIDTH",
    "copy_block",
    "copy_blocks",
    "copy_host_run",
    "copy_path_run",
    "copy_query_run",
    "count_bits",
    "find_any",
    "find_dots",
    "first_bit",
    "last_bit",
]

WIDTH = 32

_BYTES = ir.VectorType(ir.IntType(8), WIDTH)
_INT = ir.IntType(64)
_LANE = ir.IntType(32)
_LANES = ir.VectorType(_LANE, WIDTH)
_LETTERS = (ord("a"), ord("z"))
_CASE = 0x20


def _all(value: int) -> Any:
    return ir.Constant(_BYTES, [value] * WIDTH)


def _in_ranges(builder: Any, vector: Any, ranges: Sequence[tuple[int, int]]) -> Any:
    """A bit for every byte that is in one of the ranges."""
    found = None
    for first, last in ranges:
        if first == last:
            inside = builder.icmp_unsigned("==", vector, _all(first))
        else:
            inside = builder.icmp_unsigned("<=", builder.sub(vector, _all(first)), _all(last - first))
        found = inside if found is None else builder.or_(found, inside)
    return found


def _place(builder: Any, base: Any, index: Any) -> Any:
    return builder.bitcast(builder.gep(base, [index]), _BYTES.as_pointer())


def _bits(builder: Any, found: Any) -> Any:
    """The bits of a comparison, that of the first byte lowest."""
    return builder.zext(builder.bitcast(found, ir.IntType(WIDTH)), _INT)


def _leading(builder: Any, found: Any, most: Any) -> Any:
    """How many of the bits are set before the first that is not, at most `most`."""
    missing = builder.or_(builder.not_(_bits(builder, found)), ir.Constant(_INT, 1 << WIDTH))
    count = builder.cttz(missing, ir.Constant(ir.IntType(1), 1))
    return builder.select(builder.icmp_signed("<", count, most), count, most)


def _copy_run(ranges: Sequence[tuple[int, int]], lowered: bool, marks: str) -> Any:
    """Code that copies 32 bytes, letters in lower case if asked to, and looks for the run and the marks."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, start, end, target, at = args
        vector = builder.load(_place(builder, source, start))
        vector.align = 1
        folded = builder.or_(vector, _all(_CASE))
        letters = _in_ranges(builder, folded, [_LETTERS])
        found = builder.or_(letters, _in_ranges(builder, vector, ranges))
        copied = builder.select(letters, folded, vector) if lowered else vector
        builder.store(copied, _place(builder, target, at)).align = 1
        run = _leading(builder, found, builder.sub(end, start))
        within = builder.sub(builder.shl(ir.Constant(_INT, 1), run), ir.Constant(_INT, 1))
        places = [_bits(builder, _in_ranges(builder, vector, [(ord(mark),) * 2])) for mark in marks]
        places[0] = builder.and_(places[0], within)
        return context.make_tuple(builder, signature.return_type, [run, *places])

    return codegen


def _answer(marks: int) -> Any:
    return types.Tuple([types.int64, *[types.uint64] * marks])


@inline_code
def copy_path_run(typingctx: Any, source: Any, start: Any, end: Any, target: Any, at: Any) -> Any:
    """Copy 32 bytes of a path.

    Returns:
        How many of them, from the first on and before `end`, a path takes as they are (0 to 32); bits of the
        slashes among these; bits of the dots among all.
    """
    codegen = _copy_run([(ord("'"), ord("9")), (ord("_"),) * 2, (ord("="),) * 2], False, "/.")
    return _answer(2)(source, types.int64, types.int64, target, types.int64), codegen


@inline_code
def copy_query_run(typingctx: Any, source: Any, start: Any, end: Any, target: Any, at: Any) -> Any:
    """As `copy_path_run`, for a parameter: how many, and bits of the equals signs among them."""
    codegen = _copy_run([(ord("'"), ord(":")), (ord("_"),) * 2, (ord("="),) * 2], False, "=")
    return _answer(1)(source, types.int64, types.int64, target, types.int64), codegen


@inline_code
def copy_host_run(typingctx: Any, source: Any, start: Any, end: Any, target: Any, at: Any) -> Any:
    """As `copy_path_run`, in lower case for a host: how many, and bits of the dots among them."""
    codegen = _copy_run([(ord("-"), ord(".")), (ord("0"), ord("9")), (ord("_"),) * 2], True, ".")
    return _answer(1)(source, types.int64, types.int64, target, types.int64), codegen


@inline_code
def copy_block(typingctx: Any, source: Any, start: Any, target: Any, at: Any) -> Any:
    """Copy 32 bytes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = builder.load(_place(builder, args[0], args[1]))
        vector.align = 1
        builder.store(vector, _place(builder, args[2], args[3])).align = 1
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), codegen


@compiled
def copy_blocks(source: Any, start: int, size: int, target: Any, at: int) -> None:
    """Copy `size` bytes, and up to 31 more."""
    done = 0
    while done < size:
        copy_block(source, start + done, target, at + done)
        done += WIDTH


@inline_code
def find_dots(typingctx: Any, source: Any, start: Any) -> Any:
    """Bits of the dots among 32 bytes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = builder.load(_place(builder, *args))
        vector.align = 1
        return _bits(builder, builder.icmp_unsigned("==", vector, _all(ord("."))))

    return types.uint64(source, types.int64), codegen


@inline_code
def find_any(typingctx: Any, source: Any, start: Any, wanted: Any) -> Any:
    """Bits of those of 32 bytes that are one of the eight bytes of the number `wanted`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = builder.load(_place(builder, args[0], args[1]))
        vector.align = 1
        found = None
        for index in range(8):
            byte = builder.trunc(builder.lshr(args[2], ir.Constant(_INT, 8 * index)), ir.IntType(8))
            first = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), byte, ir.Constant(_LANE, 0))
            every = builder.shuffle_vector(first, first, ir.Constant(_LANES, [0] * WIDTH))
            same = builder.icmp_unsigned("==", vector, every)
            found = same if found is None else builder.or_(found, same)
        return _bits(builder, found)

    return types.uint64(source, types.int64, types.uint64), codegen


@inline_code
def last_bit(typingctx: Any, bits: Any) -> Any:
    """The number of the highest bit that is set, of at least one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sub(ir.Constant(_INT, 63), builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1)))

    return types.int64(types.uint64), codegen


@inline_code
def first_bit(typingctx: Any, bits: Any) -> Any:
    """The number of the lowest bit that is set, 64 when none is."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@inline_code
def count_bits(typingctx: Any, bits: Any) -> Any:
    """How many bits are set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen
