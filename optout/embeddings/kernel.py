"""The search of one table by many queries: few bits of every code, more of few codes, cosines of the rest.

Blocks of claims whose first words fit the first-level cache meet every query of the batch before the next
block is read. Sums are made in a fixed order, so that a cosine is the same number on every machine.
"""

from typing import Any

import numpy as np

from optout.compiled import compiled
from optout.embeddings.lanes import GROUP, any_within, count_bits, which_within

__all__ = ["FIRST_WORDS", "SECOND_WORDS", "pair_cosines", "search_codes"]

#: How many words the first and the second look take; `lanes` is handed them as tuples.
FIRST_WORDS, SECOND_WORDS = 2, 4

_BLOCK = 1024
_LANES = 16
_FIRST_CAPACITY = 1024


@compiled
def search_codes(code: Any, vectors: Any, queries: Any, query_codes: Any, limits: Any, least: Any) -> Any:
    """Every pair within its limits and of at least the cosine.

    Args:
        code: uint64[W, n], C order, W at least SECOND_WORDS.
        vectors: uint16[n, D], float16 as bits, finite.
        queries: float32[m, D].
        query_codes: uint64[m, W].
        limits: uint64[m, 3], greatest distance within the first words, the second words and all.
        least: float32, least cosine.

    Returns:
        int32[k] query, uint32[k] claim's row, float32[k] cosine; ordered by claim within blocks.
    """
    queried, found = np.empty(_FIRST_CAPACITY, np.int32), np.empty(_FIRST_CAPACITY, np.uint32)
    cosines, count = np.empty(_FIRST_CAPACITY, np.float32), 0
    near, wide = np.empty(_BLOCK, np.int64), np.empty(vectors.shape[1], np.uint32)
    for start in range(0, code.shape[1], _BLOCK):
        end = min(start + _BLOCK, code.shape[1])
        for query in range(len(queries)):
            for place in range(_propose(code, start, end, query_codes, limits, query, near)):
                cosine = _cosine(vectors, near[place], queries, query, wide)
                if cosine < least:
                    continue
                if count == len(found):
                    queried, found, cosines = _longer(queried), _longer(found), _longer(cosines)
                queried[count], found[count], cosines[count] = query, near[place], cosine
                count += 1
    return queried[:count], found[:count], cosines[:count]


@compiled
def pair_cosines(vectors: Any, found: Any, queries: Any, queried: Any) -> Any:
    """The cosines of given pairs, the numbers that `search_codes` finds.

    Args:
        vectors: uint16[n, D], float16 as bits.
        found: int64[k], the claim's row of each pair.
        queries: float32[m, D].
        queried: int64[k], the query of each pair.

    Returns:
        float32[k].
    """
    cosines, wide = np.empty(len(found), np.float32), np.empty(vectors.shape[1], np.uint32)
    for pair in range(len(found)):
        cosines[pair] = _cosine(vectors, found[pair], queries, queried[pair], wide)
    return cosines


@compiled
def _propose(code: Any, start: int, end: int, codes: Any, limits: Any, query: int, near: Any) -> int:
    """Write the claims of a block that are within all limits of a query to `near`; return how many."""
    count = 0
    first, limit = (codes[query, 0], codes[query, 1]), limits[query, 0]
    for group in range(start, end, GROUP):
        # The last ones, fewer than a group, are all looked at whole.
        if group + GROUP <= end and not any_within(code, group, first, limit):
            continue
        bits = _second_look(code, group, end, codes, limits, query)
        while bits:
            lowest = bits & (~bits + np.uint64(1))
            bits ^= lowest
            claim = group + np.int64(count_bits(lowest - np.uint64(1)))
            if _distance(code, claim, codes, query) <= limits[query, 2]:
                near[count] = claim
                count += 1
    return count


@compiled
def _second_look(code: Any, group: int, end: int, codes: Any, limits: Any, query: int) -> Any:
    """A bit for each of the claims from `group` on, 64 at most, that is within the first two limits."""
    if group + GROUP > end:
        return (np.uint64(1) << np.uint64(end - group)) - np.uint64(1)
    first = (codes[query, 0], codes[query, 1])
    second = (codes[query, 0], codes[query, 1], codes[query, 2], codes[query, 3])
    within = which_within(code, group, first, limits[query, 0])
    return within & which_within(code, group, second, limits[query, 1])


@compiled
def _distance(code: Any, claim: int, codes: Any, query: int) -> Any:
    distance = np.uint64(0)
    for word in range(codes.shape[1]):
        distance += count_bits(code[word, claim] ^ codes[query, word])
    return distance


@compiled
def _cosine(vectors: Any, claim: int, queries: Any, query: int, wide: Any) -> Any:
    """Scalar product of float16 bits and float32; `wide` is scratch, uint32[D]."""
    for at in range(len(wide)):
        bits = np.uint32(vectors[claim, at])
        # Sign and mantissa moved to their places; the exponent is 112 too low, subnormals included.
        wide[at] = (bits & np.uint32(0x8000)) << np.uint32(16) | (bits & np.uint32(0x7FFF)) << np.uint32(13)
    numbers = wide.view(np.float32)
    sums = np.zeros(_LANES, np.float32)
    for start in range(0, len(numbers), _LANES):
        for lane in range(_LANES):
            sums[lane] += numbers[start + lane] * np.float32(2.0**112) * queries[query, start + lane]
    total = np.float32(0)
    for lane in range(_LANES):
        total += sums[lane]
    return total


@compiled
def _longer(values: Any) -> Any:
    longer = np.empty(2 * len(values), values.dtype)
    longer[: len(values)] = values
    return longer
