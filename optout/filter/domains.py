"""Counting the registrable domains of the rows kept, fast enough to do it for every row.

A training-content summary (EU AI Act) names the top domains. The host of each URL is read backwards, label by
label; hashes of its suffixes are looked up in the ICANN part of the public suffix list, and the registrable
domain is counted in an open hash table. Names stay bytes until somebody wants to read the top of the list.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import idna
import numpy as np
import numpy.typing as npt
import publicsuffixlist
import pyarrow as pa

from optout.compiled import compiled
from optout.locators.kernel.memory import load64, pointer

__all__ = ["COUNT_SCHEMA", "DomainCounter", "merge_counts", "top_domains"]

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

#: `key` is a 64-bit hash of the domain, which counts are merged by.
COUNT_SCHEMA = pa.schema([("key", pa.uint64()), ("rows", pa.int64()), ("domain", pa.large_binary())])

_SEED = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_EXACT, _WILD, _EXCEPT = 1, 2, 4

# The two usual schemes as numbers, to step over them at a glance.
_LOWER_CASE = np.uint64(int.from_bytes(b" " * 8, "little"))
_HTTPS = np.uint64(int.from_bytes(b"https://", "little"))
_HTTP = np.uint64(int.from_bytes(b"http://", "little"))
_SEVEN_BYTES = np.uint64((1 << 56) - 1)

# What the bytes of a URL's authority mean: nothing, its end, or that it is more than a host.
_ENDS, _SPECIAL = 1, 2
_CLASS = np.zeros(256, np.uint8)
_CLASS[list(b"/?#\\")] = _ENDS
_CLASS[list(b"@:[")] = _SPECIAL


class DomainCounter:
    """Counts the registrable domains of URLs, batch after batch.

    The public suffix list's private part is left out on purpose: `someone.wordpress.com` counts for
    `wordpress.com`. Addresses in digits count as they stand. Rows are counted by host, as it is spelled;
    only the different hosts are taken apart, at the end.
    """

    def __init__(self) -> None:
        self._hosts = _Tally()

    def add(self, urls: pa.Array, keep: npt.NDArray[np.bool_]) -> None:
        """Count the domains of the rows of `urls` (any text or binary type) where `keep` is set."""
        column = _as_bytes(urls)
        width: Any = np.int64 if pa.types.is_large_binary(column.type) else np.int32
        offsets = np.frombuffer(column.buffers()[1], width)[column.offset :][: len(column) + 1]
        data = np.frombuffer(column.buffers()[2] or b"\0", np.uint8)
        spans, keys = np.empty((len(column), 2), np.int64), np.empty(len(column), np.uint64)
        counted = keep if column.null_count == 0 else np.asarray(column.is_valid()) & keep
        found = _find_hosts(offsets, data, counted, spans, keys)
        self._hosts.add(keys[:found], np.ones(found, np.uint64), data, spans[:found])

    def table(self) -> pa.Table:
        """What was counted: a table of `COUNT_SCHEMA` in no order, each domain once."""
        hosts = self._hosts.table()
        if not hosts.num_rows:
            return hosts
        names = hosts["domain"].combine_chunks()
        offsets = np.frombuffer(names.buffers()[1], np.int64)
        data = np.frombuffer(names.buffers()[2], np.uint8)
        spans, keys = np.empty((len(names), 2), np.int64), np.empty(len(names), np.uint64)
        _find_domains(offsets, data, *_suffix_table(), spans, keys)
        domains = _Tally()
        domains.add(keys, hosts["rows"].to_numpy().astype(np.uint64), data, spans)
        return domains.table()


class _Tally:
    """Sums by key in an open hash table; remembers the text of each key's first occurrence."""

    def __init__(self) -> None:
        # Key and sum lie side by side, so that counting touches one line of the cache.
        self._table = np.zeros((1 << 14, 2), np.uint64)
        self._names: list[pa.Array] = []
        self._keys: list[U64] = []
        self._used = 0

    def add(self, keys: U64, weights: U64, data: npt.NDArray[np.uint8], spans: I64) -> None:
        """Add `weights` under `keys`; `spans` of `data` are what the keys stand for."""
        self._reserve(len(keys))
        fresh = np.empty(len(keys), np.int64)
        found = _add_weights(self._table, keys, weights, fresh)
        if found:
            self._used += found
            self._keys.append(keys[fresh[:found]])
            self._names.append(_cut(data, spans[fresh[:found]]))

    def _reserve(self, rows: int) -> None:
        """Room for as many new keys as there are rows, at most half full."""
        size = len(self._table)
        while size < 2 * (self._used + rows):
            size *= 2
        if size > len(self._table):
            larger = np.zeros((size, 2), np.uint64)
            _rehash(self._table, larger)
            self._table = larger

    def table(self) -> pa.Table:
        """A table of `COUNT_SCHEMA`."""
        if not self._names:
            return COUNT_SCHEMA.empty_table()
        keys = np.concatenate(self._keys)
        names = pa.chunked_array(self._names).combine_chunks()
        return pa.table([pa.array(keys), pa.array(_look_up(keys, self._table)), names], schema=COUNT_SCHEMA)


def merge_counts(tables: Iterable[pa.Table]) -> pa.Table:
    """One table of `COUNT_SCHEMA`, each domain once, out of several such tables."""
    merged = COUNT_SCHEMA.empty_table()
    for table in tables:
        joined = pa.concat_tables([merged, table])
        keys, first, place = np.unique(joined["key"].to_numpy(), return_index=True, return_inverse=True)
        # Whole numbers up to 2**53 are exact in the weights' floats: more rows than anyone has.
        rows = np.bincount(place, joined["rows"].to_numpy(), len(keys)).astype(np.int64)
        names = joined["domain"].take(pa.array(first)).combine_chunks()
        merged = pa.table([pa.array(keys), pa.array(rows), names], schema=COUNT_SCHEMA)
    return merged


def top_domains(counts: pa.Table, most: int) -> list[tuple[str, int]]:
    """The `most` domains with most rows, and their rows; ties by name."""
    rows = counts["rows"].to_numpy()
    # Two spellings of a name (IDN) merge here, so a few more than asked for are looked at.
    enough = np.sort(rows)[::-1][: most + 100]
    at_least = enough[-1] if len(enough) else 0
    total: dict[str, int] = {}
    for index in np.flatnonzero(rows >= at_least):
        name = _in_punycode(counts["domain"][int(index)].as_py().decode("utf-8", "replace"))
        total[name] = total.get(name, 0) + int(rows[index])
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))[:most]


def _as_bytes(urls: pa.Array) -> pa.Array:
    """Binary or large binary, dictionaries expanded: what the kernel reads."""
    if pa.types.is_dictionary(urls.type):
        urls = urls.dictionary_decode()
    narrow = pa.types.is_string(urls.type) or pa.types.is_binary(urls.type)
    return urls.cast(pa.binary() if narrow else pa.large_binary())


def _cut(data: npt.NDArray[np.uint8], spans: I64) -> pa.Array:
    """The bytes at `spans` (first and end byte) as an array of large binary, ASCII in lower case."""
    offsets = np.zeros(len(spans) + 1, np.int64)
    np.cumsum(spans[:, 1] - spans[:, 0], out=offsets[1:])
    texts = np.empty(offsets[-1], np.uint8)
    _copy_lower(data, spans, offsets, texts)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(texts)]
    return pa.Array.from_buffers(pa.large_binary(), len(spans), buffers)


def _in_punycode(domain: str) -> str:
    """Lower case, and one spelling for names outside ASCII; what is no name stays as it is."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain.lower()


@cache
def _suffix_table() -> tuple[U64, npt.NDArray[np.uint8]]:
    """Hash table of public suffixes: keys, and for each a mask of rules (exact, wildcard, exception)."""
    rules: dict[int, int] = {}
    for line in Path(publicsuffixlist.PSLFILE).read_text(encoding="utf-8").splitlines():
        rule = line.split("//")[0].strip()
        if "END ICANN" in line:
            break
        if not rule:
            continue
        flag = _WILD if rule.startswith("*.") else _EXCEPT if rule.startswith("!") else _EXACT
        rule = rule.removeprefix("*.").removeprefix("!")
        for spelling in {rule.encode(), rule.encode("idna")}:
            key = int(_hash_backwards(np.frombuffer(spelling, np.uint8)))
            rules[key] = rules.get(key, 0) | flag
    size = 1 << (4 * len(rules)).bit_length()
    keys, flags = np.zeros(size, np.uint64), np.zeros(size, np.uint8)
    for key, flag in rules.items():
        slot = int(_slot_of(np.uint64(key), keys))
        keys[slot], flags[slot] = key, flag
    return keys, flags


@compiled
def _lower(byte: np.uint8) -> np.uint8:
    return byte + np.uint8(32) if 65 <= byte <= 90 else byte


@compiled
def _mix(state: np.uint64, byte: np.uint8) -> np.uint64:
    return (state ^ np.uint64(byte)) * _PRIME


@compiled
def _hash_backwards(text: npt.NDArray[np.uint8]) -> np.uint64:
    state = _SEED
    for at in range(len(text) - 1, -1, -1):
        state = _mix(state, _lower(text[at]))
    return state


@compiled
def _slot_of(key: np.uint64, keys: U64) -> np.int64:
    """Where `key` is in an open hash table, or the free slot where it would go; 0 marks a free slot."""
    mask = np.uint64(len(keys) - 1)
    slot = (key ^ (key >> np.uint64(32))) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@compiled
def _host_span(data: npt.NDArray[np.uint8], first: np.int64, end: np.int64) -> tuple[np.int64, np.int64]:
    """First and end byte of the host in a URL: after `//` and user info, before the port."""
    at: Any = first
    if end - first > 8:
        head = load64(pointer(data), first) | _LOWER_CASE
        if head == _HTTPS:
            at += 6
        elif head & _SEVEN_BYTES == _HTTP:
            at += 5
    while at + 1 < end and not (data[at] == 47 and data[at + 1] == 47):
        at += 1
    start = at + 2 if at + 1 < end else first
    stop, special = start, False
    while stop < end and _CLASS[data[stop]] != _ENDS:
        special = special or _CLASS[data[stop]] == _SPECIAL
        stop += 1
    if not special:
        return start, stop
    for place in range(start, stop):
        if data[place] == 64:  # @
            start = place + 1
    colon = start
    if start < stop and data[start] == 91:  # [
        while colon < stop and data[colon] != 93:  # ]
            colon += 1
        return start, min(colon + 1, stop)
    while colon < stop and data[colon] != 58:
        colon += 1
    return start, colon


@compiled
def _domain_of(
    data: npt.NDArray[np.uint8], first: np.int64, end: np.int64, suffixes: U64, rules: npt.NDArray[np.uint8]
) -> tuple[np.int64, np.int64, np.uint64]:
    """First and end byte and hash of the registrable domain that ends the host `data[first:end]`."""
    while end > first and data[end - 1] == 46:
        end -= 1
    state, parent_wild, pending, label = _SEED, False, False, 0
    start: Any = first
    key = np.uint64(0)
    digits = True
    for at in range(end - 1, first - 2, -1):
        if at >= first and data[at] != 46:
            digits = digits and 48 <= data[at] <= 57
            state = _mix(state, _lower(data[at]))
            continue
        # data[at + 1:end] ends at a label: it is what follows a public suffix, or a longer one, or neither.
        if pending:
            start, key = at + 1, state
        flags = rules[_slot_of(state, suffixes)]
        if flags & _EXCEPT:
            # An exception to a wildcard is registrable itself.
            start, key = at + 1, state
        exact = label == 0 or (flags & _EXACT) != 0
        pending = exact or (parent_wild and (flags & _EXCEPT) == 0)
        parent_wild = (flags & _WILD) != 0
        label += 1
        if at >= first:
            state = _mix(state, np.uint8(46))
    if digits or pending or key == 0:
        return first, end, state
    return start, end, key


@compiled
def _find_hosts(
    offsets: npt.NDArray[np.int32] | I64,
    data: npt.NDArray[np.uint8],
    keep: npt.NDArray[np.bool_],
    spans: I64,
    keys: U64,
) -> int:
    """Byte spans and hashes of the hosts of the rows kept; returns how many rows have one."""
    found = 0
    for row in range(len(keep)):
        if not keep[row]:
            continue
        first, end = _host_span(data, np.int64(offsets[row]), np.int64(offsets[row + 1]))
        if first < end:
            spans[found, 0], spans[found, 1] = first, end
            keys[found] = _hash_span(data, first, end)
            found += 1
    return found


@compiled
def _hash_span(data: npt.NDArray[np.uint8], first: np.int64, end: np.int64) -> np.uint64:
    """A hash of `data[first:end]`, eight bytes at a time; never 0."""
    state = _SEED ^ np.uint64(end - first)
    base, at = pointer(data), first
    while at + 8 <= end:
        state = (state ^ load64(base, at)) * _PRIME
        state ^= state >> np.uint64(29)
        at += 8
    rest = np.uint64(0)
    for place in range(at, end):
        rest = rest << np.uint64(8) | np.uint64(data[place])
    state = (state ^ rest) * _PRIME
    state ^= state >> np.uint64(32)
    return state | np.uint64(state == 0)


@compiled
def _find_domains(
    offsets: I64,
    data: npt.NDArray[np.uint8],
    suffixes: U64,
    rules: npt.NDArray[np.uint8],
    spans: I64,
    keys: U64,
) -> None:
    """Byte spans and hashes of the registrable domains of hosts."""
    for row in range(len(keys)):
        start, end, key = _domain_of(data, offsets[row], offsets[row + 1], suffixes, rules)
        spans[row, 0], spans[row, 1] = start, end
        keys[row] = key | np.uint64(key == 0)


@compiled
def _add_weights(table: U64, keys: U64, weights: U64, fresh: I64) -> int:
    """Add up; the positions of keys that are new go to `fresh`, and their number is returned.

    A loop of nothing but look-ups lets the processor wait for several of them at once.
    """
    found = 0
    mask = np.uint64(len(table) - 1)
    for at in range(len(keys)):
        key = keys[at]
        slot = (key ^ (key >> np.uint64(32))) & mask
        while table[slot, 0] != 0 and table[slot, 0] != key:
            slot = (slot + np.uint64(1)) & mask
        if table[slot, 0] == 0:
            table[slot, 0] = key
            fresh[found] = at
            found += 1
        table[slot, 1] += weights[at]
    return found


@compiled
def _rehash(table: U64, larger: U64) -> None:
    for at in range(len(table)):
        if table[at, 0] != 0:
            slot = _slot_of(table[at, 0], larger[:, 0])
            larger[slot, 0], larger[slot, 1] = table[at, 0], table[at, 1]


@compiled
def _look_up(wanted: U64, table: U64) -> I64:
    found = np.empty(len(wanted), np.int64)
    for at in range(len(wanted)):
        found[at] = table[_slot_of(wanted[at], table[:, 0]), 1]
    return found


@compiled
def _copy_lower(data: npt.NDArray[np.uint8], spans: I64, offsets: I64, texts: npt.NDArray[np.uint8]) -> None:
    for row in range(len(spans)):
        to = offsets[row]
        for at in range(spans[row, 0], spans[row, 1]):
            texts[to] = _lower(data[at])
            to += 1
