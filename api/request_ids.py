"""The request id: taken from the caller or made here, and the same in answers, events and log lines."""

import re
from typing import Final

import structlog
from django.http import HttpRequest
from rest_framework.request import Request

from registry.identifiers import uuid7

__all__ = ["REQUEST_ID", "request_id_of"]

REQUEST_ID: Final = "X-Request-ID"
_REMEMBERED: Final = "optout.request_id"
_SAFE = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def request_id_of(request: HttpRequest | Request) -> str:
    """The caller's request id when it is a plain one, else the one the log lines carry, else a new one."""
    known: str | None = request.META.get(_REMEMBERED)
    if known is None:
        bound = str(structlog.contextvars.get_contextvars().get("request_id", ""))
        candidates = (request.headers.get(REQUEST_ID, ""), bound, str(uuid7()))
        known = next(candidate for candidate in candidates if _SAFE.fullmatch(candidate))
        request.META[_REMEMBERED] = known
    return known
