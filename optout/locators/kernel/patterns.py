"""Matching of the tables' patterns and words, without backtracking."""

# numba compiles plain loops, and what they return only numba knows.
# ruff: noqa: SIM109, SIM110
# mypy: disable-error-code="no-any-return"

from typing import Any

from optout.compiled import compiled, inlined

__all__ = [
    "PATTERN",
    "begins_with_word",
    "find_word",
    "is_digit",
    "lower",
    "match",
    "match_any",
    "match_whole",
    "name_classes",
]

PATTERN = 4
"""Numbers of a pattern: where it begins and ends, the fewest and the most bytes that it matches."""

_NUMBER, _NUMBER2, _SIZE, _LETTER, _ANY = 1, 2, 3, 4, 5


@compiled
def is_digit(byte: int) -> bool:
    """Whether a byte is an ASCII digit."""
    return 48 <= byte <= 57


@compiled
def lower(byte: int) -> int:
    """The byte in lower case when it is an ASCII letter."""
    return byte + 32 if 65 <= byte <= 90 else byte


@compiled
def _digits(text: Any, at: int, limit: int) -> int:
    end = at
    while end < limit and is_digit(text[end]):
        end += 1
    return end - at


@compiled
def _size(text: Any, at: int, limit: int) -> int:
    """The end of a width and height from `at` on, or -1."""
    wide = _digits(text, at, limit)
    middle = at + wide
    if wide < 2 or wide > 4 or middle >= limit or lower(text[middle]) != 120:
        return -1
    high = _digits(text, middle + 1, limit)
    if high < 2 or high > 4:
        return -1
    if wide == 2 and high == 2:
        same = text[at] == text[middle + 1] and text[at + 1] == text[middle + 2]
        if not same or text[at] < 51:
            return -1
    return middle + 1 + high


@compiled
def _star(store: Any, at: int, end: int, text: Any, begin: int, limit: int) -> int:
    """Where the segment ends, when the rest of the pattern up to its next slash ends it; or -1."""
    stop = begin
    while stop < limit and text[stop] != 47:
        stop += 1
    tail = at
    while tail < end and store[tail] != 47:
        tail += 1
    first = stop - (tail - at)
    if first < begin:
        return -1
    for index in range(tail - at):
        if lower(text[first + index]) != store[at + index]:
            return -1
    return stop


@compiled
def match(store: Any, begin: int, end: int, text: Any, start: int, limit: int) -> int:
    """Where the pattern `store[begin:end]` ends in `text[start:limit]`, or -1 when it does not match."""
    at, position = begin, start
    while at < end:
        token = store[at]
        at += 1
        if token == _NUMBER or token == _NUMBER2:
            count = _digits(text, position, limit)
            if count < token or count > 5:
                return -1
            position += count
        elif token == _SIZE:
            position = _size(text, position, limit)
            if position < 0:
                return -1
        elif token == _ANY:
            position = _star(store, at, end, text, position, limit)
            if position < 0:
                return -1
            while at < end and store[at] != 47:
                at += 1
        else:
            if position >= limit:
                return -1
            byte = lower(text[position])
            if (token == _LETTER and not 97 <= byte <= 122) or (token != _LETTER and token != byte):
                return -1
            position += 1
    return position


@compiled
def match_any(store: Any, patterns: Any, first: int, last: int, text: Any, start: int, limit: int) -> int:
    """Where the first of the patterns that match ends, or -1."""
    for index in range(first, last):
        end = match(store, patterns[PATTERN * index], patterns[PATTERN * index + 1], text, start, limit)
        if end >= 0:
            return end
    return -1


@inlined
def match_whole(store: Any, patterns: Any, first: int, last: int, text: Any, start: int, limit: int) -> bool:
    """Whether one of the patterns matches the whole of `text[start:limit]`."""
    size = limit - start
    head = lower(text[start])
    for index in range(PATTERN * first, PATTERN * last, PATTERN):
        if size < patterns[index + 2] or size > patterns[index + 3]:
            continue
        token = store[patterns[index]]
        if token > _ANY and token != head:
            continue
        if match(store, patterns[index], patterns[index + 1], text, start, limit) == limit:
            return True
    return False


@compiled
def _same_word(store: Any, begin: int, text: Any, start: int, size: int) -> bool:
    for offset in range(size):
        if lower(text[start + offset]) != store[begin + offset]:
            return False
    return True


@compiled
def find_word(store: Any, words: Any, first: int, last: int, text: Any, start: int, limit: int) -> bool:
    """Whether `text[start:limit]`, without case, is one of the words."""
    size = limit - start
    for index in range(2 * first, 2 * last, 2):
        begin = words[index]
        if words[index + 1] - begin == size and _same_word(store, begin, text, start, size):
            return True
    return False


@compiled
def begins_with_word(
    store: Any, words: Any, first: int, last: int, text: Any, start: int, limit: int
) -> bool:
    """Whether `text[start:limit]`, without case, begins with one of the words."""
    for index in range(2 * first, 2 * last, 2):
        begin = words[index]
        size = words[index + 1] - begin
        if size <= limit - start and _same_word(store, begin, text, start, size):
            return True
    return False


@compiled
def name_classes(packed: Any, text: Any, start: int, limit: int) -> int:
    """The classes, as bits, of the parameter that is called `text[start:limit]`; 0 for most."""
    size = limit - start
    slot = 0
    if size:
        slot = (int(lower(text[start])) + 5 * int(lower(text[limit - 1])) + 31 * size) & 0xFF
    for index in range(3 * packed.name_slots[slot], 3 * packed.name_slots[slot + 1], 3):
        begin = packed.names[index]
        if packed.names[index + 1] - begin == size and _same_word(packed.bytes, begin, text, start, size):
            return packed.names[index + 2]
    return 0
