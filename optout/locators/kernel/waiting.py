"""Texts that wait to be hashed, eight at a time: alone, each round of a hash waits for the one before."""

# numba compiles plain loops, and what they return only numba knows.
# mypy: disable-error-code="no-any-return"

from typing import Any, NamedTuple

import numpy as np

from optout.compiled import compiled
from optout.locators.kernel.lanes import LANES, hash_lanes
from optout.locators.kernel.memory import advance, pointer
from optout.locators.status import MAX_BYTES

__all__ = ["CAPACITY", "Waiting", "hash_waiting", "new_waiting", "wait", "waiting_pointers"]

CAPACITY = 2 * MAX_BYTES
"""How many texts can wait: more than the prefixes and domains of any one locator."""

_MOST_WORDS = 63
_LOW = np.uint64(0xFFFFFFFF)


class Waiting(NamedTuple):
    """Arrays outside of compiled code, pointers within."""

    start: Any
    """int64[CAPACITY]: where each text begins."""
    size: Any
    """int64[CAPACITY]: its bytes."""
    key: Any
    """int64[CAPACITY]: the probe whose key the hash is."""
    check: Any
    """int64[CAPACITY]: the probe whose check its low half is."""
    order: Any
    """int64[CAPACITY + LANES]: the texts by their numbers of words."""
    counts: Any
    """int64[65]: how many texts have how many words, then where those begin in the order."""
    lanes: Any
    """int64[2 * LANES]: begins and sizes of the texts that are being hashed."""
    hashes: Any
    """uint64[LANES]: their hashes."""


def new_waiting() -> Waiting:
    """Room for texts."""
    return Waiting(
        np.zeros(CAPACITY, np.int64),
        np.zeros(CAPACITY, np.int64),
        np.zeros(CAPACITY, np.int64),
        np.zeros(CAPACITY, np.int64),
        np.zeros(CAPACITY + LANES, np.int64),
        np.zeros(_MOST_WORDS + 2, np.int64),
        np.zeros(2 * LANES, np.int64),
        np.zeros(LANES, np.uint64),
    )


@compiled
def waiting_pointers(waiting: Any) -> Any:
    """The same for compiled code."""
    return Waiting(
        pointer(waiting.start),
        pointer(waiting.size),
        pointer(waiting.key),
        pointer(waiting.check),
        pointer(waiting.order),
        pointer(waiting.counts),
        pointer(waiting.lanes),
        pointer(waiting.hashes),
    )


@compiled
def wait(waiting: Any, count: int, start: int, size: int, key: int, check: int) -> int:
    """Add a text to the `count` that wait; how many they are then."""
    waiting.start[count] = start
    waiting.size[count] = size
    waiting.key[count] = key
    waiting.check[count] = check
    return count + 1


@compiled
def _words(size: int) -> int:
    return min(size >> 3, _MOST_WORDS)


@compiled
def _sort(waiting: Any, count: int) -> None:
    """Order the texts by their words, up to 63 of them, and fill the last group of lanes."""
    for words in range(_MOST_WORDS + 2):
        waiting.counts[words] = 0
    for index in range(count):
        waiting.counts[_words(waiting.size[index]) + 1] += 1
    for words in range(_MOST_WORDS):
        waiting.counts[words + 1] += waiting.counts[words]
    for index in range(count):
        words = _words(waiting.size[index])
        waiting.order[waiting.counts[words]] = index
        waiting.counts[words] += 1
    for index in range(count, count + LANES):
        waiting.order[index] = waiting.order[count - 1]


@compiled
def hash_waiting(waiting: Any, count: int, data: Any, k0: Any, k1: Any, keys: Any, checks: Any) -> None:
    """Hash the texts in `data` that wait, each of them followed by 8 readable bytes."""
    if count == 0:
        return
    _sort(waiting, count)
    sizes = advance(waiting.lanes, LANES)
    for first in range(0, count, LANES):
        for lane in range(LANES):
            text = waiting.order[first + lane]
            waiting.lanes[lane] = waiting.start[text]
            sizes[lane] = waiting.size[text]
        hash_lanes(data, waiting.lanes, sizes, k0, k1, waiting.hashes)
        for lane in range(LANES):
            text = waiting.order[first + lane]
            keys[waiting.key[text]] = waiting.hashes[lane]
            checks[waiting.check[text]] = waiting.hashes[lane] & _LOW
