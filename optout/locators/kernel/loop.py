"""The loops over rows: probes, canonical forms, keys and hashes."""

from typing import Any

import numpy as np
from numba import njit

from optout.locators.kernel.host import HARD
from optout.locators.kernel.memory import PAD, copy_bytes
from optout.locators.kernel.origin import host_rules, may_wrap, wrapped_text
from optout.locators.kernel.scan import END, HOST_END, PATH_END, SLASHES, canonicalise_row
from optout.locators.kernel.siphash import sip, sip_prefixes
from optout.locators.kernel.variant import variant_row
from optout.locators.rewrite import MAX_ORIGINS
from optout.locators.status import MAX_BYTES, LocatorStatus
from optout.words import SelectorKind

__all__ = ["canonicalise_rows", "hash_rows", "probe_rows", "variant_rows"]

_NULL = int(LocatorStatus.NULL)
_TOO_LONG = int(LocatorStatus.TOO_LONG)
_URL, _PREFIX, _DOMAIN = int(SelectorKind.URL), int(SelectorKind.PREFIX), int(SelectorKind.DOMAIN)
_LOW = np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True)
def _load(data: Any, offsets: Any, row: int, scratch: Any) -> int:
    """Copy a row into the text buffer; its size, or -1 when it is too long."""
    begin = offsets[row]
    size = offsets[row + 1] - begin
    if size > MAX_BYTES:
        return -1
    copy_bytes(data, begin, size, scratch.text, 0)
    return size


@njit(cache=True, nogil=True)
def _read(packed: Any, data: Any, offsets: Any, valid: Any, row: int, scratch: Any) -> int:
    """Make a row canonical at level 0; its status."""
    if len(valid) and not valid[row]:
        return _NULL
    size = _load(data, offsets, row, scratch)
    return _TOO_LONG if size < 0 else canonicalise_row(packed, scratch, size, 0)


@njit(cache=True, nogil=True)
def _put(out: Any, at: int, row: int, kind: int, level: int) -> None:
    out.row[at] = row
    out.kind[at] = kind
    out.level[at] = level
    out.check[at] = 0


@njit(cache=True, nogil=True)
def _probe_url(
    packed: Any, scratch: Any, row: int, level: int, group: int, k0: Any, k1: Any, out: Any, at: int
) -> int:
    text, meta = scratch.canonical[level], scratch.meta[level]
    plain = sip(text, PAD, meta[END], k0, k1)
    key = plain
    end = variant_row(packed, text, scratch.slashes, meta, group, scratch.variant)
    if end:
        key = sip(scratch.variant, PAD, end, k0, k1)
    _put(out, at, row, _URL, level)
    out.key[at] = key
    out.check[at] = plain & _LOW
    return at + 1


@njit(cache=True, nogil=True)
def _probe_prefixes(scratch: Any, row: int, level: int, k0: Any, k1: Any, out: Any, at: int) -> int:
    text, meta = scratch.canonical[level], scratch.meta[level]
    count = meta[SLASHES]
    path_end = meta[PATH_END]
    if text[path_end - 1] != 47:
        scratch.slashes[count] = path_end
        count += 1
    sip_prefixes(text, PAD, scratch.slashes, count, k0, k1, out.key, at)
    for index in range(at, at + count):
        _put(out, index, row, _PREFIX, level)
    return at + count


@njit(cache=True, nogil=True)
def _probe_domains(scratch: Any, row: int, level: int, k0: Any, k1: Any, out: Any, at: int) -> int:
    text, end = scratch.canonical[level], scratch.meta[level, HOST_END]
    last = end - 1
    while text[last] != 46:
        last -= 1
    begin = PAD
    for index in range(PAD, last + 1):
        if text[index] == 46:
            _put(out, at, row, _DOMAIN, level)
            out.key[at] = sip(text, begin, end, k0, k1)
            at += 1
            begin = index + 1
    return at


@njit(cache=True, nogil=True)
def _same(scratch: Any, level: int, other: int) -> bool:
    end = scratch.meta[level, END]
    if end != scratch.meta[other, END]:
        return False
    for index in range(PAD, end):
        if scratch.canonical[level, index] != scratch.canonical[other, index]:
            return False
    return True


@njit(cache=True, nogil=True)
def _next_level(packed: Any, scratch: Any, level: int, proxies: int) -> int:
    """Unwrap the locator of `level` into the next; 0 when done, else what ends the chain (HARD: the row is hard)."""
    size = wrapped_text(packed, scratch.canonical[level], scratch.meta[level], proxies, scratch.text)
    if size == 0:
        return _NULL
    status = canonicalise_row(packed, scratch, size, level + 1)
    if status:
        return status
    for other in range(level + 1):
        if _same(scratch, level + 1, other):
            return _NULL
    return 0


@njit(cache=True, nogil=True)
def _probe_row(packed: Any, scratch: Any, row: int, kinds: int, k0: Any, k1: Any, out: Any, at: int) -> int:
    """Probes of the locator at level 0 and of what it wraps; their end, -1 without room, -2 when the row is hard."""
    room = len(out.row)
    for level in range(MAX_ORIGINS + 1):
        text, meta = scratch.canonical[level], scratch.meta[level]
        if at + meta[SLASHES] + 130 > room:
            return -1
        group, proxies = host_rules(packed, text, meta[HOST_END])
        if kinds & 1:
            at = _probe_url(packed, scratch, row, level, group, k0, k1, out, at)
        if kinds & 2:
            at = _probe_prefixes(scratch, row, level, k0, k1, out, at)
        if kinds & 4:
            at = _probe_domains(scratch, row, level, k0, k1, out, at)
        if level == MAX_ORIGINS or not may_wrap(packed, text, meta, proxies):
            break
        ended = _next_level(packed, scratch, level, proxies)
        if ended == HARD:
            return -2
        if ended:
            break
    return at


@njit(cache=True, nogil=True)
def probe_rows(
    packed: Any,
    scratch: Any,
    data: Any,
    offsets: Any,
    valid: Any,
    kinds: int,
    k0: Any,
    k1: Any,
    out: Any,
    row: int,
    at: int,
) -> tuple[int, int]:
    """Fill `out` from `row` and from probe `at` on.

    Stops before a row for which there is no room (its status is left as it is) or which is hard (status HARD).

    Returns:
        The row and the probe it stopped at.
    """
    while row < len(offsets) - 1:
        status = _read(packed, data, offsets, valid, row, scratch)
        if status == 0:
            end = _probe_row(packed, scratch, row, kinds, k0, k1, out, at)
            if end == -1:
                break
            if end == -2:
                status = HARD
            else:
                at = end
        out.status[row] = status
        if status == HARD:
            break
        row += 1
    return row, at


@njit(cache=True, nogil=True)
def canonicalise_rows(
    packed: Any, scratch: Any, data: Any, offsets: Any, valid: Any, status: Any, ends: Any, out: Any, row: int
) -> int:
    """Write canonical forms one after the other into `out`; the row it stopped at, for want of room or as it is hard.

    `ends[row]` is where the row begins in `out`, `ends[row + 1]` where it ends; it is empty when its status is not 0.
    """
    while row < len(offsets) - 1:
        begin = ends[row]
        status[row] = _read(packed, data, offsets, valid, row, scratch)
        size = scratch.meta[0, END] - PAD if status[row] == 0 else 0
        if status[row] == HARD or begin + size + PAD > len(out):
            break
        copy_bytes(scratch.canonical[0], PAD, size, out, begin)
        ends[row + 1] = begin + size
        row += 1
    return row


@njit(cache=True, nogil=True)
def variant_rows(
    packed: Any, scratch: Any, data: Any, offsets: Any, valid: Any, ends: Any, hard: Any, out: Any
) -> None:
    """Write the keys of canonical locators into `out`, which is as long as they are; rows that are none are hard."""
    for row in range(len(offsets) - 1):
        begin = ends[row]
        ends[row + 1] = begin
        if len(valid) and not valid[row]:
            continue
        if _read(packed, data, offsets, valid, row, scratch):
            hard[row] = True
            continue
        text, meta = scratch.canonical[0], scratch.meta[0]
        group, _ = host_rules(packed, text, meta[HOST_END])
        end = variant_row(packed, text, scratch.slashes, meta, group, scratch.variant)
        source = scratch.variant if end else text
        size = (end if end else meta[END]) - PAD
        copy_bytes(source, PAD, size, out, begin)
        ends[row + 1] = begin + size


@njit(cache=True, nogil=True)
def hash_rows(data: Any, offsets: Any, valid: Any, k0: Any, k1: Any, out: Any) -> None:
    """SipHash-1-3 of every row's bytes; 0 for a null."""
    for row in range(len(offsets) - 1):
        if len(valid) and not valid[row]:
            continue
        begin, end = offsets[row], offsets[row + 1]
        if end + 8 <= len(data):
            out[row] = sip(data, begin, end, k0, k1)
        else:
            # The hash reads whole words; the last row of a buffer may have nothing behind it.
            copy = np.zeros(end - begin + 8, np.uint8)
            copy_bytes(data, begin, end - begin, copy, 0)
            out[row] = sip(copy, 0, end - begin, k0, k1)
