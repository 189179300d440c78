"""Origins and variant keys, in plain Python: the rules of the tables that the kernel is tested against."""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from optout.locators.reference import canonical_bytes, host_of, split_canonical
from optout.locators.status import InvalidLocator
from optout.locators.tables import IMAGE_EXTENSIONS, Group, Proxy, groups, parameters, pattern_regex, proxies

__all__ = ["MAX_ORIGINS", "origins", "variant_key"]

MAX_ORIGINS = 3
MAX_SUFFIXES = 4

_ABSOLUTE = re.compile(rb"https?:/", re.IGNORECASE)
_EMBEDDED = re.compile(rb"(https?)(:/|%3A/|%3A%2F)", re.IGNORECASE)
_HOST_LIKE = re.compile(rb"(?:[a-z0-9-]+\.)+[a-z]{2,24}(?=/)", re.IGNORECASE)
_EXTENSION = re.compile(rb"\.[A-Za-z0-9]{1,5}$")
_SIZE = re.compile(rb"[0-9](?:[0-9xX,.:*]|%2C|%3A)*")
_STAMP = re.compile(rb"[0-9]{9,19}")


def origins(locator: str) -> list[str]:
    """Canonical forms of the addresses that proxies wrap, outermost first, at most three."""
    chain = [locator.encode()]
    while len(chain) <= MAX_ORIGINS:
        wrapped = _wrapped(chain[-1])
        if wrapped is None or wrapped in chain:
            break
        chain.append(wrapped)
    return [text.decode() for text in chain[1:]]


def _wrapped(locator: bytes) -> bytes | None:
    host = host_of(locator.decode()).encode()
    text = next(filter(None, (_candidate(proxy, host, locator) for proxy in proxies())), None)
    if text is None:
        return None
    try:
        return canonical_bytes(text)
    except InvalidLocator:
        return None


def _candidate(proxy: Proxy, host: bytes, locator: bytes) -> bytes | None:
    if proxy.hosts and not any(_under(host, domain) for domain in proxy.hosts):
        return None
    netloc, path, query = split_canonical(locator)
    if proxy.kind == "host":
        return _host_in_path(proxy, path)
    if proxy.kind == "query":
        return _url_in_query(proxy, netloc, path, query)
    if proxy.kind == "rest":
        return _rest_of_path(proxy, netloc, path)
    return _url_in_path(path, query)


def _under(host: bytes, domain: bytes) -> bool:
    return host == domain or host.endswith(b"." + domain)


def _rest(proxy: Proxy, path: bytes) -> bytes | None:
    matches = (pattern_regex(pattern).match(path) for pattern in proxy.after)
    return next((path[match.end() :] for match in matches if match), None)


def _host_in_path(proxy: Proxy, path: bytes) -> bytes | None:
    rest = _rest(proxy, path)
    match = _HOST_LIKE.match(rest) if rest else None
    if rest is None or match is None:
        return None
    option, slash, after = rest[match.end() + 1 :].partition(b"/")
    if proxy.options and slash and proxy.options in option:
        return match[0] + b"/" + after
    return rest


def _rest_of_path(proxy: Proxy, netloc: bytes, path: bytes) -> bytes | None:
    rest = _rest(proxy, path)
    return netloc + b"/" + rest if rest else None


def _url_in_query(proxy: Proxy, netloc: bytes, path: bytes, query: bytes) -> bytes | None:
    if proxy.at and not pattern_regex(proxy.at).fullmatch(path):
        return None
    for name, value in _parameters(query):
        if name not in proxy.names:
            continue
        text = unquote_to_bytes(value)
        if _ABSOLUTE.match(text) or (proxy.bare and _HOST_LIKE.match(text)):
            return text
        if proxy.relative and text.startswith(b"/") and not text.startswith(b"//"):
            return netloc + text
    return None


def _parameters(query: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Lower-case name and value of each parameter; without "=" the name is empty."""
    for piece in query.split(b"&"):
        name, equals, value = piece.partition(b"=")
        yield (name.lower(), value) if equals else (b"", name)


def _url_in_path(path: bytes, query: bytes) -> bytes | None:
    match = _EMBEDDED.search(path)
    if match is None:
        return None
    if match[2].upper() == b"%3A%2F":
        return unquote_to_bytes(path[match.start() :].split(b"/", 1)[0])
    return b"http://" + path[match.end() :] + (b"?" + query if query else b"")


def variant_key(locator: str) -> str:
    """The canonical locator without size and crop tokens. It is a key, not an address."""
    netloc, path, query = split_canonical(locator.encode())
    common, group = groups()[0], _group_of(host_of(locator).encode())
    path = _plain_path(path, common, group)
    pieces = (
        []
        if group.query == "drop"
        else [piece for piece in query.split(b"&") if piece and not _is_size(piece)]
    )
    query = b"&".join(pieces)
    return ((group.host or netloc) + path + (b"?" + query if query else b"")).decode()


def _group_of(host: bytes) -> Group:
    """The group of the longest domain above the host that has one."""
    named = [(len(domain), group) for group in groups() for domain in group.hosts if _under(host, domain)]
    return max(named, key=lambda pair: pair[0], default=(0, groups()[0]))[1]


def _plain_path(path: bytes, common: Group, group: Group) -> bytes:
    cut = path.find(group.cut) if group.cut else -1
    if cut > 0:
        path = path[:cut]
    *before, last = path.split(b"/")[1:] or [b""]
    kept = [segment for segment in before if not _matches(common.segments + group.segments, segment)]
    if not _matches(group.last, last):
        kept.append(_plain_name(last, common.suffixes + group.suffixes, group.prefixes))
    return b"".join(b"/" + segment for segment in kept)


def _matches(patterns: tuple[str, ...], segment: bytes) -> bool:
    return any(pattern_regex(pattern).fullmatch(segment) for pattern in patterns)


def _plain_name(name: bytes, suffixes: tuple[str, ...], prefixes: tuple[str, ...]) -> bytes:
    extension = _EXTENSION.search(name)
    end = extension.start() if extension and extension.start() else len(name)
    stem, ext = name[:end], name[end:]
    head = next(filter(None, (pattern_regex(pattern).match(stem) for pattern in prefixes)), None)
    if head and head.end() < len(stem):
        stem = stem[head.end() :]
    plain = _without_suffixes(stem, suffixes)
    if plain != stem and plain.lower().endswith(IMAGE_EXTENSIONS):
        ext = b""
    return plain + ext


def _without_suffixes(stem: bytes, suffixes: tuple[str, ...]) -> bytes:
    for _ in range(MAX_SUFFIXES):
        at = next((at for at in range(len(stem) - 1, 0, -1) if _matches(suffixes, stem[at:])), 0)
        if not at:
            break
        stem = stem[:at]
    return stem


def _is_size(piece: bytes) -> bool:
    rules = parameters()
    name, value = next(_parameters(piece))
    if name in rules.any:
        return True
    if name in rules.size:
        return len(value) <= 16 and bool(_SIZE.fullmatch(value))
    return name in rules.stamp and bool(_STAMP.fullmatch(value))
