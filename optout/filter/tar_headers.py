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
    found = 0
    start = position
    name_at, name_length, size = -1, 0, -1
    while True:
        if position + _BLOCK > len(data):
            return found, start, _CUT
        if _is_zero(data, position):
            return found, position, _END if start == position else _CUT
        if not _sum_holds(data, position):
            return found, position, _CHECKSUM
        stated = _number(data, position + _SIZE[0], _SIZE[1])
        if stated < 0:
            return found, position, _NUMBER
        kind = data[position + _TYPE]
        content = position + _BLOCK
        if kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            if content + stated > len(data):
                return found, start, _CUT
            # Programs differ in which of two names they believe.
            if kind == _LONG_NAME and name_at >= 0:
                return found, position, _EXTENSION
            if kind == _LONG_NAME:
                name_at, name_length = content, _length(data, content, stated)
            elif kind == _PAX:
                fault, path_at, path_length, told = _pax(data, content, content + stated)
                if fault != _END:
                    return found, position, fault
                if (path_at >= 0 and name_at >= 0) or (told >= 0 and size >= 0):
                    return found, position, _EXTENSION
                if path_at >= 0:
                    name_at, name_length = path_at, path_length
                size = max(size, told)
            elif kind == _PAX_GLOBAL:
                fault, path_at, path_length, told = _pax(data, content, content + stated)
                # One name or size for all members makes no sense.
                if fault != _END or path_at >= 0 or told >= 0:
                    return found, position, fault if fault != _END else _EXTENSION
            position = content + _padded(stated)
            continue
        if kind == _OLD_SPARSE:
            return found, position, _SPARSE
        if size < 0:
            size = 0 if _EMPTY_FIRST <= kind <= _EMPTY_LAST else stated
        if content + _padded(size) > len(data):
            return found, start, _CUT
        row = table[found]
        row[0], row[1], row[2], row[3], row[4] = start, content, size, content + _padded(size), kind
        row[5], row[6], row[7], row[8] = name_at, name_length, 0, 0
        if name_at < 0:
            _own_name(data, position, row)
        found += 1
        position = content + _padded(size)
        start = position
        name_at, name_length, size = -1, 0, -1
        if found == len(table):
            return found, position, _MORE


@compiled
def _is_zero(data: Bytes, position: int) -> bool:
    for index in range(position, position + _BLOCK):
        if data[index]:
            return False
    return True


@compiled
def _sum_holds(data: Bytes, position: int) -> bool:
    """Whether the header's checksum is right, over signed or unsigned bytes (old programs differ)."""
    stated = _number(data, position + _SUM[0], _SUM[1])
    total, high = 0, 0
    for index in range(_BLOCK):
        byte = np.int64(32) if _SUM[0] <= index < _SUM[0] + _SUM[1] else np.int64(data[position + index])
        total += byte
        high += byte >> 7
    return bool(stated in (total, total - 256 * high))


@compiled
def _number(data: Bytes, at: int, length: int) -> int:
    """A number in octal digits, or after a set first bit in base 256; -1 if it is none or too large."""
    value = np.int64(0)
    if data[at] & 0x80:
        value = np.int64(data[at] & 0x7F)
        for index in range(at + 1, at + length):
            if value > _LARGEST >> 8:
                return -1
            value = value << 8 | data[index]
        return value
    index, end = at, at + length
    while index < end and data[index] == 32:
        index += 1
    while index < end and data[index] != 0 and data[index] != 32:
        digit = data[index] - 48
        if data[index] < 48 or digit > 7 or value > _LARGEST >> 3:
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
            length = length * 10 + (data[index] - 48)
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
    for index in range(len(word)):
        if data[at + index] != word[index]:
            return False
    return True


@compiled
def _decimal(data: Bytes, at: int, end: int) -> int:
    value = np.int64(0)
    for index in range(at, end):
        digit = data[index] - 48
        if data[index] < 48 or digit > 9 or value > _LARGEST // 10:
            return -1
        value = value * 10 + digit
    return value if end > at else -1
