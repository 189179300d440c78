"""The slow road before the scan: references undone, blanks and line ends dropped, UTF-8 checked."""

# numba compiles plain loops, and what they return only numba knows.
# ruff: noqa: SIM110
# mypy: disable-error-code="no-any-return"

from typing import Any

from optout.compiled import compiled
from optout.locators.kernel.patterns import is_digit, lower

__all__ = ["clean_text", "ends_in_reference", "hex_value", "reference_at"]


@compiled
def hex_value(byte: int) -> int:
    """The value of a hexadecimal digit, or -1."""
    if is_digit(byte):
        return byte - 48
    letter = lower(byte)
    return letter - 87 if 97 <= letter <= 102 else -1


@compiled
def _named(packed: Any, text: Any, at: int, end: int) -> int:
    """The number of the reference whose name begins at `at`, or -1."""
    for index in range(packed.reference_count):
        begin = packed.references[3 * index]
        size = packed.references[3 * index + 1] - packed.references[3 * index + 2] - begin
        if at + size >= end or text[at + size] != 59:
            continue
        same = True
        for offset in range(size):
            if text[at + offset] != packed.bytes[begin + offset]:
                same = False
                break
        if same:
            return index
    return -1


@compiled
def _numeric(text: Any, at: int, end: int) -> tuple[int, int]:
    """Value of the numeric reference after `&#` and where it ends; (0, 0) when there is none."""
    base, most, value = 10, 7, 0
    if at < end and lower(text[at]) == 120:
        base, most = 16, 6
        at += 1
    begin = at
    while at < end and at - begin <= most:
        digit = hex_value(text[at])
        if digit < 0 or digit >= base:
            break
        value = value * base + digit
        at += 1
    count = at - begin
    if count == 0 or count > most or at >= end or text[at] != 59 or not 0 < value < 128:
        return 0, 0
    return value, at + 1


@compiled
def reference_at(packed: Any, text: Any, at: int, end: int) -> bool:
    """Whether a reference that is undone begins with the ampersand at `at`."""
    if at + 2 < end and text[at + 1] == 35:
        return _numeric(text, at + 2, end)[1] > 0
    return _named(packed, text, at + 1, end) >= 0


@compiled
def ends_in_reference(packed: Any, text: Any, begin: int, end: int) -> bool:
    """Whether a semicolon after `text[begin:end]` would make a named reference."""
    for index in range(packed.reference_count):
        first = packed.references[3 * index]
        size = packed.references[3 * index + 1] - packed.references[3 * index + 2] - first
        start = end - size
        if start - 1 < begin or text[start - 1] != 38:
            continue
        same = True
        for offset in range(size):
            if text[start + offset] != packed.bytes[first + offset]:
                same = False
                break
        if same:
            return True
    return False


@compiled
def _follows(text: Any, at: int, end: int, count: int) -> bool:
    if at + count > end:
        return False
    for index in range(at, at + count):
        if text[index] & 0xC0 != 0x80:
            return False
    return True


@compiled
def _is_utf8(text: Any, end: int) -> bool:
    at = 0
    while at < end:
        byte = text[at]
        if byte < 0x80:
            at += 1
        elif byte < 0xE0:
            if byte < 0xC2 or not _follows(text, at + 1, end, 1):
                return False
            at += 2
        elif byte < 0xF0:
            if not _follows(text, at + 1, end, 2):
                return False
            if (byte == 0xE0 and text[at + 1] < 0xA0) or (byte == 0xED and text[at + 1] > 0x9F):
                return False
            at += 3
        else:
            if byte > 0xF4 or not _follows(text, at + 1, end, 3):
                return False
            if (byte == 0xF0 and text[at + 1] < 0x90) or (byte == 0xF4 and text[at + 1] > 0x8F):
                return False
            at += 4
    return True


@compiled
def _unescape(packed: Any, text: Any, end: int, out: Any) -> int:
    at, size = 0, 0
    while at < end:
        if text[at] == 38:
            if at + 2 < end and text[at + 1] == 35:
                value, after = _numeric(text, at + 2, end)
                if after:
                    out[size] = value
                    size += 1
                    at = after
                    continue
            index = _named(packed, text, at + 1, end)
            if index >= 0:
                last = packed.references[3 * index + 1]
                count = packed.references[3 * index + 2]
                for offset in range(count):
                    out[size + offset] = packed.bytes[last - count + offset]
                size += count
                at += last - count - packed.references[3 * index] + 2
                continue
        out[size] = text[at]
        size += 1
        at += 1
    return size


@compiled
def clean_text(packed: Any, text: Any, end: int, out: Any) -> int:
    """Write `text[:end]` without references and blanks into `out`; its length, or -1 when not UTF-8."""
    if not _is_utf8(text, end):
        return -1
    size = _unescape(packed, text, end, out)
    first = 0
    while first < size and out[first] <= 32:
        first += 1
    while size > first and out[size - 1] <= 32:
        size -= 1
    kept = 0
    for index in range(first, size):
        byte = out[index]
        if byte != 9 and byte != 10 and byte != 13:
            out[kept] = byte
            kept += 1
    return kept
