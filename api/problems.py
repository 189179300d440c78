"""RFC 9457 problem documents: one form for everything that goes wrong under /api/."""

import logging
import math
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, UnreadablePostError
from rest_framework import exceptions

from optout.errors import OptoutError
from registry.errors import RegistryError

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

__all__ = ["CONTENT_TYPE", "Problem", "handle", "problem_response"]


class Problem(exceptions.APIException):
    """An error of the API itself, with members of its own.

    Args:
        status: the HTTP status.
        code: the stable identifier, such as `too_many_items`.
        detail: one sentence for people.
        headers: response headers to add.
        members: further members of the document, such as `item`.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.headers = headers or {}
        self.members = members


def problem_response(
    status: int, code: str, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any
) -> HttpResponse:
    """A problem document as a plain Django response, so that no renderer stands between it and the client."""
    document = {
        "type": f"urn:optout:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        **({"detail": detail} if detail else {}),
        **members,
    }
    body = orjson.dumps(document, default=str)
    return HttpResponse(body, status=status, content_type=CONTENT_TYPE, headers=headers)


def handle(exc: Exception, context: dict[str, Any] | None = None) -> HttpResponse:
    """The exception handler of every view under /api/."""
    match exc:
        case Problem():
            return problem_response(
                exc.status_code, exc.code, str(exc.detail), headers=exc.headers, **exc.members
            )
        case RegistryError():
            return _domain(exc)
        case exceptions.APIException():
            return _framework(exc)
        case OptoutError():
            return problem_response(400, exc.code, str(exc))
        case Http404():
            return problem_response(404, "not_found", "There is no such thing here.")
        case PermissionDenied():
            return problem_response(403, "forbidden", "This is not yours to do.")
        case RequestDataTooBig():
            return problem_response(413, "body_too_large", "The body is larger than this address takes.")
        case SuspiciousOperation() | UnreadablePostError():
            return problem_response(400, "malformed_request", "The request could not be read.")
        case OperationalError() | InterfaceError():
            return _database_away(exc)
    return _unexpected(exc)


def _domain(exc: RegistryError) -> HttpResponse:
    headers = {} if exc.retry_after is None else {"Retry-After": str(exc.retry_after)}
    members = {"fields": exc.fields} if exc.fields else {}
    return problem_response(exc.status, exc.code, exc.detail, headers=headers, **members)


def _framework(exc: exceptions.APIException) -> HttpResponse:
    """DRF's own exceptions: malformed bodies, wrong methods, failed serializers, throttles, media types."""
    headers = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    if isinstance(exc, exceptions.ValidationError):
        fields = exc.detail if isinstance(exc.detail, dict) else {"body": exc.detail}
        detail = "Some fields are not as they should be."
        return problem_response(400, "invalid", detail, headers=headers, fields=_flat(fields))
    codes = exc.get_codes()
    return problem_response(
        exc.status_code, codes if isinstance(codes, str) else "invalid", str(exc.detail), headers=headers
    )


def _flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """DRF's nested error details as sentences by path, `selectors.2.value`: services name fields so too."""
    if isinstance(detail, dict):
        parts = {f"{path}.{key}" if path else str(key): value for key, value in detail.items()}
    elif isinstance(detail, list | tuple) and any(isinstance(one, dict) for one in detail):
        parts = {f"{path}.{index}": value for index, value in enumerate(detail)}
    else:
        return {path: [str(one) for one in detail] if isinstance(detail, list | tuple) else [str(detail)]}
    found: dict[str, list[str]] = {}
    for name, value in parts.items():
        found |= _flat(value, name) if value else {}
    return found


def _database_away(exc: Exception) -> HttpResponse:
    logger.warning("database unavailable: %s", exc)
    detail = "The database is away for the moment; checks are still answered."
    return problem_response(503, "database_unavailable", detail, headers={"Retry-After": "5"})


def _unexpected(exc: Exception) -> HttpResponse:
    logger.error("unexpected error", exc_info=exc)
    return problem_response(500, "internal_error", "Something broke on our side; it has been noted.")


def too_large(limit: int) -> Problem:
    """The refusal of a body over `limit` bytes."""
    return Problem(413, "body_too_large", f"The body is larger than {limit:,} bytes.", limit=limit)
