"""The rules as data: HTML references, tracking parameters, image proxies, size tokens.

The TOML files in `data/` are read once; the plain implementation and the kernel are built from what is here.
"""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

__all__ = [
    "IMAGE_EXTENSIONS",
    "Group",
    "Parameters",
    "Proxy",
    "TextRules",
    "groups",
    "parameters",
    "pattern_regex",
    "proxies",
    "shared_hosts",
    "text_rules",
]

IMAGE_EXTENSIONS = (b".jpg", b".jpeg", b".png", b".gif", b".webp")

_CLASSES = {
    "#": rb"[0-9]{1,5}(?![0-9])",
    "N": rb"[0-9]{2,5}(?![0-9])",
    # Two digits on both sides are as often inches as pixels: they count only when equal and 30 or more.
    "D": rb"(?:[0-9]{3,4}x[0-9]{2,4}|[0-9]{2}x[0-9]{3,4}|([3-9][0-9])x\1)(?![0-9])",
    "?": rb"[a-z]",
    "*": rb"[^/]*",
}


class TextRules(NamedTuple):
    """References undone and parameters dropped by the canonical form."""

    references: dict[bytes, bytes]
    tracking_prefixes: tuple[bytes, ...]
    tracking_names: frozenset[bytes]


class Proxy(NamedTuple):
    """Where one kind of image proxy keeps the address it fetches; data/proxies.toml explains the fields."""

    name: str
    kind: str
    hosts: tuple[bytes, ...] = ()
    after: tuple[str, ...] = ()
    options: bytes = b""
    names: frozenset[bytes] = frozenset()
    at: str = ""
    bare: bool = False
    relative: bool = False
    examples: tuple[tuple[str, str], ...] = ()


class Group(NamedTuple):
    """Size tokens of one service; data/sizes.toml explains the fields."""

    name: str
    hosts: tuple[bytes, ...] = ()
    host: bytes = b""
    cut: bytes = b""
    last: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    query: str = "keep"
    examples: tuple[tuple[str, str], ...] = ()


class Parameters(NamedTuple):
    """Query parameters that never tell pictures apart, by what their value must look like."""

    any: frozenset[bytes]
    size: frozenset[bytes]
    stamp: frozenset[bytes]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("optout.locators").joinpath("data", name).read_text("utf-8"))


def _names(texts: list[str]) -> frozenset[bytes]:
    return frozenset(text.encode() for text in texts)


@cache
def text_rules() -> TextRules:
    """The rules of data/text.toml."""
    data = _read("text.toml")
    tracking = data["tracking"]
    references = {name.encode(): value.encode() for name, value in data["references"].items()}
    prefixes = tuple(prefix.encode() for prefix in tracking["prefixes"])
    return TextRules(references, prefixes, _names(tracking["names"]))


@cache
def proxies() -> tuple[Proxy, ...]:
    """The rules of data/proxies.toml, in the order in which they are tried."""
    return tuple(_proxy(entry) for entry in _read("proxies.toml")["proxy"])


def _proxy(entry: dict[str, Any]) -> Proxy:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    fields["hosts"] = tuple(host.encode() for host in entry.get("hosts", ()))
    fields["options"] = entry.get("options", "").encode()
    fields["names"] = _names(entry.get("names", []))
    fields["examples"] = tuple((address, origin) for address, origin in entry["examples"])
    return Proxy(**fields)


@cache
def groups() -> tuple[Group, ...]:
    """The groups of data/sizes.toml; the first, without hosts, is for every host."""
    return tuple(_group(entry) for entry in _read("sizes.toml")["group"])


def _group(entry: dict[str, Any]) -> Group:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    fields["hosts"] = tuple(host.encode() for host in entry.get("hosts", ()))
    fields["host"] = entry.get("host", "").encode()
    fields["cut"] = entry.get("cut", "").encode()
    fields["examples"] = tuple((locator, key) for locator, key in entry["examples"])
    return Group(**fields)


@cache
def parameters() -> Parameters:
    """The parameters of data/sizes.toml."""
    data = _read("sizes.toml")["parameters"]
    return Parameters(_names(data["any"]), _names(data["size"]), _names(data["stamp"]))


@cache
def shared_hosts() -> frozenset[str]:
    """Hosts that count as public suffixes besides those of the public suffix list."""
    return frozenset(_read("domains.toml")["shared"])


@cache
def pattern_regex(pattern: str) -> re.Pattern[bytes]:
    """A pattern of the tables as a regular expression; what is no `#`, `N`, `D`, `?` or `*` is literal."""
    parts = [_CLASSES.get(char, re.escape(char.encode())) for char in pattern]
    return re.compile(b"".join(parts), re.IGNORECASE)
