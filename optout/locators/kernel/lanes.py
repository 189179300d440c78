"""SipHash-1-3 of eight texts at once, one in every lane of a vector."""

# mypy: disable-error-code="import-untyped,no-untyped-call"

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from optout.compiled import inline_code
from optout.locators.kernel.siphash import START

__all__ = ["LANES", "hash_lanes"]

LANES = 8

_INT = ir.IntType(64)
_VECTOR = ir.VectorType(_INT, LANES)


def _int(value: int) -> Any:
    return ir.Constant(_INT, value)


def _all(value: int) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _gathered(builder: Any, values: Sequence[Any]) -> Any:
    """A vector of eight numbers."""
    vector = ir.Constant(_VECTOR, ir.Undefined)
    for lane, value in enumerate(values):
        vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), lane))
    return vector


def _rotated(builder: Any, vector: Any, bits: int) -> Any:
    return builder.or_(builder.shl(vector, _all(bits)), builder.lshr(vector, _all(64 - bits)))


def _round(builder: Any, state: Sequence[Any]) -> list[Any]:
    v0, v1, v2, v3 = state
    v0 = builder.add(v0, v1)
    v1 = builder.xor(_rotated(builder, v1, 13), v0)
    v0 = _rotated(builder, v0, 32)
    v2 = builder.add(v2, v3)
    v3 = builder.xor(_rotated(builder, v3, 16), v2)
    v0 = builder.add(v0, v3)
    v3 = builder.xor(_rotated(builder, v3, 21), v0)
    v2 = builder.add(v2, v1)
    v1 = builder.xor(_rotated(builder, v1, 17), v2)
    return [v0, v1, _rotated(builder, v2, 32), v3]


def _taken_in(builder: Any, state: Sequence[Any], word: Any) -> list[Any]:
    """The state after one more word of every lane."""
    v0, v1, v2, v3 = _round(builder, [*state[:3], builder.xor(state[3], word)])
    return [builder.xor(v0, word), v1, v2, v3]


def _finished(builder: Any, state: Sequence[Any]) -> Any:
    state = [state[0], state[1], builder.xor(state[2], _all(0xFF)), state[3]]
    for _ in range(3):
        state = _round(builder, state)
    return builder.xor(builder.xor(state[0], state[1]), builder.xor(state[2], state[3]))


class _Texts:
    """Code that reads words of the eight texts."""

    def __init__(self, builder: Any, data: Any, starts: Any, sizes: Any) -> None:
        self.builder = builder
        lanes = [_int(lane) for lane in range(LANES)]
        self.texts = [builder.gep(data, [builder.load(builder.gep(starts, [lane]))]) for lane in lanes]
        self.sizes = [builder.load(builder.gep(sizes, [lane])) for lane in lanes]
        self.words = [builder.lshr(size, _int(3)) for size in self.sizes]

    def at(self, indices: Sequence[Any]) -> Any:
        """Of every lane the word with its own number."""
        words = []
        for text, index in zip(self.texts, indices, strict=True):
            place = self.builder.gep(text, [self.builder.shl(index, _int(3))])
            words.append(self.builder.load(self.builder.bitcast(place, _INT.as_pointer())))
            words[-1].align = 1
        return _gathered(self.builder, words)

    def last(self) -> Any:
        """The bytes after the last whole words, and the sizes above them."""
        builder, sizes = self.builder, _gathered(self.builder, self.sizes)
        bits = builder.shl(builder.and_(sizes, _all(7)), _all(3))
        within = builder.sub(builder.shl(_all(1), bits), _all(1))
        return builder.or_(builder.and_(self.at(self.words), within), builder.shl(sizes, _all(56)))


def _loop(builder: Any, first: Any, last: Any, slots: Sequence[Any], step: Callable[..., Any]) -> None:
    """Code that puts `step(index, state)` in the place of the state for every index."""
    with cgutils.for_range_slice(builder, first, last, _int(1), _INT) as (index, _):
        state = step(index, [builder.load(slot) for slot in slots])
        for slot, value in zip(slots, state, strict=True):
            builder.store(value, slot)


def _extreme(builder: Any, relation: str, values: Sequence[Any]) -> Any:
    """The least ("<") or the greatest (">") of the values."""
    found = values[0]
    for value in values[1:]:
        found = builder.select(builder.icmp_unsigned(relation, value, found), value, found)
    return found


def _hashes(builder: Any, texts: _Texts, start: Sequence[Any]) -> Any:
    """Code that hashes the texts: the words that all have, then those of the longer ones."""

    def for_all(index: Any, state: list[Any]) -> list[Any]:
        return _taken_in(builder, state, texts.at([index] * LANES))

    def for_longer(index: Any, state: list[Any]) -> list[Any]:
        longer = builder.icmp_unsigned(
            "<", _gathered(builder, [index] * LANES), _gathered(builder, texts.words)
        )
        own = [
            builder.select(builder.icmp_unsigned("<", index, count), index, count) for count in texts.words
        ]
        taken = _taken_in(builder, state, texts.at(own))
        return [builder.select(longer, new, old) for new, old in zip(taken, state, strict=True)]

    slots = [cgutils.alloca_once_value(builder, value) for value in start]
    common = _extreme(builder, "<", texts.words)
    _loop(builder, _int(0), common, slots, for_all)
    _loop(builder, common, _extreme(builder, ">", texts.words), slots, for_longer)
    state = [builder.load(slot) for slot in slots]
    return _finished(builder, _taken_in(builder, state, texts.last()))


@inline_code
def hash_lanes(typingctx: Any, data: Any, starts: Any, sizes: Any, k0: Any, k1: Any, out: Any) -> Any:
    """Hash `data[starts[i]:starts[i] + sizes[i]]` into `out[i]` for eight texts.

    Each must be followed by 8 readable bytes. Texts with as many whole words as each other cost the least.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, starts, sizes, k0, k1, out = args
        keys = [_gathered(builder, [key] * LANES) for key in (k0, k1, k0, k1)]
        start = [builder.xor(key, _all(constant)) for key, constant in zip(keys, START, strict=True)]
        hashes = _hashes(builder, _Texts(builder, data, starts, sizes), start)
        builder.store(hashes, builder.bitcast(out, _VECTOR.as_pointer())).align = 8
        return context.get_dummy_value()

    counts, words = types.CPointer(types.int64), types.CPointer(types.uint64)
    return types.void(data, counts, counts, types.uint64, types.uint64, words), codegen
