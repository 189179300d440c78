"""Locator tables: sorted entries with bucket offsets, and the kernels that order and search them.

An entry is a 64-bit key, for some kinds a 32-bit check, and the claim it belongs to. Entries are sorted by
(key, check, claim). `offsets[b]` is where the entries begin whose key has `b` in its top `bits` bits; keys
are keyed hashes and spread evenly, so a bucket holds two to four entries and a search is two cache misses.
"""

# mypy: disable-error-code="import-untyped,no-untyped-call"

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils

from optout.compiled import compiled, inline_code
from optout.machine import prefetch

__all__ = ["Entries", "LocatorTable", "bucket_bits", "fault", "find", "make_table"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_INT, _LONG = ir.IntType(32), ir.IntType(64)
INSERTION_LIMIT = 48
BLOCK = 256
#: Entries of a bucket that are compared at once; few buckets hold more.
AT_ONCE = 8


class Entries(NamedTuple):
    """Unsorted entries of one kind: key uint64[n], check uint32[n] or None, claim uint32[n]."""

    key: U64
    check: U32 | None
    claim: U32


class LocatorTable(NamedTuple):
    """Sorted, distinct entries of one kind: columns as in `Entries`, and offsets uint32[2**bits + 1]."""

    key: U64
    check: U32 | None
    claim: U32
    offsets: U32

    @property
    def bits(self) -> int:
        return (len(self.offsets) - 1).bit_length() - 1


def bucket_bits(count: int) -> int:
    """How many top bits of the key choose the bucket: two to four entries a bucket, at least one bit."""
    return max(1, (count - 1).bit_length() - 2) if count > 1 else 1


def make_table(entries: Entries) -> LocatorTable:
    """Sort `entries`, leave out those that are there twice, and index them.

    Memory: as much again as the entries take. The order of the entries given does not matter.
    """
    bits = bucket_bits(len(entries.key))
    offsets = np.zeros((1 << bits) + 1, np.uint32)
    check = entries.check if entries.check is not None else np.empty(0, np.uint32)
    key, checks, claim = _scatter(entries.key, check, entries.claim, np.uint64(64 - bits), offsets)
    kept = _sort_buckets(key, checks, claim, offsets)
    if kept < 0:
        key, checks, claim, kept = _sort_whole(key, checks, claim)
        bits = 0
    key = key[:kept]
    if bits != bucket_bits(kept):
        # The number of buckets must tell nothing of entries that were given twice.
        offsets = _index(key, bucket_bits(kept))
    return LocatorTable(key, checks[:kept] if entries.check is not None else None, claim[:kept], offsets)


@compiled
def _scatter(key: U64, check: U32, claim: U32, shift: np.uint64, offsets: U32) -> tuple[U64, U32, U32]:
    """Put every entry into its bucket (one counting pass, one moving pass) and fill `offsets`."""
    for k in key:
        offsets[(k >> shift) + np.uint64(1)] += np.uint32(1)
    for b in range(1, offsets.shape[0]):
        offsets[b] += offsets[b - 1]
    place = offsets[:-1].copy()
    to_key, to_check, to_claim = np.empty_like(key), np.empty_like(check), np.empty_like(claim)
    for i in range(key.shape[0]):
        bucket = key[i] >> shift
        at = place[bucket]
        place[bucket] = at + np.uint32(1)
        to_key[at] = key[i]
        to_claim[at] = claim[i]
        if check.shape[0]:
            to_check[at] = check[i]
    return to_key, to_check, to_claim


@compiled
def _sort_buckets(key: U64, check: U32, claim: U32, offsets: U32) -> int:
    """Sort within each bucket and close the gaps that repeated entries leave; -1: a bucket is too large."""
    for b in range(offsets.shape[0] - 1):
        if offsets[b + 1] - offsets[b] > INSERTION_LIMIT:
            return -1
    checked = check.shape[0] > 0
    kept = 0
    start = np.int64(0)
    for b in range(offsets.shape[0] - 1):
        end = np.int64(offsets[b + 1])
        offsets[b] = kept
        first = kept
        for i in range(start, end):
            k, c, m = key[i], check[i] if checked else np.uint32(0), claim[i]
            at = kept
            while at > first:
                left = check[at - 1] if checked else np.uint32(0)
                if (key[at - 1], left, claim[at - 1]) <= (k, c, m):
                    break
                at -= 1
            if at > first and key[at - 1] == k and claim[at - 1] == m and (not checked or check[at - 1] == c):
                continue
            for j in range(kept, at, -1):
                key[j], claim[j] = key[j - 1], claim[j - 1]
                if checked:
                    check[j] = check[j - 1]
            key[at], claim[at] = k, m
            if checked:
                check[at] = c
            kept += 1
        start = end
    offsets[offsets.shape[0] - 1] = kept
    return kept


def _sort_whole(key: U64, check: U32, claim: U32) -> tuple[U64, U32, U32, int]:
    """The slow way, for tables where thousands of selectors share one key (all sizes of one picture)."""
    order = np.lexsort((claim, check, key) if len(check) else (claim, key))
    key, claim = key[order], claim[order]
    check = check[order] if len(check) else check
    fresh = np.ones(len(key), np.bool_)
    fresh[1:] = (key[1:] != key[:-1]) | (claim[1:] != claim[:-1])
    if len(check):
        fresh[1:] |= check[1:] != check[:-1]
    return key[fresh], check[fresh] if len(check) else check, claim[fresh], int(np.count_nonzero(fresh))


def _index(key: U64, bits: int) -> U32:
    bounds = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    return np.append(np.searchsorted(key, bounds), len(key)).astype(np.uint32)


@inline_code
def _same_keys(typingctx: Any, table: Any, start: Any, key: Any) -> Any:
    """Bits of those of the eight entries from `start` on that have this key, that of the first lowest."""
    vector = ir.VectorType(_LONG, AT_ONCE)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        struct = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        place = builder.bitcast(builder.gep(struct.data, [args[1]]), vector.as_pointer())
        entries = builder.load(place)
        entries.align = 8
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), args[2], ir.Constant(_INT, 0))
        lanes = ir.Constant(ir.VectorType(_INT, AT_ONCE), [0] * AT_ONCE)
        found = builder.icmp_unsigned("==", entries, builder.shuffle_vector(first, first, lanes))
        return builder.zext(builder.bitcast(found, ir.IntType(AT_ONCE)), _INT)

    return types.uint32(table, types.uint32, types.uint64), codegen


@compiled
def _find(
    kinds: U8, wanted: int, keys: U64, table: U64, offsets: U32, shift: np.uint64, probe: U32, entry: U32
) -> int:
    """Search the probes of kind `wanted`; returns how many hits there are, and writes those that fit.

    Three passes over a block of probes: which buckets, where they begin and end, what is in them. Each asks
    for what the next one reads, so many cache misses are under way at once. Eight entries are compared
    whether the bucket has as many or not: what follows it has other top bits and cannot be taken for it, and
    a branch is then only taken where something is found.
    """
    which, starts, ends = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
    size, room, hits, i = np.uint32(table.shape[0]), probe.shape[0], 0, 0
    last = np.uint32(max(table.shape[0], AT_ONCE) - AT_ONCE)
    while i < keys.shape[0]:
        filled = 0
        while i < keys.shape[0] and filled < BLOCK:
            which[filled] = i
            wants = kinds[i] == wanted
            if wants:
                prefetch(offsets, keys[i] >> shift)
            filled += wants
            i += 1
        for j in range(filled):
            bucket = keys[which[j]] >> shift
            starts[j] = offsets[bucket]
            # An unverified file must not lead out of the table.
            ends[j] = min(offsets[bucket + np.uint64(1)], size)
            prefetch(table, np.uint64(min(starts[j], size - np.uint32(1))))
            prefetch(table, np.uint64(min(starts[j] + np.uint32(AT_ONCE - 1), size - np.uint32(1))))
        for j in range(filled):
            key = keys[which[j]]
            at_once = starts[j] <= last and ends[j] - starts[j] <= AT_ONCE and size >= AT_ONCE
            if at_once and not _same_keys(table, starts[j], key):
                continue
            for at in range(starts[j], ends[j]):
                if table[at] == key:
                    if hits < room:
                        probe[hits] = which[j]
                        entry[hits] = at
                    hits += 1
    return hits


def find(kinds: U8, wanted: int, keys: U64, table: LocatorTable) -> tuple[U32, U32]:
    """Where the probes of kind `wanted` meet entries of `table`.

    Args:
        kinds: uint8[n], the kind of each probe.
        wanted: the kind this table is for.
        keys: uint64[n].
        table: the entries of that kind.

    Returns:
        probe uint32[m] and entry uint32[m]: indices into the probes, ascending, and into the table.
    """
    room = 64 + len(keys) // 8
    while True:
        probe, entry = np.empty(room, np.uint32), np.empty(room, np.uint32)
        shift = np.uint64(64 - table.bits)
        hits: Any = _find(kinds, wanted, keys, table.key, table.offsets, shift, probe, entry)
        if hits <= room:
            return probe[:hits], entry[:hits]
        room = int(hits)


_FAULTS = ("", "a claim that does not exist", "entries out of order", "entries outside their bucket")


def fault(table: LocatorTable, claims: int) -> str:
    """What is wrong with a table of a segment of `claims` claims; empty when nothing is."""
    check = table.check if table.check is not None else _NO_CHECK
    return _FAULTS[_fault(table.key, check, table.claim, table.offsets, np.uint64(64 - table.bits), claims)]


_NO_CHECK = np.empty(0, np.uint32)
_NO_CHECK.flags.writeable = False


@compiled
def _fault(key: U64, check: U32, claim: U32, offsets: U32, shift: np.uint64, claims: int) -> int:
    """Index into `_FAULTS`; one pass, nothing copied."""
    checked = check.shape[0] > 0
    size = np.uint32(key.shape[0])
    for b in range(offsets.shape[0] - 1):
        if offsets[b] > offsets[b + 1] or offsets[b + 1] > size:
            return 3
        for i in range(offsets[b], offsets[b + 1]):
            if claim[i] >= claims:
                return 1
            if key[i] >> shift != np.uint64(b):
                return 3
            if i > 0:
                before = (key[i - 1], check[i - 1] if checked else np.uint32(0), claim[i - 1])
                if before >= (key[i], check[i] if checked else np.uint32(0), claim[i]):
                    return 2
    return 0
