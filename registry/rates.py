"""Rates: how often one key, or one address, may ask. They are kept in Valkey, for all processes together.

When Valkey is away requests pass, and a metric counts them.
"""

import ipaddress
import logging
import re
import time
from functools import cache
from typing import Final, NamedTuple

import redis
from django.conf import settings
from django.http import HttpRequest
from prometheus_client import Counter

__all__ = ["Rate", "client_address", "take"]

logger = logging.getLogger(__name__)
UNTHROTTLED = Counter("optout_unthrottled_requests", "Requests let through because Valkey was away.")

# GCRA: one number a key, the time at which a caller who keeps to the rate would send the next request. It is
# moved only when the request is let in, at once or after a wait of at most ARGV[3].
_SCRIPT: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = math.max(due + tonumber(ARGV[1]) - tonumber(ARGV[2]) - now, 0)
if wait <= tonumber(ARGV[3]) then
  local next = due + tonumber(ARGV[1])
  redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1)
end
return wait
"""
_RATE = re.compile(r"(\d+)/([smhd]) burst (\d+)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_VALKEY_TIMEOUT = 0.25  # seconds; requests do not wait for a Valkey that does not answer
_RETRY_VALKEY_AFTER = 1.0  # seconds for which a Valkey that failed is not asked again
#: Bits of an IPv6 address that name a connection; its owner chooses the others as she likes.
_IPV6_NETWORK: Final = 64


class Rate(NamedTuple):
    """Microseconds between requests, and how many may come at once."""

    interval: int
    burst: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """The rate written as `60/m burst 20`.

        Raises:
            ValueError: it is written otherwise.
        """
        found = _RATE.fullmatch(text)
        if found is None or not int(found[1]) or not int(found[3]):
            raise ValueError(f"a rate is written like '60/m burst 20', not {text!r}")
        return cls(_SECONDS[found[2]] * 1_000_000 // int(found[1]), int(found[3]))


class _Valkey:
    """The script in Valkey, and a memory of when it last failed so that an outage costs no time-outs."""

    def __init__(self, url: str) -> None:
        client = redis.Redis.from_url(
            url, socket_timeout=_VALKEY_TIMEOUT, socket_connect_timeout=_VALKEY_TIMEOUT
        )
        self._script = client.register_script(_SCRIPT)
        self._away_until = 0.0

    def wait(self, key: str, rate: Rate, longest: float) -> float:
        """Seconds until the turn of this request; 0 when Valkey is away."""
        if time.monotonic() >= self._away_until:
            try:
                reply = self._script(
                    keys=[key], args=[rate.interval, rate.interval * rate.burst, int(longest * 1e6)]
                )
                return int(reply) / 1e6
            except redis.RedisError as exc:
                self._away_until = time.monotonic() + _RETRY_VALKEY_AFTER
                logger.warning("throttles are off, Valkey is away: %s", exc)
        UNTHROTTLED.inc()
        return 0.0


@cache
def _valkey(url: str) -> _Valkey:
    return _Valkey(url)


def take(bucket: str, identity: str, *, longest: float = 0.0) -> float:
    """Take one turn from a bucket of `settings.RATES`.

    Args:
        bucket: the name of the rate.
        identity: whose turns are counted.
        longest: seconds the caller is ready to wait.

    Returns:
        Seconds to wait. More than `longest` means that no turn was taken.
    """
    rates: dict[str, str] = settings.RATES
    return _valkey(settings.REDIS_URL).wait(
        f"optout:rate:{bucket}:{identity}", Rate.parse(rates[bucket]), longest
    )


def client_address(request: HttpRequest) -> str:
    """Whose turns are counted when nobody signed in: the address that asks, of IPv6 its network.

    What `X-Forwarded-For` says is believed as far back as NUM_PROXIES reaches: each proxy adds the address
    it was called from, and whatever stands before those may be forged.
    """
    address: str = request.META.get("REMOTE_ADDR", "")
    said = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if settings.NUM_PROXIES and said:
        address = said[-min(settings.NUM_PROXIES, len(said))]
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if known.version == 4:
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, _IPV6_NETWORK), strict=False))
