"""The loops over rows: probes, canonical forms, keys and hashes."""

# numba compiles plain loops, and what they return only numba knows.
# ruff: noqa: SIM110
# mypy: disable-error-code="no-any-return"

from typing import Any, NamedTuple

import numpy as np

from optout.compiled import compiled, inlined
from optout.locators.kernel.arrow import Texts
from optout.locators.kernel.host import HARD
from optout.locators.kernel.memory import FULL, META, PAD, ROOM, advance, copy_bytes, pointer
from optout.locators.kernel.origin import host_rules, may_wrap, wrapped_text
from optout.locators.kernel.packed import Packed
from optout.locators.kernel.scan import END, HOST_END, PATH_END, SLASHES, START, canonicalise_row
from optout.locators.kernel.scratch import Scratch
from optout.locators.kernel.siphash import sip
from optout.locators.kernel.variant import variant_row
from optout.locators.kernel.vector import WIDTH, find_dots, first_bit
from optout.locators.kernel.waiting import CAPACITY, hash_waiting, wait, waiting_pointers
from optout.locators.rewrite import MAX_ORIGINS
from optout.locators.status import MAX_BYTES, LocatorStatus
from optout.words import SelectorKind

__all__ = ["Keys", "canonicalise_rows", "hash_rows", "probe_rows", "variant_rows"]

_NULL = int(LocatorStatus.NULL)
_TOO_LONG = int(LocatorStatus.TOO_LONG)
_URL, _PREFIX, _DOMAIN = int(SelectorKind.URL), int(SelectorKind.PREFIX), int(SelectorKind.DOMAIN)
_MOST_LABELS = 130
_ONE = np.uint64(1)
_AT_ONCE = 512
_MADE, _WAITING = 0, 1


class Keys(NamedTuple):
    """The columns of probes: arrays outside of compiled code, pointers within."""

    row: Any
    kind: Any
    level: Any
    key: Any
    check: Any


class _Asked(NamedTuple):
    """What a call wants: kinds as bits, the two halves of the hash's key, room for probes."""

    kinds: int
    k0: Any
    k1: Any
    room: int
    """One more is there, for hashes that are no key or no check."""


@compiled
def _tables(packed: Any) -> Any:
    return Packed(
        pointer(packed.bytes),
        pointer(packed.patterns),
        pointer(packed.words),
        pointer(packed.hosts),
        pointer(packed.slots),
        pointer(packed.groups),
        pointer(packed.longest),
        pointer(packed.suffix_heads),
        pointer(packed.segment_heads),
        pointer(packed.proxies),
        pointer(packed.everywhere),
        pointer(packed.names),
        pointer(packed.name_slots),
        pointer(packed.prefix_heads),
        packed.prefix_first,
        packed.prefix_last,
        pointer(packed.references),
        packed.reference_count,
        packed.proxy_count,
    )


@compiled
def _buffers(scratch: Any) -> Any:
    return Scratch(
        pointer(scratch.text),
        pointer(scratch.clean),
        pointer(scratch.made),
        pointer(scratch.slashes),
        pointer(scratch.meta),
        pointer(scratch.used),
        waiting_pointers(scratch.waiting),
    )


@compiled
def _column(texts: Any) -> Any:
    return Texts(
        pointer(texts.data), pointer(texts.offsets), pointer(texts.valid), texts.rows, texts.nulls, texts.size
    )


@compiled
def _read(packed: Any, column: Any, row: int, scratch: Any, out: Any) -> int:
    """Make a row canonical from `out[PAD]` on; its status."""
    if column.nulls and not column.valid[row]:
        return _NULL
    begin = column.offsets[row]
    size = column.offsets[row + 1] - begin
    if size > MAX_BYTES:
        return _TOO_LONG
    text = advance(column.data, begin)
    # Reading goes on behind the end.
    if begin + size + PAD > column.size:
        copy_bytes(column.data, begin, size, scratch.text, 0)
        text = scratch.text
    return canonicalise_row(packed, scratch, text, size, out, scratch.meta)


@compiled
def _put(out: Any, at: int, row: int, kind: int, level: int) -> None:
    out.row[at] = row
    out.kind[at] = kind
    out.level[at] = level
    out.check[at] = 0


@compiled
def _level(scratch: Any, level: int) -> Any:
    """The canonical locator of a level, and where its parts end."""
    meta = advance(scratch.meta, level * META)
    return advance(scratch.made, meta[START]), meta


@compiled
def _wait(scratch: Any, begin: int, end: int, key: int, check: int) -> None:
    """Have `made[begin:end]` hashed for the key and the check of two probes."""
    scratch.used[_WAITING] = wait(scratch.waiting, scratch.used[_WAITING], begin, end - begin, key, check)


@compiled
def _hash(scratch: Any, asked: Any, out: Any) -> None:
    """Hash all that waits."""
    count = scratch.used[_WAITING]
    hash_waiting(scratch.waiting, count, scratch.made, asked.k0, asked.k1, out.key, out.check)
    scratch.used[_WAITING] = 0


@inlined
def _probe_url(
    packed: Any, scratch: Any, row: int, level: int, group: int, asked: Any, out: Any, at: int
) -> int:
    text, meta = _level(scratch, level)
    _put(out, at, row, _URL, level)
    begin, made = meta[START], scratch.used[_MADE]
    end = variant_row(packed, text, scratch.slashes, meta, group, advance(scratch.made, made))
    _wait(scratch, begin + PAD, begin + meta[END], asked.room if end else at, at)
    if end:
        _wait(scratch, made + PAD, made + end, at, asked.room)
        scratch.used[_MADE] = made + end
    return at + 1


@compiled
def _probe_prefixes(scratch: Any, row: int, level: int, asked: Any, out: Any, at: int) -> int:
    text, meta = _level(scratch, level)
    begin = meta[START]
    count = meta[SLASHES]
    path_end = meta[PATH_END]
    if text[path_end - 1] != 47:
        scratch.slashes[count] = path_end
        count += 1
    for index in range(count):
        _put(out, at, row, _PREFIX, level)
        _wait(scratch, begin + PAD, begin + scratch.slashes[index], at, asked.room)
        at += 1
    return at


@inlined
def _probe_domains(scratch: Any, row: int, level: int, asked: Any, out: Any, at: int) -> int:
    text, meta = _level(scratch, level)
    end = meta[HOST_END]
    begin = PAD
    for block in range(PAD, end, WIDTH):
        dots = find_dots(text, block)
        if end - block < WIDTH:
            dots &= (_ONE << np.uint64(end - block)) - _ONE
        while dots:
            _put(out, at, row, _DOMAIN, level)
            _wait(scratch, meta[START] + begin, meta[START] + end, at, asked.room)
            at += 1
            begin = block + first_bit(dots) + 1
            dots &= dots - _ONE
    return at


@compiled
def _same(scratch: Any, level: int, other: int) -> bool:
    text, meta = _level(scratch, level)
    other_text, other_meta = _level(scratch, other)
    if meta[END] != other_meta[END]:
        return False
    for index in range(PAD, meta[END]):
        if text[index] != other_text[index]:
            return False
    return True


@compiled
def _begin_level(scratch: Any, level: int) -> Any:
    """Where the canonical locator of a level goes, and the numbers of its parts."""
    meta = advance(scratch.meta, level * META)
    meta[START] = scratch.used[_MADE]
    return advance(scratch.made, meta[START]), meta


@compiled
def _next_level(packed: Any, scratch: Any, level: int, proxies: int) -> int:
    """Unwrap the locator of `level` into the next; 0, or why there is no next (HARD: not by us)."""
    text, meta = _level(scratch, level)
    size = wrapped_text(packed, text, meta, proxies, scratch.text)
    if size == 0:
        return _NULL
    out, parts = _begin_level(scratch, level + 1)
    status = canonicalise_row(packed, scratch, scratch.text, size, out, parts)
    if status:
        return status
    for other in range(level + 1):
        if _same(scratch, level + 1, other):
            return _NULL
    return 0


@compiled
def _probe_row(packed: Any, scratch: Any, row: int, asked: Any, out: Any, at: int) -> int:
    """Probes of the locator at level 0 and of what it wraps.

    Returns:
        Where they end; -1 without room for them, -2 when the row is hard.
    """
    for level in range(MAX_ORIGINS + 1):
        text, meta = _level(scratch, level)
        scratch.used[_MADE] = meta[START] + meta[END]
        most = meta[SLASHES] + _MOST_LABELS
        if at + most > asked.room:
            return -1
        if scratch.used[_WAITING] + most > CAPACITY:
            _hash(scratch, asked, out)
        group, proxies = host_rules(packed, text, meta[HOST_END])
        if asked.kinds & 1:
            at = _probe_url(packed, scratch, row, level, group, asked, out, at)
        if asked.kinds & 2:
            at = _probe_prefixes(scratch, row, level, asked, out, at)
        if asked.kinds & 4:
            at = _probe_domains(scratch, row, level, asked, out, at)
        if level == MAX_ORIGINS or not may_wrap(packed, text, meta, proxies):
            break
        ended = _next_level(packed, scratch, level, proxies)
        if ended == HARD:
            return -2
        if ended:
            break
    return at


@compiled
def probe_rows(
    packed: Any, scratch: Any, texts: Any, asked: Any, statuses: Any, keys: Any, row: int, at: int
) -> tuple[int, int]:
    """Fill `keys` from `row` and from probe `at` on; `asked` is kinds and the halves of the hash's key.

    Stops before a row that has no room (its status is left as it is) or is hard (status HARD).

    Returns:
        The row and the probe it stopped at.
    """
    tables, buffers, column = _tables(packed), _buffers(scratch), _column(texts)
    status_of = pointer(statuses)
    wanted = _Asked(asked[0], asked[1], asked[2], len(keys.row) - 1)
    out = Keys(
        pointer(keys.row), pointer(keys.kind), pointer(keys.level), pointer(keys.key), pointer(keys.check)
    )
    buffers.used[_MADE] = 0
    while row < column.rows:
        if buffers.used[_MADE] > FULL:
            _hash(buffers, wanted, out)
            buffers.used[_MADE] = 0
        text, _ = _begin_level(buffers, 0)
        status = _read(tables, column, row, buffers, text)
        if status == 0:
            end = _probe_row(tables, buffers, row, wanted, out, at)
            if end == -1:
                break
            if end == -2:
                status = HARD
            else:
                at = end
        status_of[row] = status
        if status == HARD:
            break
        row += 1
    # What was begun of a row that had no room goes where its probes will be.
    _hash(buffers, wanted, out)
    return row, at


@compiled
def canonicalise_rows(
    packed: Any, scratch: Any, texts: Any, statuses: Any, ends: Any, data: Any, row: int
) -> int:
    """Write canonical forms one after the other into `data`; the row it stopped at, without room or hard.

    A row is `data[ends[row]:ends[row + 1]]`, empty when its status is not 0.
    """
    tables, buffers, column = _tables(packed), _buffers(scratch), _column(texts)
    out, room = pointer(data), len(data)
    while row < column.rows:
        begin = ends[row]
        if begin + ROOM > room:
            break
        status = _read(tables, column, row, buffers, advance(out, begin - PAD))
        statuses[row] = status
        if status == HARD:
            break
        ends[row + 1] = begin + (buffers.meta[END] - PAD if status == 0 else 0)
        row += 1
    return row


@compiled
def variant_rows(packed: Any, scratch: Any, texts: Any, ends: Any, hard: Any, data: Any) -> None:
    """Write the keys of canonical locators into `data`, as long as they are; all others are hard."""
    tables, buffers, column = _tables(packed), _buffers(scratch), _column(texts)
    out = pointer(data)
    for row in range(column.rows):
        begin = ends[row]
        ends[row + 1] = begin
        text, variant, meta = buffers.made, advance(buffers.made, ROOM), buffers.meta
        status = _read(tables, column, row, buffers, text)
        if status:
            hard[row] = status != _NULL
            continue
        group, _ = host_rules(tables, text, meta[HOST_END])
        end = variant_row(tables, text, buffers.slashes, meta, group, variant)
        size = (end if end else meta[END]) - PAD
        copy_bytes(variant if end else text, PAD, size, out, begin)
        ends[row + 1] = begin + size


@compiled
def hash_rows(waiting: Any, texts: Any, k0: Any, k1: Any, out: Any, ignored: Any) -> None:
    """SipHash-1-3 of every row's bytes; 0 for a null. `ignored` is room for one check."""
    column, queue = _column(texts), waiting_pointers(waiting)
    keys, checks = pointer(out), pointer(ignored)
    count = 0
    for row in range(column.rows):
        if column.nulls and not column.valid[row]:
            continue
        begin, end = column.offsets[row], column.offsets[row + 1]
        if end + 8 > column.size:
            # The hash reads whole words; the last row of a buffer may have nothing behind it.
            copy = np.zeros(end - begin + 8, np.uint8)
            copy_bytes(column.data, begin, end - begin, pointer(copy), 0)
            out[row] = sip(pointer(copy), 0, end - begin, k0, k1)
            continue
        if count == _AT_ONCE:
            hash_waiting(queue, count, column.data, k0, k1, keys, checks)
            count = 0
        count = wait(queue, count, begin, end - begin, row, 0)
    hash_waiting(queue, count, column.data, k0, k1, keys, checks)
