"""From a text to its canonical locator: one pass over the bytes, into a scratch buffer."""

# numba compiles plain loops, and what they return only numba knows.
# ruff: noqa: SIM109, SIM110
# mypy: disable-error-code="no-any-return"

from typing import Any

import numpy as np

from optout.compiled import compiled, inlined
from optout.locators.kernel.host import AGAIN, after_scheme, read_authority
from optout.locators.kernel.memory import PAD
from optout.locators.kernel.packed import TRACKING
from optout.locators.kernel.patterns import begins_with_word, name_classes
from optout.locators.kernel.text import clean_text, ends_in_reference, hex_value, reference_at
from optout.locators.kernel.vector import WIDTH, copy_path_run, copy_query_run, count_bits, first_bit
from optout.locators.status import MAX_BYTES, LocatorStatus

__all__ = [
    "COLON",
    "END",
    "FLAGS",
    "HOST_END",
    "HTTP",
    "NETLOC_END",
    "PATH_END",
    "PIECES",
    "SIZES",
    "SLASHES",
    "START",
    "canonicalise_row",
]

START, HOST_END, NETLOC_END, PATH_END, END, SLASHES, FLAGS = range(7)
"""Columns of `Scratch.meta`: where the buffer begins and the parts end, how many slashes, the flags."""

COLON, HTTP, PIECES, SIZES = 1, 2, 4, 8
"""Flags: the path has a colon, a parameter may be an address, there is a query, a parameter may be a size."""

_EMPTY = int(LocatorStatus.EMPTY)
_SCHEME = int(LocatorStatus.SCHEME)
_ENCODING = int(LocatorStatus.ENCODING)
_TOO_LONG = int(LocatorStatus.TOO_LONG)

_PLAIN, _SLASH, _PERCENT, _ENCODE, _QUESTION, _HASH, _AMP, _SEMICOLON, _COLON, _DIRTY = range(10)
_ONE, _LAST = np.uint64(1), np.uint64(WIDTH - 1)
_HEX = np.frombuffer(b"0123456789ABCDEF", np.uint8).copy()


def _path_classes() -> np.ndarray:
    table = np.full(256, _ENCODE, np.uint8)
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$'()*+,=@":
        table[byte] = _PLAIN
    special = {
        "/": _SLASH,
        "\\": _SLASH,
        "%": _PERCENT,
        "?": _QUESTION,
        "#": _HASH,
        "&": _AMP,
        ";": _SEMICOLON,
        ":": _COLON,
    }
    for char, kind in special.items():
        table[ord(char)] = kind
    table[128:] = _DIRTY
    table[[9, 10, 13]] = _DIRTY
    return table


def _query_classes() -> np.ndarray:
    table = _path_classes()
    for char, kind in {"/": _PLAIN, "\\": _ENCODE, "?": _PLAIN, ":": _PLAIN}.items():
        table[ord(char)] = kind
    return table


def _unreserved() -> np.ndarray:
    table = np.zeros(256, np.bool_)
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~":
        table[byte] = True
    return table


_PATH = _path_classes()
_QUERY = _query_classes()
_UNRESERVED = _unreserved()


@compiled
def _encode(out: Any, at: int, byte: int) -> int:
    out[at] = 37
    out[at + 1] = _HEX[byte >> 4]
    out[at + 2] = _HEX[byte & 15]
    return at + 3


@compiled
def _percent(text: Any, at: int, end: int, out: Any, size: int) -> tuple[int, int, int]:
    """Normalise the triple at `at`: (next in text, next in out, its byte); a lone percent sign is encoded."""
    if at + 2 < end:
        high, low = hex_value(text[at + 1]), hex_value(text[at + 2])
        if high >= 0 and low >= 0:
            byte = high * 16 + low
            if _UNRESERVED[byte]:
                out[size] = byte
                return at + 3, size + 1, byte
            return at + 3, _encode(out, size, byte), byte
    return at + 1, _encode(out, size, 37), 37


@compiled
def _remove_dots(out: Any, begin: int, end: int) -> int:
    """Resolve the dot segments of the path `out[begin:end]` in place; its new end."""
    kept = begin
    at = begin
    dotted = False
    while at < end:
        stop = at + 1
        while stop < end and out[stop] != 47:
            stop += 1
        size = stop - at
        dotted = (size == 2 and out[at + 1] == 46) or (size == 3 and out[at + 1] == 46 and out[at + 2] == 46)
        if not dotted:
            for index in range(size):
                out[kept + index] = out[at + index]
            kept += size
        elif size == 3 and kept > begin:
            kept -= 1
            while out[kept] != 47:
                kept -= 1
        at = stop
    if dotted or kept == begin:
        out[kept] = 47
        kept += 1
    return kept


@compiled
def _count_slashes(out: Any, begin: int, end: int, slashes: Any) -> int:
    count = 0
    for index in range(begin, end):
        if out[index] == 47:
            slashes[count] = index
            count += 1
    return count


@compiled
def _end_path(out: Any, begin: int, size: int, count: int, dots: bool, slashes: Any, meta: Any) -> None:
    """Complete the path `out[begin:size]` and note where it ends and how many slashes it has."""
    if size == begin:
        slashes[0] = size
        count = 1
        out[size] = 47
        size += 1
    elif dots:
        size = _remove_dots(out, begin, size)
        count = _count_slashes(out, begin, size, slashes)
    meta[PATH_END] = size
    meta[SLASHES] = count


@compiled
def _note_slashes(found: Any, start: int, slashes: Any, count: int) -> int:
    """Note the places of the bits in `found`; how many are noted then."""
    total = count + count_bits(found)
    # Few runs have more than four, and four whatever they are cost less than a loop that nobody can foretell.
    for index in range(count, count + 4):
        slashes[index] = start + first_bit(found)
        found &= found - _ONE
    index = count + 4
    while found:
        slashes[index] = start + first_bit(found)
        found &= found - _ONE
        index += 1
    return total


@inlined
def _read_path(
    packed: Any, text: Any, at: int, end: int, out: Any, size: int, clean: bool, slashes: Any, meta: Any
) -> int:
    """Write the path; where it ends in `text`, or -1 when the text must be cleaned first."""
    begin = size
    count = 0
    dots = False
    dotted = carry = np.uint64(0)
    flags = 0
    while True:
        run, found, points = copy_path_run(text, at, end, out, size)
        dotted |= (found << _ONE | carry) & points
        carry = found >> _LAST
        count = _note_slashes(found, size, slashes, count)
        at += run
        size += run
        if run == WIDTH:
            continue
        if at >= end:
            break
        byte = text[at]
        kind = _PATH[byte]
        if kind == _PLAIN:
            out[size] = byte
        elif kind == _SLASH:
            slashes[count] = size
            count += 1
            out[size] = 47
            dots |= text[at + 1] == 46
        elif kind == _PERCENT:
            at, size, byte = _percent(text, at, end, out, size)
            if byte == 58:
                flags = COLON
            dots |= byte == 46
            continue
        elif kind == _QUESTION or kind == _HASH:
            break
        elif kind == _ENCODE or kind == _DIRTY:
            if kind == _DIRTY and not clean:
                return -1
            size = _encode(out, size, byte)
            at += 1
            continue
        else:
            if kind == _AMP and not clean and reference_at(packed, text, at, end):
                return -1
            if kind == _COLON:
                flags = COLON
            if kind == _SEMICOLON and ends_in_reference(packed, out, begin, size):
                size = _encode(out, size, 59)
                at += 1
                continue
            out[size] = byte
        size += 1
        at += 1
    _end_path(out, begin, size, count, dots or dotted > 0, slashes, meta)
    meta[FLAGS] = flags
    return at


@compiled
def _end_piece(packed: Any, out: Any, begin: int, equals: int, size: int, meta: Any) -> int:
    """Keep or drop the parameter `out[begin:size]`, before which its separator stands; the new end."""
    if size == begin:
        return begin - 1
    last = equals if equals >= 0 else size
    classes = name_classes(packed, out, begin, last)
    if classes & TRACKING:
        return begin - 1
    if packed.prefix_heads[out[begin]] and begins_with_word(
        packed.bytes, packed.words, packed.prefix_first, packed.prefix_last, out, begin, last
    ):
        return begin - 1
    if classes or (equals < 0 and packed.name_slots[1]):
        meta[FLAGS] |= SIZES
    value = out[equals + 1] if equals >= 0 else out[begin]
    if value == 104 or value == 72:
        meta[FLAGS] |= HTTP
    meta[FLAGS] |= PIECES
    return size


@inlined
def _read_query(
    packed: Any, text: Any, at: int, end: int, out: Any, size: int, clean: bool, meta: Any
) -> int:
    """Write the query that begins with the question mark at `at`; its end in `out`, or -1 as for the path."""
    first = size
    out[size] = 63
    size += 1
    begin = size
    equals = -1
    at += 1
    while True:
        run, signs = copy_query_run(text, at, end, out, size)
        if signs and equals < 0:
            equals = size + first_bit(signs)
        at += run
        size += run
        if run == WIDTH:
            continue
        if at >= end:
            break
        byte = text[at]
        kind = _QUERY[byte]
        if kind == _PLAIN:
            out[size] = byte
        elif kind == _PERCENT:
            at, size, byte = _percent(text, at, end, out, size)
            continue
        elif kind == _AMP:
            if not clean and reference_at(packed, text, at, end):
                return -1
            size = _end_piece(packed, out, begin, equals, size, meta)
            out[size] = 63 if size == first else 38
            begin = size + 1
            equals = -1
        elif kind == _HASH:
            break
        else:
            if kind == _DIRTY and not clean:
                return -1
            if kind == _SEMICOLON and not ends_in_reference(packed, out, first, size):
                out[size] = byte
            else:
                size = _encode(out, size, byte) - 1
        size += 1
        at += 1
    if not clean and _has_dirt(text, at, end):
        return -1
    return _end_piece(packed, out, begin, equals, size, meta)


@compiled
def _has_dirt(text: Any, begin: int, end: int) -> bool:
    for index in range(begin, end):
        if text[index] >= 128:
            return True
    return False


@inlined
def _scan(packed: Any, text: Any, end: int, out: Any, clean: bool, slashes: Any, meta: Any) -> int:
    """Write the canonical form of `text[:end]` from `out[PAD]` on and fill `meta`; its status."""
    if end == 0:
        return _EMPTY
    if not clean and (text[0] <= 32 or text[end - 1] <= 32):
        return AGAIN
    at = after_scheme(text, end)
    if at < 0:
        return _SCHEME
    status, at, host_end, size = read_authority(text, at, end, out, PAD, clean)
    if status:
        return status
    meta[HOST_END] = host_end
    meta[NETLOC_END] = size
    at = _read_path(packed, text, at, end, out, size, clean, slashes, meta)
    if at < 0:
        return AGAIN
    size = meta[PATH_END]
    if at < end and text[at] == 63:
        size = _read_query(packed, text, at, end, out, size, clean, meta)
        if size < 0:
            return AGAIN
    elif not clean and _has_dirt(text, at, end):
        return AGAIN
    meta[END] = size
    return 0 if size - PAD <= MAX_BYTES else _TOO_LONG


@compiled
def canonicalise_row(packed: Any, scratch: Any, text: Any, size: int, out: Any, meta: Any) -> int:
    """Make `text[:size]` canonical from `out[PAD]` on, note its slashes and, in `meta`, its parts.

    Returns:
        A LocatorStatus, or HARD for what the plain implementation must do.
    """
    if size > MAX_BYTES:
        return _TOO_LONG
    clean = False
    while True:
        status = _scan(packed, text, size, out, clean, scratch.slashes, meta)
        if status == 0 or clean:
            return status
        # Whatever was wrong may look different once the text is cleaned: only then is it final.
        size = clean_text(packed, text, size, scratch.clean)
        if size < 0:
            return _ENCODING
        text = scratch.clean
        clean = True
