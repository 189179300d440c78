"""What a search by Hamming distance finds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Found", "joined"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]


class Found(NamedTuple):
    """What queries met: uint32[m] each, indices into the queries and the entries, and the distance uint8[m].

    What a search returns is ascending by (query, entry).
    """

    query: U32
    entry: U32
    distance: U8

    @classmethod
    def empty(cls, room: int) -> "Found":
        """Arrays to be written to."""
        return cls(np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room, np.uint8))

    def in_order(self, first: int) -> "Found":
        """Ascending by (query, entry); `first` is added to the queries."""
        order = np.lexsort((self.entry, self.query))
        return Found(self.query[order] + np.uint32(first), self.entry[order], self.distance[order])


def joined(parts: Sequence[Found]) -> Found:
    """The parts one after the other."""
    if not parts:
        return Found.empty(0)
    query, entry, distance = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Found(query, entry, distance)
