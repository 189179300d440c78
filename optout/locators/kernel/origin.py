"""The address that a proxy's locator wraps, into the text buffer."""

# numba compiles plain loops, and what they return only numba knows.
# ruff: noqa: SIM110
# mypy: disable-error-code="no-any-return"

from typing import Any

import numpy as np

from optout.compiled import compiled, inlined
from optout.locators.kernel.memory import PAD, copy_bytes, load64
from optout.locators.kernel.packed import KINDS, RULE
from optout.locators.kernel.patterns import PATTERN, find_word, is_digit, lower, match, match_any
from optout.locators.kernel.scan import COLON, END, FLAGS, HTTP, NETLOC_END, PATH_END
from optout.locators.kernel.text import hex_value

__all__ = ["host_rules", "may_wrap", "wrapped_text"]

_KIND, _EVERY, _AFTER, _OPTION, _NAMES, _AT, _FLAGS = 0, 1, 2, 4, 5, 7, 8
_QUERY, _REST, _PATH = KINDS["query"], KINDS["rest"], KINDS["path"]
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_SIXTEEN, _FIFTY_TWO = np.uint64(16), np.uint64(52)


@compiled
def _under(text: Any, begin: int, end: int, store: Any, first: int, size: int) -> bool:
    """Whether the host `text[begin:end]` is the stored one or below it."""
    start = end - size
    if start < begin or (start > begin and text[start - 1] != 46):
        return False
    for offset in range(size):
        if text[start + offset] != store[first + offset]:
            return False
    return True


@inlined
def host_rules(packed: Any, text: Any, host_end: int) -> tuple[int, int]:
    """The size group of the host `text[PAD:host_end]` (0: none of its own) and its proxies as bits."""
    slot = ((load64(text, host_end - 8) >> _SIXTEEN) * _SPREAD) >> _FIFTY_TWO
    first, last = packed.slots[slot], packed.slots[slot + np.uint64(1)]
    group, bits, longest = 0, 0, 0
    for index in range(first, last):
        size = packed.hosts[4 * index + 1] - packed.hosts[4 * index]
        if _under(text, PAD, host_end, packed.bytes, packed.hosts[4 * index], size):
            bits |= packed.hosts[4 * index + 3]
            if packed.hosts[4 * index + 2] >= 0 and size > longest:
                group, longest = packed.hosts[4 * index + 2], size
    return group, bits


@inlined
def may_wrap(packed: Any, text: Any, meta: Any, proxies: int) -> bool:
    """Whether it is worth trying the rules: nearly always not."""
    if proxies or meta[FLAGS] & (COLON | HTTP):
        return True
    at = meta[NETLOC_END]
    return bool(packed.everywhere[256 * int(text[at + 1]) + int(text[at + 2])])


@compiled
def _decode(text: Any, begin: int, end: int, out: Any) -> int:
    """Percent-decode `text[begin:end]` into `out`; the number of bytes."""
    size = 0
    at = begin
    while at < end:
        byte = int(text[at])
        if byte == 37 and at + 2 < end:
            high, low = hex_value(text[at + 1]), hex_value(text[at + 2])
            if high >= 0 and low >= 0:
                byte = high * 16 + low
                at += 2
        out[size] = byte
        size += 1
        at += 1
    return size


@compiled
def _host_like(text: Any, begin: int, end: int) -> int:
    """Where a host-like first segment ends in `text[begin:end]`, before its slash; -1 when there is none."""
    at = begin
    label = begin
    dots = 0
    letters = True
    while at < end and text[at] != 47:
        byte = lower(text[at])
        if byte == 46:
            if at == label:
                return -1
            label = at + 1
            dots += 1
            letters = True
        elif is_digit(byte) or byte == 45:
            letters = False
        elif not 97 <= byte <= 122:
            return -1
        at += 1
    if at >= end or not dots or not letters or not 2 <= at - label <= 24:
        return -1
    return at


@compiled
def _http(text: Any, at: int, end: int) -> int:
    """Where `http` or `https` from `at` on ends, or -1."""
    if at + 4 > end or lower(text[at]) != 104 or lower(text[at + 1]) != 116 or lower(text[at + 2]) != 116:
        return -1
    if lower(text[at + 3]) != 112:
        return -1
    return at + 5 if at + 4 < end and lower(text[at + 4]) == 115 else at + 4


@compiled
def _is_absolute(text: Any, end: int) -> bool:
    at = _http(text, 0, end)
    return at >= 0 and at + 1 < end and text[at] == 58 and text[at + 1] == 47


@compiled
def _after(packed: Any, rule: int, text: Any, begin: int, end: int) -> int:
    first, last = packed.proxies[RULE * rule + _AFTER], packed.proxies[RULE * rule + _AFTER + 1]
    at = match_any(packed.bytes, packed.patterns, first, last, text, begin, end)
    return at if at < end else -1


@compiled
def _host_in_path(packed: Any, rule: int, text: Any, begin: int, end: int, out: Any) -> int:
    start = _after(packed, rule, text, begin, end)
    if start < 0:
        return 0
    host_end = _host_like(text, start, end)
    if host_end < 0:
        return 0
    rest = host_end + 1
    option = packed.proxies[RULE * rule + _OPTION]
    if option:
        stop = rest
        found = False
        while stop < end and text[stop] != 47:
            found |= text[stop] == option
            stop += 1
        if found and stop < end:
            rest = stop + 1
    size = host_end + 1 - start
    copy_bytes(text, start, size, out, 0)
    copy_bytes(text, rest, end - rest, out, size)
    return size + end - rest


@compiled
def _rest_of_path(packed: Any, rule: int, text: Any, begin: int, end: int, out: Any) -> int:
    start = _after(packed, rule, text, begin, end)
    if start < 0:
        return 0
    size = begin - PAD
    copy_bytes(text, PAD, size, out, 0)
    out[size] = 47
    copy_bytes(text, start, end - start, out, size + 1)
    return size + 1 + end - start


@compiled
def _use_value(flags: int, text: Any, netloc_end: int, out: Any, size: int) -> int:
    """The number of bytes of the address in the decoded value `out[:size]`, or 0 when it is none."""
    if _is_absolute(out, size) or (flags & 1 and _host_like(out, 0, size) >= 0):
        return size
    if flags & 2 and size and out[0] == 47 and not (size > 1 and out[1] == 47):
        netloc = netloc_end - PAD
        for index in range(size - 1, -1, -1):
            out[index + netloc] = out[index]
        copy_bytes(text, PAD, netloc, out, 0)
        return size + netloc
    return 0


@compiled
def _url_in_query(packed: Any, rule: int, text: Any, meta: Any, out: Any) -> int:
    path_end, end = meta[PATH_END], meta[END]
    pattern = packed.proxies[RULE * rule + _AT]
    if pattern >= 0:
        first, last = packed.patterns[PATTERN * pattern], packed.patterns[PATTERN * pattern + 1]
        if match(packed.bytes, first, last, text, meta[NETLOC_END], path_end) != path_end:
            return 0
    first, last = packed.proxies[RULE * rule + _NAMES], packed.proxies[RULE * rule + _NAMES + 1]
    at = path_end + 1
    while at < end:
        stop = at
        equals = -1
        while stop < end and text[stop] != 38:
            if text[stop] == 61 and equals < 0:
                equals = stop
            stop += 1
        name_end, value = (equals, equals + 1) if equals >= 0 else (at, at)
        if find_word(packed.bytes, packed.words, first, last, text, at, name_end):
            size = _decode(text, value, stop, out)
            size = _use_value(packed.proxies[RULE * rule + _FLAGS], text, meta[NETLOC_END], out, size)
            if size:
                return size
        at = stop + 1
    return 0


@compiled
def _separator(text: Any, at: int, end: int) -> tuple[int, bool]:
    """Where the colon and slash at `at` end (-1: there are none), and whether the slash is encoded."""
    if at + 1 < end and text[at] == 58 and text[at + 1] == 47:
        return at + 2, False
    if at + 3 < end and text[at] == 37 and text[at + 1] == 51 and text[at + 2] == 65:
        if text[at + 3] == 47:
            return at + 4, False
        if at + 5 < end and text[at + 3] == 37 and text[at + 4] == 50 and text[at + 5] == 70:
            return at + 6, True
    return -1, False


@compiled
def _url_in_path(text: Any, meta: Any, out: Any) -> int:
    path_end = meta[PATH_END]
    for at in range(meta[NETLOC_END], path_end):
        word = _http(text, at, path_end)
        if word < 0:
            continue
        after, encoded = _separator(text, word, path_end)
        if after < 0:
            continue
        if encoded:
            stop = at
            while stop < path_end and text[stop] != 47:
                stop += 1
            return _decode(text, at, stop, out)
        out[0], out[1], out[2], out[3], out[4], out[5], out[6] = 104, 116, 116, 112, 58, 47, 47
        copy_bytes(text, after, meta[END] - after, out, 7)
        return 7 + meta[END] - after
    return 0


@compiled
def wrapped_text(packed: Any, text: Any, meta: Any, proxies: int, out: Any) -> int:
    """Write the address that the locator `text[PAD:]` wraps into `out`.

    Returns:
        The number of its bytes, 0 when it wraps none.
    """
    begin, end = meta[NETLOC_END], meta[PATH_END]
    for rule in range(packed.proxy_count):
        if not packed.proxies[RULE * rule + _EVERY] and not (proxies >> rule) & 1:
            continue
        kind = packed.proxies[RULE * rule + _KIND]
        if kind == _QUERY:
            size = _url_in_query(packed, rule, text, meta, out)
        elif kind == _REST:
            size = _rest_of_path(packed, rule, text, begin, end, out)
        elif kind == _PATH:
            size = _url_in_path(text, meta, out)
        else:
            size = _host_in_path(packed, rule, text, begin, end, out)
        if size:
            return size
    return 0
