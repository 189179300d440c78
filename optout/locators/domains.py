"""Values of `domain` and `prefix` selectors."""

import ipaddress
from functools import cache

from publicsuffixlist import PublicSuffixList

from optout.locators.reference import canonical, host_of
from optout.locators.status import InvalidLocator, LocatorStatus
from optout.locators.tables import shared_hosts

__all__ = ["canonical_domain", "canonical_prefix"]


@cache
def _suffixes() -> PublicSuffixList:
    # The private section is wanted: whoever owns one site under github.io must not speak for all of them.
    return PublicSuffixList(accept_unknown=True)


def canonical_domain(text: str) -> str:
    """The canonical form of a bare host that a party can own; it stands for the host and all below it.

    Raises:
        InvalidLocator: a wildcard, an IP address, a public suffix or no bare host; the message says which.
    """
    bare = text.strip()
    if not bare:
        raise InvalidLocator("the domain is empty", LocatorStatus.EMPTY)
    if "*" in bare:
        raise InvalidLocator(
            f"{bare!r} has a wildcard; a domain covers its sub-domains without one", LocatorStatus.HOST
        )
    if any(char in bare for char in "/\\?#@:[] \t\r\n"):
        raise InvalidLocator(f"{bare!r} is not a bare host name, such as example.org", LocatorStatus.HOST)
    host = _bare_host(bare)
    if _is_ipv4(host):
        raise InvalidLocator(f"{bare!r} is an IP address; a domain must have a name", LocatorStatus.HOST)
    if host in shared_hosts() or _suffixes().is_public(host):
        raise InvalidLocator(
            f"{bare!r} is a public suffix, under which many parties have names", LocatorStatus.HOST
        )
    return host


def _bare_host(bare: str) -> str:
    if "." not in bare.strip("."):
        raise InvalidLocator(
            f"{bare!r} has no dot: a top-level name is a public suffix and cannot be claimed",
            LocatorStatus.HOST,
        )
    try:
        return host_of(canonical("http://" + bare))
    except InvalidLocator as error:
        raise InvalidLocator(f"{bare!r} is not a domain: {error}", error.status) from None


def _is_ipv4(host: str) -> bool:
    if host.rpartition(".")[2].isdigit():
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def canonical_prefix(text: str) -> str:
    """The canonical form of a prefix: host and path without a slash at the end, without query and fragment.

    It covers the path itself and everything below it. A host alone is a prefix too.

    Raises:
        InvalidLocator: the text is not a locator.
    """
    return canonical(text).partition("?")[0].rstrip("/")
