"""Which addresses may be fetched from: names are resolved once, and what they resolve to is looked at.

The connection is made to the address that was looked at, never to the name again, so a name that resolves to
something else the second time gains nothing.
"""

import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from optout.errors import BadInput, OptoutError

__all__ = ["Refused", "Target", "Unreachable", "is_public", "vet_address"]

_PORTS = {"http": 80, "https": 443}
_MAX_URL = 8192
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Prefixes that carry an IPv4 address or are nobody's public place, whatever Python's tables say of them.
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fec0::/10",
        "::/96",
        "192.88.99.0/24",
        "100.64.0.0/10",
        "192.0.0.0/24",
    )
)


class Refused(BadInput):
    """An address that is not fetched from, and why; trying again changes nothing."""


class Unreachable(OptoutError):
    """No name server or no server answered as it should; it may do so later."""


class Target(NamedTuple):
    """Where to connect to, and as what.

    Attributes:
        scheme: http or https.
        host: the name that the server is asked by.
        port: the port.
        address: the numeric address that was looked at.
        path: path and query, as the request line has them.
    """

    scheme: str
    host: str
    port: int
    address: str
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def vet_address(url: str) -> Target:
    """Where a URL leads, if one may go there: http or https, its usual port, public addresses only.

    `OPTOUT_FETCH_ALLOW` names addresses with ports that are allowed besides.

    Raises:
        Refused: `bad_address`, `not_public` or `unknown_host`.
        Unreachable: the name cannot be resolved right now.
    """
    scheme, host, port, path = _split(url)
    addresses = _resolve(host, port)
    usual = port == _PORTS[scheme]
    for address in addresses:
        if not (_is_allowed(address, port) or (usual and is_public(address))):
            what = "is not a public address" if usual else f"has the unusual port {port}"
            raise Refused(f"{host} {what}, so nothing is fetched from it", code="not_public")
    return Target(scheme, host, port, str(addresses[0]), path)


def is_public(address: IpAddress) -> bool:
    """Whether the address belongs to the open internet: not ours, not local, not reserved, not a group's."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.scope_id is not None:
            return False
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _split(url: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise Refused(f"this is no address: {error}", code="bad_address") from None
    if parts.scheme not in _PORTS or not host or len(url) > _MAX_URL:
        raise Refused("only http and https addresses are fetched", code="bad_address")
    if parts.username is not None or parts.password is not None:
        raise Refused("an address with a user name or password is not fetched", code="bad_address")
    return (
        parts.scheme,
        _ascii_host(host),
        port or _PORTS[parts.scheme],
        _request_path(parts.path, parts.query),
    )


def _ascii_host(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise Refused(f"there is no such site name: {host[:100]}", code="bad_address") from None


def _request_path(path: str, query: str) -> str:
    """Path and query without anything that could end the request line."""
    text = (path or "/") + (f"?{query}" if query else "")
    if any(character <= " " or character == "\x7f" for character in text):
        raise Refused("the address has a space or a control character in it", code="bad_address")
    return "".join(character if character.isascii() else _quoted(character) for character in text)


def _quoted(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _resolve(host: str, port: int) -> list[IpAddress]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise Unreachable(f"{host[:200]} cannot be resolved right now", code="unreachable") from None
        raise Refused(f"there is no site called {host[:200]}", code="unknown_host") from None
    return [ipaddress.ip_address(entry[4][0]) for entry in found]


def _is_allowed(address: IpAddress, port: int) -> bool:
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{port}" in settings.OPTOUT_FETCH_ALLOW
