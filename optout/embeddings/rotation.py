"""CLIP codes: the signs of an embedding once it is centred and turned at random, the same for everybody.

The turn is three rounds of random signs, a permutation and Hadamard transforms of the largest power of two
that divides the dimension (Andoni et al., "Practical and Optimal LSH for Angular Distance", 2015): additions
in a fixed order, so that every machine makes the same bits, and a hundredth of a matrix's work.
"""

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled

__all__ = ["clip_codes"]

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

_ROUNDS = 3
_LANES = 16
_CHUNK = 2048


class _Turn(NamedTuple):
    """signs float32[3, D], places int64[3, D], and the size of the Hadamard transforms."""

    signs: F32
    places: I64
    size: int


def clip_codes(vectors: npt.NDArray[np.floating], centre: F32) -> U64:
    """Codes of embeddings.

    Args:
        vectors: float16[n, D] or float32[n, D], finite; D a multiple of 64.
        centre: float32[D], what is subtracted first.

    Returns:
        uint64[n, D / 64]; bit i of word w is the sign of coordinate 64 w + i, set when above zero.
    """
    dimension = vectors.shape[1]
    turn = _turn(dimension)
    codes = np.zeros((len(vectors), dimension // 64), np.uint64)
    for start in range(0, len(vectors), _CHUNK):
        part = vectors[start : start + _CHUNK].astype(np.float32) - centre
        _encode(part, turn.signs, turn.places, turn.size, codes[start : start + _CHUNK])
    return codes


@lru_cache(maxsize=8)
def _turn(dimension: int) -> _Turn:
    """Drawn from SHAKE-256, whose output no version of a library changes."""
    stream = hashlib.shake_256(f"optout clip code 1, {dimension}".encode()).digest(_ROUNDS * dimension * 16)
    words = np.frombuffer(stream, "<u8").reshape(2, _ROUNDS, dimension)
    signs = np.where(words[0] & np.uint64(1), np.float32(1), np.float32(-1))
    places = np.argsort(words[1], axis=1, kind="stable")
    return _Turn(signs, places.astype(np.int64), dimension & -dimension)


@compiled
def _encode(vectors: Any, signs: Any, places: Any, size: int, codes: Any) -> None:
    """Sixteen vectors side by side: every step is one operation on sixteen numbers."""
    count, dimension = vectors.shape
    now = np.zeros((dimension, _LANES), np.float32)
    then = np.zeros((dimension, _LANES), np.float32)
    for start in range(0, count, _LANES):
        lanes = min(_LANES, count - start)
        for lane in range(lanes):
            for at in range(dimension):
                now[at, lane] = vectors[start + lane, at]
        for turn in range(signs.shape[0]):
            for at in range(dimension):
                for lane in range(_LANES):
                    then[at, lane] = now[places[turn, at], lane] * signs[turn, at]
            _transform(then, size)
            now, then = then, now
        _pack(now, codes[start : start + lanes])


@compiled
def _transform(numbers: Any, size: int) -> None:
    """Hadamard's transform of every run of `size` rows, in place."""
    half = 1
    while half < size:
        for block in range(0, len(numbers), 2 * half):
            for at in range(block, block + half):
                for lane in range(_LANES):
                    left, right = numbers[at, lane], numbers[at + half, lane]
                    numbers[at, lane] = left + right
                    numbers[at + half, lane] = left - right
        half *= 2


@compiled
def _pack(numbers: Any, codes: Any) -> None:
    for lane in range(len(codes)):
        for word in range(codes.shape[1]):
            bits = np.uint64(0)
            for bit in range(64):
                bits |= np.uint64(numbers[64 * word + bit, lane] > 0) << np.uint64(bit)
            codes[lane, word] = bits
