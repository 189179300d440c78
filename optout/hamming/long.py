"""An exact index of 256-bit codes, and a scan for radii that an index does not help with.

The codes are held once. For each of eleven chunks a table lists the entries by that chunk's bits, with the
bounds of the buckets; a query visits the buckets whose chunk is near its own, and compares the codes there.
An entry's number leaves some bits of its 32 free: they hold the chunk's next bits, so that what is in a
bucket without being near need not be looked at, which would be a cache miss each.
"""

from math import comb
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled, inlined
from optout.hamming.found import Found, joined
from optout.hamming.plan import Chunk, chunks_of, masks_of, thresholds_of
from optout.machine import ones, prefetch

__all__ = ["CHUNKS", "LongIndex", "fault", "is_worth_visiting", "make_index", "offset_counts", "search"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

CHUNKS = chunks_of(256, 11)
#: How many codes are compared one after the other in the time that one look at a bucket or its code takes.
LOOK = 6
#: Queries searched before their results are put in order.
BLOCK = 2048
#: Codes compared with all queries of a block while they are in the nearest cache.
STRIDE = 512
#: Candidates of one query that are fetched before the first is compared.
WAITING = 1 << 12
#: Bits of a chunk that an entry carries beside its number at most.
MOST_CARRIED = 4


class LongIndex(NamedTuple):
    """Codes and tables, mapped from files or in memory.

    Attributes:
        code: uint64[n, 4], in any order.
        entries: for each chunk uint32[n], the entries ascending by the chunk's top bits, then by number; the
            highest bits of each are the chunk's next ones (`_carried`).
        offsets: for each chunk uint32[2**bits + 1], where the entries begin whose top bits are the index.
    """

    code: U64
    entries: tuple[U32, ...]
    offsets: tuple[U32, ...]


def make_index(code: U64) -> LongIndex:
    """Index n codes uint64[n, 4]; an entry's number is its place among them."""
    code, count = _aligned(code), len(code)
    made = [_table(code, chunk.start, _bits(chunk, count), _carried(chunk, count)) for chunk in CHUNKS]
    return LongIndex(code, tuple(entries for entries, _ in made), tuple(offsets for _, offsets in made))


def _aligned(code: U64) -> U64:
    """The codes at an address that makes each lie in one cache line, as mapped files have them.

    Where half of them lie in two, a search takes 1.7 times as long.
    """
    if code.ctypes.data % 32 == 0 and code.flags.c_contiguous:
        return code
    room = np.empty(code.size + 4, np.uint64)
    start = (-room.ctypes.data // 8) % 4
    moved = room[start : start + code.size].reshape(code.shape)
    moved[:] = code
    return moved


def offset_counts(count: int) -> list[int]:
    """How many offsets each table of an index of so many codes has."""
    return [(1 << _bits(chunk, count)) + 1 for chunk in CHUNKS]


def _bits(chunk: Chunk, count: int) -> int:
    """How many bits of a chunk choose the bucket: one or two entries a bucket, at least one bit."""
    return max(1, min(chunk.width, count.bit_length() - 1))


def _carried(chunk: Chunk, count: int) -> int:
    """How many of the chunk's further bits an entry carries: as many as there are, and there is room for."""
    return min(MOST_CARRIED, chunk.width - _bits(chunk, count), 32 - count.bit_length())


@compiled
def _table(code: U64, start: int, bits: int, carried: int) -> tuple[U32, U32]:
    offsets = np.zeros((1 << bits) + 1, np.uint32)
    for i in range(code.shape[0]):
        offsets[_bits_at(code, i, start, bits) + np.uint64(1)] += np.uint32(1)
    for b in range(1, offsets.shape[0]):
        offsets[b] += offsets[b - 1]
    place = offsets[:-1].copy()
    entries = np.empty(code.shape[0], np.uint32)
    for i in range(code.shape[0]):
        bucket = _bits_at(code, i, start, bits)
        entries[place[bucket]] = i | (_carried_at(code, i, start, bits, carried) << (32 - carried))
        place[bucket] += np.uint32(1)
    return entries, offsets


@inlined
def _bits_at(code: U64, i: int, start: int, bits: int) -> np.uint64:
    """`bits` bits of code `i` from the one at `start` on; the highest of the first word is at 0."""
    word, off = start >> 6, np.uint64(start & 63)
    found = code[i, word] << off
    if off and word < 3:
        found |= code[i, word + 1] >> (np.uint64(64) - off)
    return np.uint64(found >> np.uint64(64 - bits))


@inlined
def _carried_at(code: U64, i: int, start: int, bits: int, carried: int) -> np.uint32:
    """The `carried` bits of code `i` that follow the `bits` from the one at `start` on."""
    return np.uint32(
        _bits_at(code, i, start, bits + carried) & ((np.uint64(1) << np.uint64(carried)) - np.uint64(1))
    )


def search(index: LongIndex, queries: U64, radius: int) -> Found:
    """All entries within `radius` bits of each query, exactly.

    Args:
        index: what is searched.
        queries: uint64[q, 4].
        radius: 0 to 256; where it is so wide that the tables do not help, and of an index without tables,
            every code is compared.
    """
    queries = np.ascontiguousarray(queries)
    blocks = range(0, len(queries), BLOCK)
    parts = [_search_block(index, queries[first : first + BLOCK], first, radius) for first in blocks]
    return joined(parts)


def is_worth_visiting(count: int, radius: int) -> bool:
    """Whether visiting the buckets near a query is less work than comparing it with `count` codes."""
    looks = 0.0
    for chunk, limit in zip(CHUNKS, thresholds_of(radius, len(CHUNKS)), strict=True):
        bits = _bits(chunk, count)
        buckets = sum(comb(bits, flips) for flips in range(min(limit, bits) + 1))
        looks += buckets * (1 + count / 2**bits)
    return looks * LOOK < count


def _search_block(index: LongIndex, queries: U64, first: int, radius: int) -> Found:
    if not index.entries or not is_worth_visiting(len(index.code), radius):
        return _near(queries, index.code, radius).in_order(first)
    return _visited(index, queries, radius).in_order(first)


def _visited(index: LongIndex, queries: U64, radius: int) -> Found:
    bits = [_bits(chunk, len(index.code)) for chunk in CHUNKS]
    limits = thresholds_of(radius, len(CHUNKS))
    carried = [_carried(chunk, len(index.code)) for chunk in CHUNKS]
    plan = np.array([[chunk.start for chunk in CHUNKS], bits, carried, limits], np.int64).T.copy()
    found = []
    for at, (entries, offsets) in enumerate(zip(index.entries, index.offsets, strict=True)):
        if limits[at] >= 0:
            masks = masks_of(bits[at], limits[at])
            found.append(_near(queries, index.code, entries, offsets, masks, radius, plan[: at + 1]))
    return joined(found)


def _near(queries: U64, code: U64, *table: Any) -> Found:
    """What one table finds and no earlier one does; with no table what a scan finds."""
    room = 64 + len(queries)
    while True:
        found = Found.empty(room)
        hits: Any = (_visit if len(table) > 1 else _scan)(queries, code, *table, *found)
        if hits <= room:
            return Found(found.query[:hits], found.entry[:hits], found.distance[:hits])
        room = int(hits)


@compiled
def _visit(
    queries: U64,
    code: U64,
    entries: U32,
    offsets: U32,
    masks: U32,
    radius: int,
    plan: I64,
    query: U32,
    entry: U32,
    distance: U8,
) -> int:
    """Returns how many hits there are, and writes those that fit.

    Four passes a query: which buckets, where they begin and end, which entries are there, and how far their
    codes are. Each asks for what the next one reads. `plan` int64[k, 4] has start, bits of the bucket, bits
    carried and threshold of the chunks up to the table's own.
    """
    count, size, hits = masks.shape[0], np.uint32(code.shape[0]), 0
    begins, ends = np.empty(count, np.uint32), np.empty(count, np.uint32)
    waiting = np.empty(WAITING, np.uint32)
    start, bits, carried, limit = plan[-1, 0], plan[-1, 1], plan[-1, 2], plan[-1, 3]
    shift, number = np.uint64(32 - carried), np.uint32((1 << (32 - carried)) - 1)
    for i in range(queries.shape[0]):
        home, further = _bits_at(queries, i, start, bits), _carried_at(queries, i, start, bits, carried)
        for j in range(count):
            prefetch(offsets, home ^ np.uint64(masks[j]))
        for j in range(count):
            bucket = home ^ np.uint64(masks[j])
            begins[j] = offsets[bucket]
            # An unverified file must not lead out of the table.
            ends[j] = min(offsets[bucket + np.uint64(1)], size)
            prefetch(entries, np.uint64(min(begins[j], size - np.uint32(1))))
        filled = 0
        for j in range(count):
            left = limit - np.int64(ones(np.uint64(masks[j])))
            for at in range(begins[j], ends[j]):
                if filled == WAITING:
                    hits = _compare(queries, i, code, waiting, radius, plan, query, entry, distance, hits)
                    filled = 0
                # Written whether it is wanted or not: a branch would be taken as often as not.
                waiting[filled] = min(entries[at] & number, size - np.uint32(1))
                filled += np.int64(ones((np.uint64(entries[at]) >> shift) ^ further)) <= left
        hits = _compare(queries, i, code, waiting[:filled], radius, plan, query, entry, distance, hits)
    return hits


@compiled
def _compare(
    queries: U64,
    i: int,
    code: U64,
    waiting: U32,
    radius: int,
    plan: I64,
    query: U32,
    entry: U32,
    distance: U8,
    hits: int,
) -> int:
    """Compare query `i` with the entries that wait; returns how many hits there are by now."""
    most, room = np.uint64(radius), query.shape[0]
    for at in waiting:
        prefetch(code, np.uint64(at) << np.uint64(2))
    a, b, c, d = queries[i, 0], queries[i, 1], queries[i, 2], queries[i, 3]
    for at in waiting:
        apart = ones(code[at, 0] ^ a) + ones(code[at, 1] ^ b) + ones(code[at, 2] ^ c) + ones(code[at, 3] ^ d)
        if apart <= most and _fresh(queries, i, code, at, plan):
            if hits < room:
                query[hits] = i
                entry[hits] = at
                distance[hits] = apart
            hits += 1
    return hits


@compiled
def _fresh(queries: U64, i: int, code: U64, at: int, plan: I64) -> bool:
    """Whether no table before the last of `plan` finds the entry."""
    for k in range(plan.shape[0] - 1):
        start, bits = plan[k, 0], plan[k, 1] + plan[k, 2]
        apart = _bits_at(queries, i, start, bits) ^ _bits_at(code, at, start, bits)
        if np.int64(ones(apart)) <= plan[k, 3]:
            return False
    return True


@compiled
def _scan(queries: U64, code: U64, radius: int, query: U32, entry: U32, distance: U8) -> int:
    """Compare everything with everything, a stretch of codes at a time."""
    most, room, hits = np.uint64(radius), query.shape[0], 0
    for first in range(0, code.shape[0], STRIDE):
        last = min(first + STRIDE, code.shape[0])
        for i in range(queries.shape[0]):
            a, b, c, d = queries[i, 0], queries[i, 1], queries[i, 2], queries[i, 3]
            for at in range(first, last):
                apart = ones(code[at, 0] ^ a) + ones(code[at, 1] ^ b)
                apart += ones(code[at, 2] ^ c) + ones(code[at, 3] ^ d)
                if apart <= most:
                    if hits < room:
                        query[hits] = i
                        entry[hits] = at
                        distance[hits] = apart
                    hits += 1
    return hits


_FAULTS = ("", "buckets that do not fit", "an entry that does not exist", "entries outside their bucket")


def fault(index: LongIndex) -> str:
    """What is wrong with the tables of an index; empty when nothing is."""
    for entries, offsets, chunk in zip(index.entries, index.offsets, CHUNKS, strict=True):
        bits, carried = _bits(chunk, len(index.code)), _carried(chunk, len(index.code))
        found = int(_fault(index.code, entries, offsets, chunk.start, bits, carried))
        if found:
            return _FAULTS[found]
    return ""


@compiled
def _fault(code: U64, entries: U32, offsets: U32, start: int, bits: int, carried: int) -> int:
    """Index into `_FAULTS`. Numbers that ascend within the right buckets: every entry is there once."""
    if np.uint32(entries.shape[0]) != code.shape[0] or offsets[offsets.shape[0] - 1] != code.shape[0]:
        return 1
    number = np.uint32((1 << (32 - carried)) - 1)
    for b in range(offsets.shape[0] - 1):
        if offsets[b] > offsets[b + 1] or offsets[b + 1] > code.shape[0]:
            return 1
        for i in range(offsets[b], offsets[b + 1]):
            entry = entries[i] & number
            if entry >= code.shape[0]:
                return 2
            if _bits_at(code, entry, start, bits) != np.uint64(b):
                return 3
            if entries[i] != entry | (_carried_at(code, entry, start, bits, carried) << (32 - carried)):
                return 3
            if i > offsets[b] and entry <= entries[i - 1] & number:
                return 3
    return 0
