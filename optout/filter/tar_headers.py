"""The compiled walk over a tar's headers: numbers only, nothing is believed."""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled

__all__ = ["Fault", "walk"]

Bytes = npt.NDArray[np.uint8]


class Fault(IntEnum):
    """Why a walk ended."""

    END = 0
    MORE = 1
    CUT = 2
    CHECKSUM = 3
    NUMBER = 4
    EXTENSION = 5
    SPARSE = 6


_END, _MORE, _CUT, _CHECKSUM = int(Fault.END), int(Fault.MORE), int(Fault.CUT), int(Fault.CHECKSUM)
_NUMBER, _EXTENSION, _SPARSE = int(Fault.NUMBER), int(Fault.EXTENSION), int(Fault.SPARSE)

_BLOCK = 512
#: Where the parts of a header are: offset, length.
_NAME, _SIZE, _SUM, _PREFIX = (0, 100), (124, 12), (148, 8), (345, 155)
_TYPE, _MAGIC = 156, 257
#: No file is larger: what is added to a size of that order cannot overflow.
_LARGEST = 1 << 60
# What pax headers say that matters here, and what GNU's sparse files have in common.
_PATH = np.frombuffer(b"path", np.uint8).copy()
_PAX_SIZE = np.frombuffer(b"size", np.uint8).copy()
_GNU_SPARSE = np.frombuffer(b"GNU.sparse", np.uint8).copy()
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _OLD_SPARSE = (ord(letter) for letter in "LKxgS")
# Types without content, whatever size their headers state: links, devices, directories, pipes.
_EMPTY_FIRST, _EMPTY_LAST = ord("1"), ord("6")


@compiled
def walk(data: Bytes, position: int, table: Any) -> tuple[int, int, int]:
    """Read headers from `position` on.

    Args:
        data: the whole file.
        position: where a member begins.
        table: int64[n, 9], filled with a row a member: start, data, size, end, type, name's position and
            length, prefix's position and length (0 where there is none).

    Returns:
        How many rows were filled; where the walk stopped; a `Fault`: `END`, or `MORE` when the table is full.
    """
    told = np.empty(3, np.int64)
    for found in range(len(table)):
        start = position
        told[0], told[1], told[2] = -1, 0, -1
        fault, position = _extensions(data, position, told)
        if fault == _END and start != position:
            fault = _CUT
        if fault != _MORE:
            return found, position if fault != _CUT else start, fault
        fault, position = _member(data, start, position, told, table[found])
        if fault != _MORE:
            return found, position if fault != _CUT else start, fault
    return len(table), position, _MORE


@compiled
def _extensions(data: Bytes, position: int, told: Any) -> tuple[int, int]:
    """Pass over the extended headers of a member: why it stopped (`MORE`: at the member's own), and where.

    What they say is left in `told`: the name's position and length, the size; -1 where they do not.
    """
    while True:
        fault, stated = _check(data, position)
        if fault != _MORE:
            return fault, position
        kind, content = data[position + _TYPE], position + _BLOCK
        if kind not in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            return _MORE, position
        if content + stated > len(data):
            return _CUT, position
        if kind in (_PAX, _PAX_GLOBAL):
            fault, name_at, name_length, size = _pax(data, content, content + stated)
            if fault != _END:
                return fault, position
        else:
            name_at, size = content if kind == _LONG_NAME else -1, -1
            name_length = _length(data, content, stated)
        # One name or size for all members makes no sense; of two, programs differ in which they believe.
        twice = (name_at >= 0 and told[0] >= 0) or (size >= 0 and told[2] >= 0)
        if twice or (kind == _PAX_GLOBAL and (name_at >= 0 or size >= 0)):
            return _EXTENSION, position
        if name_at >= 0:
            told[0], told[1] = name_at, name_length
        told[2] = max(told[2], size)
        position = content + _padded(stated)


@compiled
def _check(data: Bytes, position: int) -> tuple[int, int]:
    """Whether a header is at `position` (`MORE`) or what else, and the size that it states."""
    if position + _BLOCK > len(data):
        return _CUT, 0
    if _is_zero(data, position):
        return _END, 0
    if not _sum_holds(data, position):
        return _CHECKSUM, 0
    stated = _number(data, position + _SIZE[0], _SIZE[1])
    return (_MORE, stated) if stated >= 0 else (_NUMBER, 0)


@compiled
def _member(data: Bytes, start: int, position: int, told: Any, row: Any) -> tuple[int, int]:
    """Fill the row of the member whose own header is at `position`; returns `MORE` and the next position."""
    kind = data[position + _TYPE]
    if kind == _OLD_SPARSE:
        return _SPARSE, position
    size = told[2]
    if size < 0:
        size = 0 if _EMPTY_FIRST <= kind <= _EMPTY_LAST else _number(data, position + _SIZE[0], _SIZE[1])
    content = position + _BLOCK
    end = content + _padded(size)
    if end > len(data):
        return _CUT, position
    row[0], row[1], row[2], row[3], row[4] = start, content, size, end, kind
    row[5], row[6], row[7], row[8] = told[0], told[1], 0, 0
    if told[0] < 0:
        _own_name(data, position, row)
    return _MORE, end


@compiled
def _is_zero(data: Bytes, position: int) -> bool:
    return not data[position : position + _BLOCK].any()


@compiled
def _sum_holds(data: Bytes, position: int) -> bool:
    """Whether the header's checksum is right, over signed or unsigned bytes (old programs differ)."""
    stated = _number(data, position + _SUM[0], _SUM[1])
    total, high = 0, 0
    # Without a branch many bytes are added at once; the field itself counts as blanks.
    for byte in data[position : position + _BLOCK]:
        total += int(byte)
        high += int(byte) >> 7
    for byte in data[position + _SUM[0] : position + _SUM[0] + _SUM[1]]:
        total += 32 - int(byte)
        high -= int(byte) >> 7
    return bool(stated in (total, total - 256 * high))


@compiled
def _number(data: Bytes, at: int, length: int) -> int:
    """A number in octal digits, or after a set first bit in base 256; -1 if it is none or too large."""
    value = 0
    if data[at] & 0x80:
        value = int(data[at]) & 0x7F
        for index in range(at + 1, at + length):
            if value > _LARGEST >> 8:
                return -1
            value = value << 8 | int(data[index])
        return value
    index, end = at, at + length
    while index < end and data[index] == 32:
        index += 1
    while index < end and data[index] != 0 and data[index] != 32:
        digit = int(data[index]) - 48
        if digit < 0 or digit > 7 or value > _LARGEST >> 3:
            return -1
        value = value << 3 | digit
        index += 1
    return value


@compiled
def _padded(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


@compiled
def _length(data: Bytes, at: int, most: int) -> int:
    """Bytes from `at` on before a zero."""
    count = 0
    while count < most and data[at + count]:
        count += 1
    return count


@compiled
def _own_name(data: Bytes, position: int, row: Any) -> None:
    """The name as the header itself has it; only POSIX headers have a prefix to it."""
    row[5], row[6] = position + _NAME[0], _length(data, position + _NAME[0], _NAME[1])
    magic = position + _MAGIC
    if data[magic] == 117 and data[magic + 5] == 0:  # "ustar" and a zero; GNU's ends in a space
        row[7] = position + _PREFIX[0]
        row[8] = _length(data, position + _PREFIX[0], _PREFIX[1])


@compiled
def _pax(data: Bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """What a pax header says: a `Fault` (`END`: none), the path's position and length, the size or -1."""
    path_at, path_length, size = -1, 0, -1
    while at < end and data[at]:
        length, index = 0, at
        while index < end and 48 <= data[index] <= 57 and length < _LARGEST // 10:
            length = length * 10 + int(data[index]) - 48
            index += 1
        last = at + length - 1
        if index == at or index >= end or data[index] != 32 or last >= end or last <= index:
            return _EXTENSION, -1, 0, -1
        key = index + 1
        value = key
        while value < last and data[value] != 61:
            value += 1
        if value == last or data[last] != 10:
            return _EXTENSION, -1, 0, -1
        if _begins(data, key, value, _GNU_SPARSE):
            return _SPARSE, -1, 0, -1
        if value - key == len(_PATH) and _begins(data, key, value, _PATH):
            path_at, path_length = value + 1, last - value - 1
        elif value - key == len(_PAX_SIZE) and _begins(data, key, value, _PAX_SIZE):
            size = _decimal(data, value + 1, last)
            if size < 0:
                return _NUMBER, -1, 0, -1
        at = last + 1
    return _END, path_at, path_length, size


@compiled
def _begins(data: Bytes, at: int, end: int, word: Bytes) -> bool:
    if end - at < len(word):
        return False
    return bool((data[at : at + len(word)] == word).all())


@compiled
def _decimal(data: Bytes, at: int, end: int) -> int:
    value = 0
    for index in range(at, end):
        digit = int(data[index]) - 48
        if digit < 0 or digit > 9 or value > _LARGEST // 10:
            return -1
        value = value * 10 + digit
    return value if end > at else -1
