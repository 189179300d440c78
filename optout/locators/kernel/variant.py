"""The variant key of a canonical locator, into a scratch buffer."""

# numba compiles plain loops, and what they return only numba knows.
# ruff: noqa: SIM102, SIM110
# mypy: disable-error-code="no-any-return"

from typing import Any

import numpy as np

from optout.compiled import compiled, inlined
from optout.locators.kernel.memory import PAD
from optout.locators.kernel.packed import ANY, GROUP, SIZE, STAMP
from optout.locators.kernel.patterns import is_digit, lower, match_any, match_whole, name_classes
from optout.locators.kernel.scan import END, FLAGS, NETLOC_END, PATH_END, PIECES, SIZES, SLASHES
from optout.locators.kernel.vector import WIDTH, copy_blocks, find_any, last_bit
from optout.locators.rewrite import MAX_SUFFIXES
from optout.locators.tables import IMAGE_EXTENSIONS

__all__ = ["variant_row"]

_LAST, _SEGMENTS, _PREFIXES, _SUFFIXES, _HOST, _CUT = 0, 2, 4, 6, 8, 10
_DROP = 12
_ONE, _ALL = np.uint64(1), np.uint64(2**64 - 1)
_EXTENSIONS = (
    np.frombuffer(b"".join(ext.ljust(5, b"\0") for ext in IMAGE_EXTENSIONS), np.uint8).reshape(-1, 5).copy()
)


@compiled
def _matches(packed: Any, group: int, column: int, text: Any, start: int, limit: int) -> bool:
    """Whether a pattern of the group, or of every host, matches the whole of `text[start:limit]`."""
    first, last = packed.groups[column], packed.groups[column + 1]
    if match_whole(packed.bytes, packed.patterns, first, last, text, start, limit):
        return True
    if group == 0:
        return False
    first, last = packed.groups[GROUP * group + column], packed.groups[GROUP * group + column + 1]
    return match_whole(packed.bytes, packed.patterns, first, last, text, start, limit)


@compiled
def _extension(text: Any, begin: int, end: int) -> int:
    """Where the extension of the name `text[begin:end]` begins; `end` when it has none."""
    at = end - 1
    while at > begin and end - at <= 6:
        byte = lower(text[at])
        if byte == 46:
            return at if end - at >= 2 else end
        if not (is_digit(byte) or 97 <= byte <= 122):
            return end
        at -= 1
    return end


@inlined
def _strip_suffix(packed: Any, group: int, text: Any, begin: int, end: int) -> int:
    """The end of the stem `text[begin:end]` without its shortest suffix that matches, if one does."""
    reach = max(packed.longest[0], packed.longest[group])
    first = max(begin, end - 1 - reach) + 1
    block = end
    while block > first:
        block -= WIDTH
        found = find_any(text, block, packed.suffix_heads[group])
        if block < first:
            found &= _ALL << np.uint64(first - block)
        while found:
            bit = last_bit(found)
            if _matches(packed, group, _SUFFIXES, text, block + bit, end):
                return block + bit
            found ^= _ONE << np.uint64(bit)
    return end


@compiled
def _ends_in_image(text: Any, begin: int, end: int) -> bool:
    for index in range(len(_EXTENSIONS)):
        size = 5 if _EXTENSIONS[index, 4] else 4
        if end - begin < size:
            continue
        same = True
        for offset in range(size):
            if lower(text[end - size + offset]) != _EXTENSIONS[index, offset]:
                same = False
                break
        if same:
            return True
    return False


@inlined
def _name_parts(packed: Any, group: int, text: Any, begin: int, end: int) -> tuple[int, int, int]:
    """Begin and end of what is kept of the stem, and where the extension begins (`end`: none is kept)."""
    dot = _extension(text, begin, end)
    first = packed.groups[GROUP * group + _PREFIXES]
    last = packed.groups[GROUP * group + _PREFIXES + 1]
    after = match_any(packed.bytes, packed.patterns, first, last, text, begin, dot)
    if 0 <= after < dot:
        begin = after
    stop = dot
    for _ in range(MAX_SUFFIXES):
        shorter = _strip_suffix(packed, group, text, begin, stop)
        if shorter == stop:
            break
        stop = shorter
    if stop < dot and _ends_in_image(text, begin, stop):
        dot = end
    return begin, stop, dot


@compiled
def _is_size(text: Any, begin: int, end: int) -> bool:
    if begin == end or end - begin > 16 or not is_digit(text[begin]):
        return False
    at = begin + 1
    while at < end:
        byte = lower(text[at])
        if byte == 37:
            if at + 2 >= end or not (
                (text[at + 1] == 50 and text[at + 2] == 67) or (text[at + 1] == 51 and text[at + 2] == 65)
            ):
                return False
            at += 2
        elif not (is_digit(byte) or byte == 120 or byte == 44 or byte == 46 or byte == 58 or byte == 42):
            return False
        at += 1
    return True


@compiled
def _is_stamp(text: Any, begin: int, end: int) -> bool:
    if not 9 <= end - begin <= 19:
        return False
    for index in range(begin, end):
        if not is_digit(text[index]):
            return False
    return True


@compiled
def _drops_piece(packed: Any, text: Any, begin: int, end: int) -> bool:
    """Whether the parameter `text[begin:end]` is a size or a time stamp."""
    equals = begin
    while equals < end and text[equals] != 61:
        equals += 1
    name_end, value = (equals, equals + 1) if equals < end else (begin, begin)
    classes = name_classes(packed, text, begin, name_end)
    if classes & ANY:
        return True
    if classes & SIZE:
        return _is_size(text, value, end)
    return bool(classes & STAMP) and _is_stamp(text, value, end)


@inlined
def _append(text: Any, begin: int, end: int, out: Any, size: int) -> int:
    copy_blocks(text, begin, end - begin, out, size)
    return size + end - begin


@compiled
def _write_query(packed: Any, text: Any, begin: int, end: int, out: Any, size: int) -> int:
    """Write the parameters that are kept of the query whose question mark is at `begin`."""
    separator = 63
    at = begin + 1
    while at < end:
        stop = at
        while stop < end and text[stop] != 38:
            stop += 1
        if not _drops_piece(packed, text, at, stop):
            out[size] = separator
            size = _append(text, at, stop, out, size + 1)
            separator = 38
        at = stop + 1
    return size


@compiled
def _cut(packed: Any, group: int, text: Any, begin: int, end: int) -> int:
    """Where the path ends when everything from the group's cut on is left out."""
    first = packed.groups[GROUP * group + _CUT]
    size = packed.groups[GROUP * group + _CUT + 1] - first
    if size == 0:
        return end
    for at in range(begin + 1, end - size + 1):
        same = True
        for offset in range(size):
            if text[at + offset] != packed.bytes[first + offset]:
                same = False
                break
        if same:
            return at
    return end


@inlined
def _next_dropped(packed: Any, group: int, text: Any, slashes: Any, index: int, last: int) -> int:
    """The first slash from `index` on, before the last, whose segment is left out; or `last`."""
    while index < last:
        begin = slashes[index] + 1
        if group or packed.segment_heads[text[begin]]:
            if _matches(packed, group, _SEGMENTS, text, begin, slashes[index + 1]):
                break
        index += 1
    return index


@inlined
def variant_row(packed: Any, text: Any, slashes: Any, meta: Any, group: int, out: Any) -> int:
    """Write the variant key of the locator `text[PAD:]` from `out[PAD]` on.

    Returns:
        Where it ends, or 0 when the locator is its own key and nothing was written.
    """
    stop = _cut(packed, group, text, meta[NETLOC_END], meta[PATH_END])
    last = meta[SLASHES] - 1
    while slashes[last] >= stop:
        last -= 1
    dropped = _next_dropped(packed, group, text, slashes, 0, last)
    first, end, dot = _name_parts(packed, group, text, slashes[last] + 1, stop)
    flags = meta[FLAGS]
    if group == 0 and not flags & SIZES and dropped == last and end == dot:
        return 0
    begin, size = PAD, PAD
    if packed.groups[GROUP * group + _HOST] < packed.groups[GROUP * group + _HOST + 1]:
        begin = meta[NETLOC_END]
        size = _append(
            packed.bytes,
            packed.groups[GROUP * group + _HOST],
            packed.groups[GROUP * group + _HOST + 1],
            out,
            size,
        )
    while dropped < last:
        size = _append(text, begin, slashes[dropped], out, size)
        begin = slashes[dropped + 1]
        dropped = _next_dropped(packed, group, text, slashes, dropped + 1, last)
    size = _append(text, begin, slashes[last], out, size)
    if not _matches(packed, group, _LAST, text, slashes[last] + 1, stop):
        out[size] = 47
        size = _append(text, first, end, out, size + 1)
        size = _append(text, dot, stop, out, size)
    if not flags & PIECES or packed.groups[GROUP * group + _DROP]:
        return size
    if flags & SIZES:
        return _write_query(packed, text, meta[PATH_END], meta[END], out, size)
    return _append(text, meta[PATH_END], meta[END], out, size)
