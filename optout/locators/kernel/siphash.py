"""SipHash-1-3 of byte ranges."""

from typing import Any

import numpy as np

from optout.compiled import compiled
from optout.locators.kernel.memory import load64

__all__ = ["START", "sip"]

START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
"""What the halves of the key are combined with."""

_C0, _C1, _C2, _C3 = (np.uint64(word) for word in START)
_FF = np.uint64(0xFF)
_ONE, _B13, _B16, _B17, _B21, _B32 = (np.uint64(bits) for bits in (1, 13, 16, 17, 21, 32))
_B64 = np.uint64(64)
_B56 = np.uint64(56)


@compiled
def _rotate(value: Any, bits: Any) -> Any:
    return (value << bits) | (value >> (_B64 - bits))


@compiled
def _round(v0: Any, v1: Any, v2: Any, v3: Any) -> Any:
    v0 += v1
    v1 = _rotate(v1, _B13) ^ v0
    v0 = _rotate(v0, _B32)
    v2 += v3
    v3 = _rotate(v3, _B16) ^ v2
    v0 += v3
    v3 = _rotate(v3, _B21) ^ v0
    v2 += v1
    v1 = _rotate(v1, _B17) ^ v2
    return v0, v1, _rotate(v2, _B32), v3


@compiled
def _finish(v0: Any, v1: Any, v2: Any, v3: Any, word: Any) -> Any:
    v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ word)
    v0 ^= word
    v2 ^= _FF
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@compiled
def _last_word(data: Any, at: int, size: int) -> Any:
    """The bytes after the last whole word, and the length; reads up to 8 bytes past the end."""
    bits = np.uint64((size & 7) * 8)
    word = load64(data, at) & ((_ONE << bits) - _ONE)
    return word | (np.uint64(size & 0xFF) << _B56)


@compiled
def sip(data: Any, start: int, end: int, k0: Any, k1: Any) -> Any:
    """SipHash-1-3 of `data[start:end]`, which must be followed by 8 readable bytes."""
    v0, v1, v2, v3 = k0 ^ _C0, k1 ^ _C1, k0 ^ _C2, k1 ^ _C3
    size = end - start
    at = start
    whole = start + (size & ~7)
    while at < whole:
        word = load64(data, at)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ word)
        v0 ^= word
        at += 8
    return _finish(v0, v1, v2, v3, _last_word(data, at, size))
