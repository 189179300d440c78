"""The tables as flat arrays, which compiled code can read."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from optout.locators.kernel.memory import PAD
from optout.locators.tables import Group, Proxy, groups, parameters, proxies, text_rules

__all__ = ["ANY", "GROUP", "KINDS", "RULE", "SIZE", "STAMP", "TRACKING", "Packed", "host_slot", "packed"]

KINDS = {"host": 0, "query": 1, "rest": 2, "path": 3}
CLASSES = {"#": 1, "N": 2, "D": 3, "?": 4, "*": 5}
_DIGITS = list(b"0123456789")
_LETTERS = list(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OF_CLASS = {"#": _DIGITS, "N": _DIGITS, "D": _DIGITS, "?": _LETTERS, "*": list(range(256))}
SLOTS = 4096
_SPREAD = 0x9E3779B97F4A7C15


TRACKING, ANY, SIZE, STAMP = 1, 2, 4, 8
"""Classes of parameters."""
RULE = 9
"""Numbers of a row of `Packed.proxies`."""
GROUP = 13
"""Numbers of a row of `Packed.groups`."""


class Packed(NamedTuple):
    """What the kernel reads: arrays outside of compiled code, pointers within.

    Lists of byte strings are one array of bytes and one of begins and ends; lists of lists are ranges. All
    patterns are in one list, all words in another.
    """

    bytes: Any
    """uint8: patterns, then words, hosts and replacements, one after the other."""
    patterns: Any
    """int64[n, 4]: begin and end of every pattern in `bytes`, fewest and most bytes that it matches."""
    words: Any
    """int64[n, 2]: begin and end of every word."""
    hosts: Any
    """int64[n, 4]: begin and end of a host, its group or -1, its proxies as bits; by slot."""
    slots: Any
    """uint16[SLOTS + 1]: the first of the hosts of every slot (the hash of a host's last six bytes)."""
    groups: Any
    """int64[n, 13]: ranges of last, segments, prefixes, suffixes, host, cut; whether the query is dropped."""
    longest: Any
    """int64[n]: the most bytes that a suffix pattern of the group can take."""
    suffix_heads: Any
    """uint64[n]: the eight bytes with which a suffix pattern of the group, or of every host, can begin."""
    segment_heads: Any
    """uint8[256]: whether a segment that is left out on every host can begin with the byte."""
    proxies: Any
    """int64[n, 9]: kind, for every host, range of after, option, range of names, pattern of at, flags."""
    everywhere: Any
    """uint8[256, 256]: the two bytes after the path's slash can belong to a rule for every host."""
    names: Any
    """int64[n, 3]: begin and end of a parameter's name, its classes as bits; by slot."""
    name_slots: Any
    """int64[257]: the first of the names of every slot."""
    prefix_heads: Any
    """uint8[256]: whether a tracking parameter known by its beginning can begin with the byte."""
    prefix_first: int
    prefix_last: int
    references: Any
    """int64[n, 3]: begin of a reference's name, end of the text behind it, number of bytes of that text."""
    reference_count: int
    proxy_count: int


class _Store:
    """Appends byte strings and hands out their places."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.patterns: list[tuple[int, ...]] = []
        self.words: list[tuple[int, int]] = []

    def add(self, text: bytes) -> tuple[int, int]:
        begin = len(self.data)
        self.data += text
        return begin, len(self.data)

    def add_patterns(self, patterns: Sequence[str]) -> tuple[int, int]:
        begin = len(self.patterns)
        for pattern in patterns:
            place = self.add(bytes(CLASSES.get(char, ord(char)) for char in pattern))
            self.patterns.append((*place, *(sum(sizes) for sizes in zip(*map(_sizes, pattern), strict=True))))
        return begin, len(self.patterns)

    def add_words(self, words: Iterable[bytes]) -> tuple[int, int]:
        begin = len(self.words)
        self.words.extend(self.add(word) for word in sorted(words))
        return begin, len(self.words)


@cache
def packed() -> Packed:
    """The tables, packed once."""
    store = _Store()
    common = groups()[0]
    if common.hosts or common.last or common.prefixes or common.cut or common.host or common.query != "keep":
        raise ValueError("the first group of sizes.toml is for every host: segments and suffixes only")
    group_rows = [_group_row(store, group) for group in groups()]
    proxy_rows = [_proxy_row(store, proxy) for proxy in proxies()]
    hosts, slots = _host_table(store)
    tracking = text_rules().tracking_prefixes
    prefixes = store.add_words(tracking)
    names, name_slots = _name_table(store)
    references = [(*store.add(name), len(store_text)) for name, store_text in _references(store)]
    return Packed(
        np.frombuffer(bytes(store.data) + bytes(PAD), np.uint8).copy(),
        _table(store.patterns),
        _table(store.words),
        hosts,
        slots,
        _table(group_rows),
        np.array([_longest(group.suffixes) for group in groups()], np.int64),
        np.array([_suffix_heads((*common.suffixes, *group.suffixes)) for group in groups()], np.uint64),
        _heads(pattern[0] for pattern in groups()[0].segments),
        _table(proxy_rows),
        _everywhere(),
        names,
        name_slots,
        _heads(chr(prefix[0]) for prefix in tracking),
        *prefixes,
        _table(references),
        len(references),
        len(proxy_rows),
    )


def _references(store: _Store) -> list[tuple[bytes, bytes]]:
    return [(name + text, text) for name, text in text_rules().references.items()]


def _table(rows: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array(rows, np.int64).ravel()


def _group_row(store: _Store, group: Group) -> list[int]:
    if any(len(group.host) > len(host) for host in group.hosts):
        raise ValueError(f"the host of group {group.name!r} is longer than one that it replaces")
    lists = (group.last, group.segments, group.prefixes, group.suffixes)
    ranges = [bound for patterns in lists for bound in store.add_patterns(patterns)]
    return [*ranges, *store.add(group.host), *store.add(group.cut), int(group.query == "drop")]


def _proxy_row(store: _Store, proxy: Proxy) -> list[int]:
    after, names = store.add_patterns(proxy.after), store.add_words(proxy.names)
    at = store.add_patterns([proxy.at])[0] if proxy.at else -1
    option = proxy.options[0] if proxy.options else 0
    flags = int(proxy.bare) + 2 * int(proxy.relative)
    return [KINDS[proxy.kind], int(not proxy.hosts), *after, option, *names, at, flags]


def host_slot(tail: bytes) -> int:
    """The slot of a host by its last six bytes."""
    return (int.from_bytes(tail[-6:], "little") * _SPREAD % 2**64) >> 52


def _host_table(store: _Store) -> tuple[np.ndarray, np.ndarray]:
    found: dict[bytes, list[int]] = {}
    for number, group in enumerate(groups()):
        for host in group.hosts:
            found.setdefault(host, [-1, 0])[0] = number
    for number, proxy in enumerate(proxies()):
        for host in proxy.hosts:
            found.setdefault(host, [-1, 0])[1] |= 1 << number
    ordered = sorted(found.items(), key=lambda item: (host_slot(item[0]), item[0]))
    short = [host for host in found if len(host) < 6]
    if short:
        raise ValueError(f"hosts of the tables need six bytes: {short}")
    rows = [[*store.add(host), *fields] for host, fields in ordered]
    counts = np.bincount([host_slot(host) for host, _ in ordered], minlength=SLOTS)
    return _table(rows), np.concatenate([[0], np.cumsum(counts)]).astype(np.uint16)


def _sizes(token: str) -> tuple[int, int]:
    """The fewest and the most bytes that a token of a pattern matches."""
    return {"#": (1, 5), "N": (2, 5), "D": (5, 9), "*": (0, 1 << 20)}.get(token, (1, 1))


def _longest(patterns: Sequence[str]) -> int:
    return max((sum(_sizes(token)[1] for token in pattern) for pattern in patterns), default=0)


def _name_slot(name: bytes) -> int:
    return (name[0] + 5 * name[-1] + 31 * len(name)) & 0xFF if name else 0


def _name_table(store: _Store) -> tuple[np.ndarray, np.ndarray]:
    sizes = parameters()
    lists = {TRACKING: text_rules().tracking_names, ANY: sizes.any, SIZE: sizes.size, STAMP: sizes.stamp}
    classes = {name: 0 for names in lists.values() for name in names}
    for bit, names in lists.items():
        for name in names:
            classes[name] |= bit
    ordered = sorted(classes, key=lambda name: (_name_slot(name), name))
    counts = np.bincount([_name_slot(name) for name in ordered], minlength=256)
    rows = [(*store.add(name), classes[name]) for name in ordered]
    return _table(rows), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _heads(firsts: Iterable[str]) -> np.ndarray:
    heads = np.zeros(256, np.uint8)
    for first in firsts:
        if first in CLASSES:
            heads[_OF_CLASS[first]] = 1
        else:
            heads[[ord(first.lower()), ord(first.upper())]] = 1
    return heads


def _suffix_heads(patterns: Sequence[str]) -> int:
    """The bytes with which the patterns can begin, as one number; some of them again where they are few."""
    heads = np.flatnonzero(_heads(pattern[0] for pattern in patterns))
    if len(heads) > 8:
        raise ValueError(f"suffixes begin with {len(heads)} different bytes: eight is the most")
    return int.from_bytes(np.resize(heads, 8).astype(np.uint8).tobytes(), "little")


def _everywhere() -> np.ndarray:
    """Which paths may belong to the rules for every host that name a path."""
    table = np.zeros((256, 256), np.uint8)
    for proxy in proxies():
        for pattern in () if proxy.hosts else (*proxy.after, *([proxy.at] if proxy.at else [])):
            for first in {pattern[1].lower(), pattern[1].upper()}:
                for second in {pattern[2].lower(), pattern[2].upper()}:
                    table[ord(first), ord(second)] = 1
    return table.ravel()
