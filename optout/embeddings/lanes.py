"""Sixty-four claims at a time: how many bits of the first words of their codes differ from a query's.

Written as vectors of eight words, which LLVM turns into AVX-512's count of bits where there is one, and into
byte look-ups of AVX2 or single counts elsewhere. numba alone makes single counts of the same loop.
"""

# mypy: disable-error-code="import-untyped,no-untyped-call"

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from optout.compiled import inline_code

__all__ = ["GROUP", "any_within", "count_bits", "which_within"]

GROUP = 64

_LANES = 8
_VECTORS = GROUP // _LANES
_WORD = ir.IntType(64)
_LANE_BITS = ir.IntType(_LANES)
_VECTOR = ir.VectorType(_WORD, _LANES)


def _everywhere(builder: Any, word: Any) -> Any:
    lane = ir.IntType(32)
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, word, ir.Constant(lane, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(lane, _LANES), [0] * _LANES))


def _count(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.ctpop.v8i64"), [vector])


def _rows(context: Any, builder: Any, array_type: Any, array: Any, at: Any, words: int) -> list[Any]:
    """Pointers to the claim `at` in each of the first rows of `uint64[words, n]`."""
    struct = context.make_array(array_type)(context, builder, array)
    claims = builder.extract_value(struct.shape, 1)
    offsets = [builder.add(at, builder.mul(claims, ir.Constant(_WORD, word))) for word in range(words)]
    return [builder.gep(struct.data, [offset]) for offset in offsets]


def _distances(builder: Any, rows: Sequence[Any], query: Sequence[Any], vector: int) -> Any:
    """Differing bits of eight claims."""
    total = None
    for row, word in zip(rows, query, strict=True):
        place = builder.gep(row, [ir.Constant(_WORD, vector * _LANES)])
        held = builder.load(builder.bitcast(place, _VECTOR.as_pointer()))
        held.align = 8
        count = _count(builder, builder.xor(held, word))
        total = count if total is None else builder.add(total, count)
    return total


def _inputs(context: Any, builder: Any, signature: Any, args: Any) -> tuple[list[Any], list[Any], Any]:
    code, at, query, limit = args
    words = signature.args[2].count
    rows = _rows(context, builder, signature.args[0], code, at, words)
    query_words = [_everywhere(builder, builder.extract_value(query, word)) for word in range(words)]
    return rows, query_words, _everywhere(builder, limit)


def _any_code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, query, limit = _inputs(context, builder, signature, args)
    least = _distances(builder, rows, query, 0)
    for vector in range(1, _VECTORS):
        distance = _distances(builder, rows, query, vector)
        least = builder.select(builder.icmp_unsigned("<", distance, least), distance, least)
    within = builder.bitcast(builder.icmp_unsigned("<=", least, limit), _LANE_BITS)
    return builder.icmp_unsigned("!=", within, ir.Constant(_LANE_BITS, 0))


def _which_code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    rows, query, limit = _inputs(context, builder, signature, args)
    bits = ir.Constant(_WORD, 0)
    for vector in range(_VECTORS):
        within = builder.icmp_unsigned("<=", _distances(builder, rows, query, vector), limit)
        eight = builder.zext(builder.bitcast(within, _LANE_BITS), _WORD)
        bits = builder.or_(bits, builder.shl(eight, ir.Constant(_WORD, vector * _LANES)))
    return bits


@inline_code
def any_within(typing: Any, code: Any, at: Any, query: Any, limit: Any) -> Any:
    """Whether any of the claims `at` to `at + 63` differs from the query in at most `limit` bits.

    Args:
        typing: numba's.
        code: uint64[words, n], C order, of which as many rows are looked at as the query has words.
        at: intp, at most n - 64: nobody checks.
        query: tuple of uint64.
        limit: uint64.
    """
    return types.boolean(code, types.intp, query, types.uint64), _any_code


@inline_code
def which_within(typing: Any, code: Any, at: Any, query: Any, limit: Any) -> Any:
    """As `any_within`, a bit for each claim, that of the first one lowest."""
    return types.uint64(code, types.intp, query, types.uint64), _which_code


@inline_code
def count_bits(typing: Any, word: Any) -> Any:
    """How many bits of a uint64 are set."""
    return types.uint64(types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])
