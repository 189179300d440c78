"""Locators of whole columns: the answers of the plain functions, compiled, from Arrow buffers."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optout.locators.kernel.arrow import Texts, chunks, texts
from optout.locators.kernel.host import HARD
from optout.locators.kernel.loop import Keys, canonicalise_rows, hash_rows, probe_rows, variant_rows
from optout.locators.kernel.memory import PAD, ROOM
from optout.locators.kernel.packed import packed
from optout.locators.kernel.scratch import new_scratch
from optout.locators.kernel.waiting import new_waiting
from optout.locators.reference import canonical, host_of, host_suffixes, prefixes
from optout.locators.rewrite import origins, variant_key
from optout.locators.siphash import siphash13
from optout.locators.status import InvalidLocator, LocatorStatus
from optout.words import SelectorKind

__all__ = ["Probes", "canonicalise", "hash_strings", "probe_keys", "variant_keys"]

_KINDS = {SelectorKind.URL: 1, SelectorKind.PREFIX: 2, SelectorKind.DOMAIN: 4}


class Probes(NamedTuple):
    """What to look up for the rows of a column; the rows of the probes ascend.

    Within a row come the locator's own probes, then those of each origin; of each the url, the prefixes
    from the shortest, the domains from the longest.
    """

    status: np.ndarray
    """uint8[n]: the LocatorStatus of every row; rows that are not OK have no probes."""
    row: np.ndarray
    """int32[m]: the row that the probe is for."""
    kind: np.ndarray
    """uint8[m]: SelectorKind URL, PREFIX or DOMAIN."""
    level: np.ndarray
    """uint8[m]: 0 the locator itself, 1 and more the origins it wraps."""
    key: np.ndarray
    """uint64[m]: SipHash-1-3 of the variant key, the prefix or the domain."""
    check: np.ndarray
    """uint32[m]: for URL the low half of the hash of the canonical locator; else 0."""


def probe_keys(
    array: pa.Array | pa.ChunkedArray, *, sip_key: bytes, kinds: frozenset[SelectorKind]
) -> Probes:
    """The keys under which claims about the locators of a column are looked up.

    Args:
        array: strings or binaries of any width, views, dictionaries, with nulls, chunked or not.
        sip_key: 16 bytes, the key of the hash.
        kinds: which of URL, PREFIX and DOMAIN to make probes for.

    Raises:
        TypeError: the array holds no strings.
        ValueError: the key has not 16 bytes.
    """
    _key_words(sip_key)
    found = [_probe_chunk(chunk, sip_key, kinds) for chunk in chunks(array)]
    return found[0] if len(found) == 1 else _joined(found)


def _joined(found: list[Probes]) -> Probes:
    """The probes of chunks as those of one column."""
    starts = np.cumsum([0, *(len(probes.status) for probes in found)]).astype(np.int32)
    shifted = [probes._replace(row=probes.row + start) for probes, start in zip(found, starts, strict=False)]
    return Probes(*(np.concatenate(parts) for parts in zip(_room(0, 0), *shifted, strict=True)))


def _probe_chunk(array: pa.Array, sip_key: bytes, kinds: frozenset[SelectorKind]) -> Probes:
    if pa.types.is_dictionary(array.type):
        return _taken(_probe_chunk(array.dictionary, sip_key, kinds), array)
    return _probe_texts(texts(array), sip_key, kinds)


def _room(rows: int, probes: int) -> Probes:
    return Probes(
        np.zeros(rows, np.uint8),
        np.empty(probes, np.int32),
        np.empty(probes, np.uint8),
        np.empty(probes, np.uint8),
        np.empty(probes, np.uint64),
        np.empty(probes, np.uint32),
    )


def _key_words(sip_key: bytes) -> tuple[np.uint64, np.uint64]:
    if len(sip_key) != 16:
        raise ValueError(f"a SipHash key has 16 bytes, not {len(sip_key)}")
    k0, k1 = np.frombuffer(sip_key, "<u8")
    return k0, k1


def _probe_texts(column: Texts, sip_key: bytes, kinds: frozenset[SelectorKind]) -> Probes:
    k0, k1 = _key_words(sip_key)
    asked = sum(_KINDS[kind] for kind in kinds if kind in _KINDS)
    rows = column.rows
    out = _room(rows, int(rows * (1.1 * (asked & 1) + 3.5 * (asked & 2) + 0.8 * (asked & 4))) + 16_384)
    scratch = new_scratch()
    row = at = 0
    while True:
        row, at = probe_rows(packed(), scratch, column, (asked, k0, k1), out.status, Keys(*out[1:]), row, at)
        if row == rows:
            break
        if out.status[row] == HARD:
            at, out = _probe_hard(column, row, sip_key, kinds, out, at)
            row += 1
        else:
            out = _grown(out, 2 * len(out.row))
    return Probes(out.status, *(field[:at] for field in out[1:]))


def _grown(out: Probes, room: int) -> Probes:
    larger = _room(0, room)
    for old, new in zip(out[1:], larger[1:], strict=True):
        new[: len(old)] = old
    return Probes(out.status, *larger[1:])


def _probe_hard(
    column: Texts, row: int, sip_key: bytes, kinds: frozenset[SelectorKind], out: Probes, at: int
) -> tuple[int, Probes]:
    """Probes of one row by the plain implementation, into `out` from `at` on."""
    try:
        chain = _chain(_text(column, row))
    except InvalidLocator as error:
        out.status[row] = error.status
        return at, out
    out.status[row] = LocatorStatus.OK
    found = list(_plain_probes(chain, sip_key, kinds))
    if at + len(found) > len(out.row):
        out = _grown(out, 2 * len(out.row) + len(found))
    for kind, level, key, check in found:
        for field, value in zip(out[1:], (row, kind, level, key, check), strict=True):
            field[at] = value
        at += 1
    return at, out


def _text(column: Texts, row: int) -> bytes:
    return bytes(column.data[column.offsets[row] : column.offsets[row + 1]])


def _chain(text: bytes) -> list[str]:
    locator = canonical(text)
    return [locator, *origins(locator)]


def _plain_probes(
    chain: list[str], sip_key: bytes, kinds: frozenset[SelectorKind]
) -> Iterator[tuple[int, int, int, int]]:
    """Kind, level, key and check of every probe, in the order of the kernel."""
    for level, locator in enumerate(chain):
        if SelectorKind.URL in kinds:
            key = siphash13(variant_key(locator).encode(), sip_key)
            yield SelectorKind.URL, level, key, siphash13(locator.encode(), sip_key) & 0xFFFFFFFF
        if SelectorKind.PREFIX in kinds:
            for prefix in prefixes(locator):
                yield SelectorKind.PREFIX, level, siphash13(prefix.encode(), sip_key), 0
        if SelectorKind.DOMAIN in kinds:
            for host in host_suffixes(host_of(locator)):
                yield SelectorKind.DOMAIN, level, siphash13(host.encode(), sip_key), 0


def _taken(values: Probes, array: pa.DictionaryArray) -> Probes:
    """Probes of a dictionary array from those of its dictionary."""
    indices = array.indices
    codes = np.asarray(pc.fill_null(indices, 0)).astype(np.int64)
    null = ~np.asarray(indices.is_valid())
    if not len(values.status):
        return _room(0, 0)._replace(status=np.full(len(codes), LocatorStatus.NULL, np.uint8))
    status = values.status[codes]
    status[null] = LocatorStatus.NULL
    first = np.searchsorted(values.row, np.arange(len(values.status) + 1))
    counts = np.diff(first)[codes]
    counts[null] = 0
    starts = np.cumsum(counts) - counts
    places = np.arange(counts.sum()) + np.repeat(first[codes] - starts, counts)
    taken = Probes(status, *(field[places] for field in values[1:]))
    return taken._replace(row=np.repeat(np.arange(len(codes), dtype=np.int32), counts))


def canonicalise(array: pa.Array | pa.ChunkedArray) -> tuple[pa.LargeStringArray, np.ndarray]:
    """Canonical locators of a column, null where there is none, and the uint8 LocatorStatus of every row.

    Raises:
        TypeError: the array holds no strings.
    """
    found = [_canonical_chunk(chunk) for chunk in chunks(array)]
    arrays, statuses = [pair[0] for pair in found], [pair[1] for pair in found]
    if len(found) == 1:
        return found[0]
    return (
        pa.concat_arrays(arrays) if found else pa.array([], pa.large_string()),
        np.concatenate(statuses) if found else np.zeros(0, np.uint8),
    )


def _canonical_chunk(array: pa.Array) -> tuple[pa.LargeStringArray, np.ndarray]:
    if pa.types.is_dictionary(array.type):
        values, status = _canonical_chunk(array.dictionary)
        codes = pc.fill_null(array.indices, 0)
        taken = np.full(len(array), LocatorStatus.NULL, np.uint8)
        known = np.asarray(array.indices.is_valid())
        taken[known] = status[np.asarray(codes)[known]]
        return values.take(array.indices), taken
    return _canonical_texts(texts(array))


def _canonical_texts(column: Texts) -> tuple[pa.LargeStringArray, np.ndarray]:
    rows = column.rows
    status, ends = np.zeros(rows, np.uint8), np.zeros(rows + 1, np.int64)
    out = np.empty(int(column.offsets[-1] - column.offsets[0]) + 2 * ROOM, np.uint8)
    scratch = new_scratch()
    row = 0
    while True:
        row = canonicalise_rows(packed(), scratch, column, status, ends, out, row)
        if row == rows:
            break
        if status[row] != HARD:
            out = np.concatenate([out, np.empty(len(out), np.uint8)])
            continue
        try:
            locator = canonical(_text(column, row)).encode()
            status[row] = LocatorStatus.OK
        except InvalidLocator as error:
            locator, status[row] = b"", error.status
        out[ends[row] : ends[row] + len(locator)] = np.frombuffer(locator, np.uint8)
        ends[row + 1] = ends[row] + len(locator)
        row += 1
    return _large_strings(out, ends, status == LocatorStatus.OK), status


def _large_strings(data: np.ndarray, ends: np.ndarray, valid: np.ndarray) -> pa.LargeStringArray:
    bitmap = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    buffers = [bitmap, pa.py_buffer(ends), pa.py_buffer(data[: ends[-1]])]
    return pa.LargeStringArray.from_buffers(len(valid), buffers[1], buffers[2], bitmap)


def variant_keys(array: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    """Variant keys of canonical locators; null for a null and for what is no locator.

    Raises:
        TypeError: the array holds no strings.
    """
    found = [_variant_chunk(chunk) for chunk in chunks(array)]
    return found[0] if len(found) == 1 else pa.concat_arrays([pa.array([], pa.large_string()), *found])


def _variant_chunk(array: pa.Array) -> pa.LargeStringArray:
    if pa.types.is_dictionary(array.type):
        return _variant_chunk(array.dictionary).take(array.indices)
    column = texts(array)
    rows = column.rows
    ends, hard = np.zeros(rows + 1, np.int64), np.zeros(rows, np.bool_)
    out = np.empty(int(column.offsets[-1] - column.offsets[0]) + PAD, np.uint8)
    variant_rows(packed(), new_scratch(), column, ends, hard, out)
    valid = ~hard & column.valid if column.nulls else ~hard
    keys = _large_strings(out, ends, valid)
    if not hard.any():
        return keys
    plain = {int(row): _plain_key(_text(column, int(row))) for row in np.flatnonzero(hard)}
    return pa.array([plain.get(row, key) for row, key in enumerate(keys.to_pylist())], pa.large_string())


def _plain_key(text: bytes) -> str | None:
    try:
        return variant_key(canonical(text))
    except InvalidLocator:
        return None


def hash_strings(array: pa.Array | pa.ChunkedArray, sip_key: bytes) -> np.ndarray:
    """SipHash-1-3 of the bytes of each string, uint64[n]; 0 for a null.

    Raises:
        TypeError: the array holds no strings.
        ValueError: the key has not 16 bytes.
    """
    k0, k1 = _key_words(sip_key)
    return np.concatenate([np.zeros(0, np.uint64), *(_hash_chunk(chunk, k0, k1) for chunk in chunks(array))])


def _hash_chunk(array: pa.Array, k0: np.uint64, k1: np.uint64) -> np.ndarray:
    if pa.types.is_dictionary(array.type):
        values = _hash_chunk(array.dictionary, k0, k1)
        codes = np.asarray(pc.fill_null(array.indices, 0)).astype(np.int64)
        known = np.asarray(array.indices.is_valid())
        hashes = np.zeros(len(array), np.uint64)
        hashes[known] = values[codes[known]]
        return hashes
    column = texts(array)
    out = np.zeros(column.rows, np.uint64)
    hash_rows(new_waiting(), column, k0, k1, out, np.zeros(1, np.uint32))
    return out
