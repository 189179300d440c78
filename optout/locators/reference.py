"""The canonical form of a locator, in plain Python: the rules that the kernel is tested against.

It has no scheme: `host[:port]/path[?query]`. docs/locators.md lists every rule with an example.
"""

import ipaddress
import re
import socket
from collections.abc import Iterator

import idna
from idna.core import IDNAError

from optout.locators.status import MAX_BYTES, InvalidLocator, LocatorStatus
from optout.locators.tables import text_rules

__all__ = ["canonical", "canonical_bytes", "host_of", "host_suffixes", "prefixes", "split_canonical"]

_BLANKS = bytes(range(0x21))
_RULES = text_rules()
_REFERENCE = re.compile(
    rb"&(?:(" + b"|".join(_RULES.references) + rb")|#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6}));"
)
_NAMED_REFERENCE = re.compile(rb"(&(?:" + b"|".join(_RULES.references) + rb"));")
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+-]*):")
_TRIPLE_OR_BYTE = re.compile(rb"%[0-9A-Fa-f]{2}|[\x00-\xff]", re.DOTALL)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_LITERAL = _UNRESERVED | frozenset(b"!$&'()*+,;=:@/?")
_HOST = re.compile(rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")


def canonical(url: str | bytes) -> str:
    """The canonical form of an http(s) URL, as text.

    Raises:
        InvalidLocator: with `code` empty, scheme, host, port, encoding or too_long.
    """
    return canonical_bytes(url).decode("ascii")


def canonical_bytes(url: str | bytes) -> bytes:
    """As `canonical`, as ASCII bytes."""
    text = _strip(_unescape(_to_bytes(url)))
    if not text:
        raise InvalidLocator("the locator is empty", LocatorStatus.EMPTY)
    authority, path, query = _split(_without_scheme(text))
    path = _remove_dot_segments(_normalise_percent(path.replace(b"\\", b"/"))) or b"/"
    query = _normalise_query(query)
    result = _netloc(authority) + path + (b"?" + query if query else b"")
    # What still reads as a reference would be undone the next time: its end is encoded.
    result = _NAMED_REFERENCE.sub(rb"\1%3B", result)
    if len(result) > MAX_BYTES:
        raise _too_long(len(result))
    return result


def _too_long(size: int) -> InvalidLocator:
    return InvalidLocator(f"the locator is longer than {MAX_BYTES} bytes ({size})", LocatorStatus.TOO_LONG)


def _to_bytes(url: str | bytes) -> bytes:
    if len(url) > MAX_BYTES:
        raise _too_long(len(url))
    try:
        data = url.encode() if isinstance(url, str) else url
        data.decode()
    except UnicodeError:
        raise InvalidLocator("the locator is not valid UTF-8", LocatorStatus.ENCODING) from None
    if len(data) > MAX_BYTES:
        raise _too_long(len(data))
    return data


def _unescape(data: bytes) -> bytes:
    return _REFERENCE.sub(_referred, data) if b"&" in data else data


def _referred(match: re.Match[bytes]) -> bytes:
    name, decimal, hexadecimal = match.groups()
    if name:
        return _RULES.references[name]
    value = int(decimal) if decimal else int(hexadecimal, 16)
    return bytes([value]) if 0 < value < 128 else match[0]


def _strip(data: bytes) -> bytes:
    return data.strip(_BLANKS).translate(None, b"\t\r\n")


def _without_scheme(text: bytes) -> bytes:
    """What follows `http://`, or the whole of a scheme-less text that begins with a host."""
    match = _SCHEME.match(text)
    if match and match[1].lower() in (b"http", b"https"):
        return text[match.end() :].lstrip(b"/\\")
    if match:
        raise InvalidLocator(f"the scheme is {match[1].decode()!r}, not http or https", LocatorStatus.SCHEME)
    rest = text.lstrip(b"/\\")
    slashes = len(text) - len(rest)
    first = re.split(rb"[/\\?#]", rest, maxsplit=1)[0]
    if slashes == 1 or (slashes == 0 and b"." not in first and not first.startswith(b"[")):
        raise InvalidLocator(
            "the locator does not begin with http://, https:// or a host", LocatorStatus.SCHEME
        )
    return rest


def _split(text: bytes) -> tuple[bytes, bytes, bytes]:
    text = text.split(b"#", 1)[0]
    before, _, query = text.partition(b"?")
    end = min((at for at in (before.find(b"/"), before.find(b"\\")) if at >= 0), default=len(before))
    return before[:end], before[end:], query


def _netloc(authority: bytes) -> bytes:
    hostport = authority.rpartition(b"@")[2]
    if hostport.startswith(b"["):
        inside, bracket, port = hostport[1:].partition(b"]")
        if not bracket or (port and not port.startswith(b":")):
            raise _bad_host("the brackets around an IPv6 address do not close")
        return b"[" + _ipv6(inside) + b"]" + _port(port[1:])
    host, _, port = hostport.partition(b":")
    if b":" in port:
        raise _bad_host("more than one colon in the host")
    return _host(host) + _port(port)


def _bad_host(why: str) -> InvalidLocator:
    return InvalidLocator(f"not a host: {why}", LocatorStatus.HOST)


def _ipv6(text: bytes) -> bytes:
    try:
        address = ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        raise _bad_host("not an IPv6 address between the brackets") from None
    if address.scope_id is not None:
        raise _bad_host("an IPv6 address with a zone")
    # Not str(address): Python 3.13 changed how it writes mapped IPv4 addresses.
    return socket.inet_ntop(socket.AF_INET6, address.packed).encode()


def _port(digits: bytes) -> bytes:
    if not digits:
        return b""
    if not digits.isdigit():
        raise InvalidLocator("the port is not a number", LocatorStatus.PORT)
    number = digits.lstrip(b"0") or b"0"
    if len(number) > 5 or int(number) > 65535:
        raise InvalidLocator("the port is larger than 65535", LocatorStatus.PORT)
    return b"" if number in (b"80", b"443") else b":" + number


def _host(host: bytes) -> bytes:
    if b"%" in host:
        host = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), host)
    if not host.isascii():
        host = _punycode(host)
    host = host.lower().rstrip(b".")
    while host.startswith(b"www.") and b"." in host[4:]:
        host = host[4:]
    if not _HOST.fullmatch(host):
        raise _bad_host(f"{host[:80].decode('ascii')!r}" if host else "it is empty")
    if len(host) > 253:
        raise _bad_host("longer than 253 characters")
    return host


def _punycode(host: bytes) -> bytes:
    try:
        mapped = idna.uts46_remap(host.decode(), std3_rules=False, transitional=False)
    except (IDNAError, UnicodeError):
        raise _bad_host("not a name that UTS 46 allows") from None
    return b".".join(_ascii_label(label) for label in mapped.split("."))


def _ascii_label(label: str) -> bytes:
    if label.isascii():
        return label.encode()
    if len(label) > 253 or label.startswith("xn--"):
        raise _bad_host("a label that punycode cannot hold")
    return b"xn--" + label.encode("punycode")


def _normalise_percent(text: bytes) -> bytes:
    """RFC 3986 section 6.2.2.2: decode the unreserved, upper-case the rest, encode what must be."""
    return _TRIPLE_OR_BYTE.sub(_normal_triple, text)


def _normal_triple(match: re.Match[bytes]) -> bytes:
    token = match[0]
    value = int(token[1:], 16) if len(token) == 3 else token[0]
    if value in (_UNRESERVED if len(token) == 3 else _LITERAL):
        return bytes([value])
    return b"%%%02X" % value


def _remove_dot_segments(path: bytes) -> bytes:
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b".." and kept:
            kept.pop()
        if segment not in (b".", b".."):
            kept.append(segment)
    if segments and segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def _normalise_query(query: bytes) -> bytes:
    return b"&".join(
        piece for piece in _normalise_percent(query).split(b"&") if piece and not _is_tracking(piece)
    )


def _is_tracking(piece: bytes) -> bool:
    name = piece.split(b"=", 1)[0].lower()
    return name in _RULES.tracking_names or name.startswith(_RULES.tracking_prefixes)


def split_canonical(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Host with port, path and query (`b""` when there is none) of a canonical locator."""
    before, _, query = text.partition(b"?")
    netloc, slash, path = before.partition(b"/")
    return netloc, slash + path, query


def host_of(locator: str) -> str:
    """The host of a canonical locator, without its port; IPv6 in its brackets."""
    netloc = locator.split("/", 1)[0].split("?", 1)[0]
    return netloc.partition("]")[0] + "]" if netloc.startswith("[") else netloc.partition(":")[0]


def host_suffixes(host: str) -> list[str]:
    """The host and the domains above it that have a dot, longest first; none for an IPv6 address."""
    if host.startswith("["):
        return []
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]


def prefixes(locator: str) -> list[str]:
    """What a prefix claim can cover of a canonical locator, shortest first, without the query.

    `example.org/a/b.jpg` gives `example.org`, `example.org/a`, `example.org/a/b.jpg`.
    """
    return list(_prefixes(locator.partition("?")[0]))


def _prefixes(text: str) -> Iterator[str]:
    at = text.find("/")
    while at >= 0:
        yield text[:at]
        at = text.find("/", at + 1)
    if not text.endswith("/"):
        yield text
