"""Scheme and authority: from the beginning of a text to the end of its host and port."""

# numba compiles plain loops, and what they return only numba knows.
# ruff: noqa: SIM110
# mypy: disable-error-code="no-any-return"

from typing import Any

import numpy as np

from optout.compiled import compiled, inlined
from optout.locators.kernel.memory import load64
from optout.locators.kernel.patterns import is_digit, lower
from optout.locators.kernel.vector import WIDTH, copy_host_run
from optout.locators.status import LocatorStatus

__all__ = ["AGAIN", "HARD", "after_scheme", "read_authority"]

HARD = 255
"""Status of what only the plain implementation can do: hosts in IPv6, beyond ASCII or percent-encoded."""

AGAIN = 254
"""Status of a text that must be cleaned first."""

_CASES = np.uint64(0x20202020)
_CASES_OF_HTTPS, _CASES_OF_HTTP = np.uint64(0x2020202020), np.uint64(0x20202020)
_HTTPS = np.uint64(int.from_bytes(b"https://", "little"))
_HTTP = np.uint64(int.from_bytes(b"http://", "little"))
_SEVEN = np.uint64((1 << 56) - 1)
_FOUR = np.uint64(0xFFFFFFFF)
_WWW = np.uint64(int.from_bytes(b"www.", "little"))
_ONE, _LAST = np.uint64(1), np.uint64(WIDTH - 1)
_HOST = int(LocatorStatus.HOST)
_PORT = int(LocatorStatus.PORT)


def _host_classes() -> np.ndarray:
    """What a byte is in an authority: 0 of a host, 1 the end, 2 anything else."""
    table = np.full(256, 2, np.uint8)
    for byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.":
        table[byte] = 0
    for byte in b"/\\?#":
        table[byte] = 1
    return table


_CLASS = _host_classes()


@compiled
def _is_slash(byte: int) -> bool:
    return byte == 47 or byte == 92


@compiled
def _other_beginning(text: Any, end: int) -> int:
    """Where the host begins in a text that does not begin with http; -1 when it has no host."""
    at = 0
    while at < end and (
        97 <= lower(text[at]) <= 122 or (at > 0 and (is_digit(text[at]) or text[at] == 43 or text[at] == 45))
    ):
        at += 1
    if at > 0 and at < end and text[at] == 58:
        return -1
    slashes = 0
    while slashes < end and _is_slash(text[slashes]):
        slashes += 1
    if slashes == 1:
        return -1
    if slashes > 1 or text[0] == 91:
        return slashes
    at = 0
    while at < end and _CLASS[text[at]] != 1:
        if text[at] == 46:
            return 0
        at += 1
    return -1


@compiled
def _after_slashes(text: Any, at: int, end: int) -> int:
    while at < end and _is_slash(text[at]):
        at += 1
    return at


@inlined
def after_scheme(text: Any, end: int) -> int:
    """Where the host begins in `text[:end]`; -1 when the scheme is not http(s) or there is none."""
    if end >= 8:
        head = load64(text, 0)
        if (head | _CASES_OF_HTTPS) == _HTTPS:
            return _after_slashes(text, 8, end)
        if (head | _CASES_OF_HTTP) & _SEVEN == _HTTP:
            return _after_slashes(text, 7, end)
    at = 4
    if (
        end < 5
        or lower(text[0]) != 104
        or lower(text[1]) != 116
        or lower(text[2]) != 116
        or lower(text[3]) != 112
    ):
        return _other_beginning(text, end)
    if lower(text[4]) == 115:
        at = 5
    if at >= end or text[at] != 58:
        return _other_beginning(text, end)
    return _after_slashes(text, at + 1, end)


@compiled
def _write_port(text: Any, begin: int, end: int, out: Any, at: int) -> int:
    """Write `:port` unless it is the usual one; the new end, or -1 when it is no port."""
    value = 0
    for index in range(begin, end):
        if not is_digit(text[index]):
            return -1
        value = min(value * 10 + int(text[index]) - 48, 100_000)
    if value > 65535:
        return -1
    if begin == end or value == 80 or value == 443:
        return at
    divisor = 10_000
    while divisor > 1 and value < divisor:
        divisor //= 10
    out[at] = 58
    at += 1
    while divisor:
        out[at] = 48 + value // divisor % 10
        at += 1
        divisor //= 10
    return at


@compiled
def _begins_with_www(text: Any, begin: int, end: int) -> bool:
    if end - begin < 5 or text[begin + 3] != 46 or lower(text[begin]) != 119:
        return False
    if lower(text[begin + 1]) != 119 or lower(text[begin + 2]) != 119:
        return False
    for index in range(begin + 4, end):
        if text[index] == 46:
            return True
    return False


@compiled
def _write_host(text: Any, begin: int, end: int, out: Any, at: int) -> int:
    """Write the canonical host; its end, or -1 when it is none."""
    while end > begin and text[end - 1] == 46:
        end -= 1
    while _begins_with_www(text, begin, end):
        begin += 4
    if end - begin > 253 or begin == end:
        return -1
    dots = 0
    before = 46
    for index in range(begin, end):
        byte = lower(text[index])
        if byte == 46:
            if before == 46:
                return -1
            dots += 1
        elif _CLASS[byte] != 0:
            return -1
        out[at] = byte
        at += 1
        before = byte
    return at if dots else -1


@compiled
def _odd_authority(text: Any, begin: int, end: int, clean: bool) -> tuple[int, int, int]:
    """(status, begin, end) of the host in an authority with user info, a port or anything unusual."""
    for index in range(end - 1, begin - 1, -1):
        if text[index] == 64:
            if not clean:
                return AGAIN, 0, 0
            begin = index + 1
            break
    if begin < end and text[begin] == 91:
        return HARD, 0, 0
    colon = -1
    for index in range(begin, end):
        byte = text[index]
        if byte >= 128 or byte == 37:
            return HARD, 0, 0
        if byte == 58:
            if colon >= 0:
                return _HOST, 0, 0
            colon = index
    return 0, begin, end if colon < 0 else colon


@compiled
def _plain_authority(text: Any, begin: int, end: int, out: Any, at: int) -> tuple[int, int]:
    """Write the host of an authority that is nothing but a host, as nearly all are.

    Returns:
        Where it ends in `text` and in `out`; 0 for the latter when it needs a closer look.
    """
    if end - begin > 4 and (load64(text, begin) | _CASES) & _FOUR == _WWW:
        begin += 4
    size, seen, carry, doubled = 0, np.uint64(0), _ONE, np.uint64(0)
    run = WIDTH
    while run == WIDTH and size < 256:
        run, dots = copy_host_run(text, begin + size, end, out, at + size)
        doubled |= dots & (dots << _ONE | carry)
        seen |= dots
        carry = dots >> _LAST
        size += run
    stop = begin + size
    if stop < end and _CLASS[text[stop]] != 1:
        return 0, 0
    if doubled or not seen or size > 253 or out[at + size - 1] == 46 or load64(out, at) & _FOUR == _WWW:
        return 0, 0
    return stop, at + size


@inlined
def read_authority(
    text: Any, begin: int, end: int, out: Any, at: int, clean: bool
) -> tuple[int, int, int, int]:
    """Write the canonical host and port of the authority that begins at `begin`.

    Returns:
        Status, where the authority ends in `text`, where host and port end in `out`.
    """
    stop, host_end = _plain_authority(text, begin, end, out, at)
    if host_end:
        return 0, stop, host_end, host_end
    stop = begin
    odd = False
    while stop < end:
        kind = _CLASS[text[stop]]
        if kind == 1:
            break
        if kind == 2:
            odd = True
        stop += 1
    status, first, last = 0, begin, stop
    if odd:
        status, first, last = _odd_authority(text, begin, stop, clean)
        if status:
            return status, 0, 0, 0
    host_end = _write_host(text, first, last, out, at)
    if host_end < 0:
        return _HOST, 0, 0, 0
    port_end = host_end
    if last < stop:
        port_end = _write_port(text, last + 1, stop, out, host_end)
        if port_end < 0:
            return _PORT, 0, 0, 0
    return 0, stop, host_end, port_end
