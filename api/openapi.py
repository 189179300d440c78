"""What drf-spectacular cannot see by itself: keys, problem documents, shared parameters."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.serializers import BaseSerializer

from api.problems import CONTENT_TYPE

__all__ = ["IDEMPOTENCY_KEY", "PAGING", "KeyScheme", "Schema", "answers"]

_MEANINGS = {
    400: "The request is malformed; `fields` or `item` says where.",
    401: "No key, or one that is unknown, revoked or expired.",
    403: "The key lacks the scope that `scope` names.",
    404: "There is no such thing for this key.",
    406: "None of the accepted media types is served.",
    409: "It contradicts what is recorded, or the first request with this Idempotency-Key is still running.",
    413: "The body, or the number of items, is over the limit.",
    415: "The body is of a media type that is not taken.",
    416: "The range lies outside the file.",
    422: "Some values cannot be accepted, or the Idempotency-Key was sent with another request.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "A part that is needed is away for the moment.",
}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Sent again with the same request, it gets the same answer, and nothing is done twice.",
)
PAGING = [
    OpenApiParameter("cursor", str, description="From the `next` of the page before."),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        description="Rows on a page.",
    ),
]


def answers(shape: Any, *statuses: int, success: int = 200) -> dict[Any, Any]:
    """The responses of an operation: its errors, those of every operation, and its success unless None."""
    from api.serializers import ProblemDocument  # the serializers need the app registry

    problem = {
        (status, CONTENT_TYPE): OpenApiResponse(ProblemDocument, _MEANINGS[status])
        for status in sorted({*statuses, 401, 403, 429, 503})
    }
    return problem if shape is None else {success: shape, **problem}


class Schema(AutoSchema):
    """The schema of one view; the names of operations are given by hand."""

    def get_filter_parameters(self) -> list[Any]:
        return []

    def get_serializer_name(self, serializer: BaseSerializer[Any], direction: Any) -> str:
        return serializer.__class__.__name__


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The API key as a bearer token."""

    target_class = "api.auth.KeyAuthentication"
    name = "key"

    def get_security_requirement(self, auto_schema: AutoSchema) -> Any:
        needed: dict[str, list[Any]] = {self.name: []}
        return [needed, {}] if getattr(auto_schema.view, "anonymous", False) else needed

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "opt_…"}
