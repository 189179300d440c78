"""Rates per key, kept in Valkey. When Valkey is away requests pass, and a metric counts them."""

import logging
import re
import threading
import time
from functools import cache
from typing import Any, Final, NamedTuple

import redis
from django.conf import settings
from prometheus_client import Counter
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from api import conf

__all__ = ["KeyThrottle", "Pacing", "Rate", "UploadThrottle", "take"]

logger = logging.getLogger(__name__)
UNTHROTTLED = Counter("optout_unthrottled_requests", "Requests let through because Valkey was away.")
PACED = Counter("optout_paced_requests", "Requests that waited for their turn.")

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


@cache
def _slots(count: int) -> threading.BoundedSemaphore:
    """Holds back at most `count` requests of this process at one time, or they would take every thread."""
    return threading.BoundedSemaphore(count)


def take(bucket: str, identity: str, *, longest: float = 0.0) -> float:
    """Take one turn from a bucket of `conf.API_RATES`.

    Args:
        bucket: the name of the rate.
        identity: whose turns are counted.
        longest: seconds the caller is ready to wait.

    Returns:
        Seconds to wait. More than `longest` means that no turn was taken.
    """
    rates: dict[str, str] = settings.API_RATES
    return _valkey(settings.REDIS_URL).wait(
        f"optout:rate:{bucket}:{identity}", Rate.parse(rates[bucket]), longest
    )


class KeyThrottle(BaseThrottle):
    """One bucket a key; without a key, one an address (as NUM_PROXIES lets us believe it)."""

    bucket = "key"
    longest = 0.0
    _wait = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.auth is None:
            self._wait = take("anonymous", self.get_ident(request))
            return self._wait <= 0
        self._wait = take(self.bucket, request.auth.key.prefix, longest=self.longest)
        return self._wait <= self.longest

    def wait(self) -> float | None:
        return self._wait


class UploadThrottle(KeyThrottle):
    """Counts requests that bring pictures apart: each is work for seconds rather than milliseconds."""

    def allow_request(self, request: Request, view: Any) -> bool:
        self.bucket = "uploads" if (request.content_type or "").startswith("multipart/") else "key"
        return super().allow_request(request, view)


class Pacing(KeyThrottle):
    """Holds a request back before it refuses one: Spawning's client loses its whole run to a 429."""

    bucket = "spawning"
    longest = conf.MAX_PACING_SECONDS

    def allow_request(self, request: Request, view: Any) -> bool:
        allowed = super().allow_request(request, view)
        if allowed and self._wait > 0:
            self._hold()
        return allowed

    def _hold(self) -> None:
        slots = _slots(settings.API_PACED_REQUESTS)
        if not slots.acquire(blocking=False):
            raise Throttled(wait=self._wait, detail="Too many requests are waiting already.")
        try:
            PACED.inc()
            time.sleep(self._wait)
        finally:
            slots.release()
