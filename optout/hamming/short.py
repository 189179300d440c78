"""An exact index of 64-bit codes: everything within a few bits of a query, and nothing else.

Three tables hold the codes, each rotated so that another chunk is on top, ascending, with the bounds of the
buckets that share their top bits. A query visits the buckets whose chunk is near its own and compares the
whole codes there. The first table is not rotated and holds the code of every entry; the others hold each code
once. What they find is looked up in the first, so entries need no number of their own.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled
from optout.hamming.found import Found, joined
from optout.hamming.plan import bucket_bits, chunks_of, masks_of, thresholds_of
from optout.machine import ones, prefetch

__all__ = ["CHUNKS", "ShortIndex", "fault", "make_index", "offset_counts", "search"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

CHUNKS = chunks_of(64, 3)
#: Queries searched before their results are put in order.
BLOCK = 4096


class ShortIndex(NamedTuple):
    """Entries and tables, mapped from files or in memory.

    Attributes:
        code: uint64[n], of every entry, ascending.
        turned: for each chunk but the first uint64[d], the distinct codes rotated left by the chunk's start,
            ascending.
        offsets: for each chunk uint32[2**bits + 1], where the codes begin whose top bits are the index.
    """

    code: U64
    turned: tuple[U64, ...]
    offsets: tuple[U32, ...]

    @property
    def tables(self) -> tuple[U64, ...]:
        """The codes of every table."""
        return (self.code, *self.turned)


def make_index(code: U64) -> ShortIndex:
    """Index n entries whose codes ascend; an entry's number is its place among them."""
    first = np.ones(len(code), np.bool_)
    first[1:] = code[1:] != code[:-1]
    distinct = code[first]
    turned = tuple(np.sort(rotated(distinct, chunk.start)) for chunk in CHUNKS[1:])
    bits = [bucket_bits(chunk, len(distinct)) for chunk in CHUNKS]
    offsets = tuple(_bounds(table, b) for table, b in zip((code, *turned), bits, strict=True))
    return ShortIndex(code, turned, offsets)


def offset_counts(distinct: int) -> list[int]:
    """How many offsets each table of an index of so many distinct codes has."""
    return [(1 << bucket_bits(chunk, distinct)) + 1 for chunk in CHUNKS]


def rotated(code: U64, by: int) -> U64:
    """The codes rotated left."""
    return (code << np.uint64(by)) | (code >> np.uint64(64 - by)) if by else code


def _bounds(table: U64, bits: int) -> U32:
    offsets = np.zeros((1 << bits) + 1, np.uint32)
    _count(table, np.uint64(64 - bits), offsets)
    return offsets


@compiled
def _count(table: U64, shift: np.uint64, offsets: U32) -> None:
    for code in table:
        offsets[(code >> shift) + np.uint64(1)] += np.uint32(1)
    for b in range(1, offsets.shape[0]):
        offsets[b] += offsets[b - 1]


def search(index: ShortIndex, queries: U64, radius: int) -> Found:
    """All entries within `radius` bits of each query, exactly.

    Args:
        index: what is searched.
        queries: uint64[q].
        radius: 0 to 64; work grows steeply with it (8 is what the tables are laid out for).
    """
    queries = np.ascontiguousarray(queries)
    blocks = range(0, len(queries), BLOCK)
    return joined([_search_block(index, queries[first : first + BLOCK], first, radius) for first in blocks])


def _search_block(index: ShortIndex, queries: U64, first: int, radius: int) -> Found:
    bits = [(len(offsets) - 1).bit_length() - 1 for offsets in index.offsets]
    limits = thresholds_of(radius, len(CHUNKS))
    tops = [_top(chunk.start, b) for chunk, b in zip(CHUNKS, bits, strict=True)]
    found = []
    for at, table in enumerate(index.tables):
        if limits[at] >= 0:
            masks, earlier = masks_of(bits[at], limits[at]), np.array(tops[:at], np.uint64)
            turn = CHUNKS[at].start
            found.append(
                _near(queries, table, index.offsets[at], masks, turn, radius, earlier, np.array(limits[:at]))
            )
    query, code, distance = (np.concatenate(column) for column in zip(*found, strict=True))
    return _entries(index, query, code, distance).in_order(first)


def _top(start: int, bits: int) -> int:
    """The top `bits` bits of the chunk that begins at `start`."""
    return ((1 << bits) - 1) << (64 - bits - start)


def _near(queries: U64, *table: Any) -> tuple[U32, U64, U8]:
    """Query, code and distance of what one table finds and no earlier one does."""
    room = 64 + len(queries)
    while True:
        query, code, distance = np.empty(room, np.uint32), np.empty(room, np.uint64), np.empty(room, np.uint8)
        hits: Any = _visit(queries, *table, query, code, distance)
        if hits <= room:
            return query[:hits], code[:hits], distance[:hits]
        room = int(hits)


@compiled
def _visit(
    queries: U64,
    table: U64,
    offsets: U32,
    masks: U32,
    turn: int,
    radius: int,
    tops: U64,
    limits: npt.NDArray[np.int64],
    query: U32,
    code: U64,
    distance: U8,
) -> int:
    """Returns how many hits there are, and writes those that fit.

    For each query three passes over its buckets: which, where they begin and end, what is in them. Each asks
    for what the next one reads, so that many cache misses are under way at once.
    """
    count = masks.shape[0]
    starts, ends = np.empty(count, np.uint32), np.empty(count, np.uint32)
    size, room, hits = np.uint32(table.shape[0]), query.shape[0], 0
    left, right = np.uint64(turn), np.uint64((64 - turn) & 63)
    shift = np.uint64(64)
    while np.uint64(offsets.shape[0] - 1) >> (np.uint64(64) - shift) > 1:
        shift -= np.uint64(1)
    most = np.uint64(radius)
    for i in range(queries.shape[0]):
        wanted = queries[i]
        if turn:
            wanted = (wanted << left) | (wanted >> right)
        home = wanted >> shift
        for j in range(count):
            prefetch(offsets, home ^ np.uint64(masks[j]))
        for j in range(count):
            bucket = home ^ np.uint64(masks[j])
            starts[j] = offsets[bucket]
            # An unverified file must not lead out of the table.
            ends[j] = min(offsets[bucket + np.uint64(1)], size)
            prefetch(table, np.uint64(min(starts[j], size - np.uint32(1))))
        for j in range(count):
            for at in range(starts[j], ends[j]):
                apart = table[at] ^ wanted
                bits = ones(apart)
                if bits <= most and (at == 0 or table[at] != table[at - 1]):
                    apart = (apart >> left) | (apart << right) if turn else apart
                    fresh = True
                    for k in range(tops.shape[0]):
                        fresh = fresh and np.int64(ones(apart & tops[k])) > limits[k]
                    if fresh:
                        if hits < room:
                            query[hits] = i
                            code[hits] = queries[i] ^ apart
                            distance[hits] = bits
                        hits += 1
    return hits


def _entries(index: ShortIndex, query: U32, code: U64, distance: U8) -> Found:
    """The entries that have the codes found: one row for each of them."""
    first, last = np.searchsorted(index.code, code, "left"), np.searchsorted(index.code, code, "right")
    counts = last - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    entry = (np.repeat(first, counts) + within).astype(np.uint32)
    return Found(np.repeat(query, counts), entry, np.repeat(distance, counts))


_FAULTS = (
    "",
    "entries out of order",
    "a table of other codes",
    "buckets that do not fit",
    "entries outside their bucket",
)


def fault(index: ShortIndex) -> str:
    """What is wrong with the order of an index; empty when nothing is."""
    held = _fingerprint(index.code, np.uint64(0))
    for table, offsets, chunk in zip(index.tables, index.offsets, CHUNKS, strict=True):
        distinct = bool(chunk.start)
        if distinct and _fingerprint(table, np.uint64(chunk.start)) != held:
            return _FAULTS[2]
        found = int(_fault(table, offsets, distinct, np.uint64(64 - (len(offsets) - 1).bit_length() + 1)))
        if found:
            return _FAULTS[found]
    return ""


@compiled
def _fingerprint(table: U64, turn: np.uint64) -> tuple[int, np.uint64]:
    """How many distinct codes a table holds, and a sum over them that another set of codes would not have."""
    count, total = 0, np.uint64(0)
    for i in range(table.shape[0]):
        if i and table[i] == table[i - 1]:
            continue
        mixed = table[i]
        if turn:
            mixed = (mixed >> turn) | (mixed << (np.uint64(64) - turn))
        mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
        total += (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xC2B2AE3D27D4EB4F)
        count += 1
    return count, total


@compiled
def _fault(table: U64, offsets: U32, distinct: bool, shift: np.uint64) -> int:
    """Index into `_FAULTS`; one pass, nothing copied."""
    size = np.uint32(table.shape[0])
    if offsets[0] != 0 or offsets[offsets.shape[0] - 1] != size:
        return 3
    for b in range(offsets.shape[0] - 1):
        if offsets[b] > offsets[b + 1] or offsets[b + 1] > size:
            return 3
        for i in range(offsets[b], offsets[b + 1]):
            if table[i] >> shift != np.uint64(b):
                return 4
            if i > 0 and (table[i] < table[i - 1] or (distinct and table[i] == table[i - 1])):
                return 1
    return 0
