"""Rates per key: who is refused, and who is only held back."""

import threading
import time
from functools import cache
from typing import Any

from django.conf import settings
from prometheus_client import Counter
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from api import conf
from registry.rates import client_address, take

__all__ = ["KeyThrottle", "Pacing", "UploadThrottle"]

PACED = Counter("optout_paced_requests", "Requests that waited for their turn.")


@cache
def _slots(count: int) -> threading.BoundedSemaphore:
    """Holds back at most `count` requests of this process at one time, or they would take every thread."""
    return threading.BoundedSemaphore(count)


class KeyThrottle(BaseThrottle):
    """One bucket a key; without a key, one an address (`registry.rates.client_address`)."""

    bucket = "key"
    longest = 0.0
    _wait = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.auth is None:
            self._wait = take("anonymous", client_address(request))
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
