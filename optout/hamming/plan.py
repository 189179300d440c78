"""How a code is cut into chunks so that near codes must agree in one of them.

The generalised pigeonhole principle: if two codes differ in at most r bits and are cut into m chunks with
thresholds that sum to r - m + 1, then some chunk differs in no more bits than its threshold. For 64 bits and
radius 8 that is three chunks of 21 or 22 bits, of which one differs in at most two bits.
"""

from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Chunk", "bucket_bits", "chunks_of", "masks_of", "thresholds_of"]

U32 = npt.NDArray[np.uint32]


class Chunk(NamedTuple):
    """A run of bits of a code: the place of its first bit from the highest down, and how many there are."""

    start: int
    width: int


def chunks_of(bits: int, count: int) -> tuple[Chunk, ...]:
    """`bits` cut into `count` chunks of nearly one width, the wider ones first."""
    width, wider = divmod(bits, count)
    widths = [width + (at < wider) for at in range(count)]
    starts = np.cumsum([0, *widths]).tolist()
    return tuple(Chunk(start, size) for start, size in zip(starts, widths, strict=False))


def thresholds_of(radius: int, count: int) -> tuple[int, ...]:
    """How many bits each chunk may differ in; -1 for a chunk that need not be searched.

    The smaller thresholds come first, since the wider chunks do and each of their bits costs more.
    """
    least, more = divmod(radius - count + 1, count)
    return tuple(max(-1, least + (at >= count - more)) for at in range(count))


@lru_cache(maxsize=256)
def masks_of(bits: int, threshold: int) -> U32:
    """Every way in which at most `threshold` of `bits` bits can be flipped, ascending."""
    flips = range(min(threshold, bits) + 1)
    masks = [sum(1 << bit for bit in chosen) for flip in flips for chosen in combinations(range(bits), flip)]
    made = np.array(sorted(masks), np.uint32)
    made.flags.writeable = False
    return made


def bucket_bits(chunk: Chunk, entries: int) -> int:
    """How many bits of a chunk choose the bucket: about four entries a bucket, at least one bit."""
    return max(1, min(chunk.width, entries.bit_length() - 2))
