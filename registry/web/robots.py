"""robots.txt, as RFC 9309 has it: read once an hour, and silence of a server that fails means no."""

from contextlib import suppress

from django.core.cache import cache
from protego import Protego
from redis.exceptions import RedisError

from registry.web.addresses import Unreachable, vet_address
from registry.web.client import AGENT, FetchLimits, fetch

__all__ = ["may_fetch"]

_SECONDS = 3600
_LIMITS = FetchLimits(most_bytes=500 * 1024, seconds=10.0, types="")


def may_fetch(url: str) -> bool:
    """Whether the site's robots.txt lets us fetch `url`.

    Raises:
        Refused: the site itself is not fetched from.
        Unreachable: it does not answer; then nobody knows.
    """
    rules = _rules(vet_address(url).origin)
    return bool(Protego.parse(rules).can_fetch(url, AGENT))


def _rules(origin: str) -> str:
    key = f"robots:{origin}"
    try:
        held = cache.get(key)
    except RedisError:
        held = None
    if held is not None:
        return str(held)
    rules = _read(origin)
    with suppress(RedisError):
        cache.set(key, rules, _SECONDS)
    return rules


def _read(origin: str) -> str:
    answer = fetch(f"{origin}/robots.txt", _LIMITS)
    if answer.status >= 500 or answer.status == 429:
        raise Unreachable(f"robots.txt of {origin} answers {answer.status}", code="unreachable")
    # A site without the file has no wishes.
    return answer.body.decode("utf-8", "replace") if answer.status == 200 else ""
