"""Bodies in and out: JSON by orjson, Arrow streams, and reading no more than is allowed."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from api.conf import MAX_BODY_JSON
from api.problems import too_large

__all__ = ["ARROW", "ArrowParser", "ArrowRenderer", "JsonParser", "JsonRenderer", "read_body"]

ARROW = "application/vnd.apache.arrow.stream"


def read_body(request: Request, limit: int) -> bytes:
    """The whole body, or a 413 problem once it is clear that it is longer than `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)
    stream: IO[bytes] | None = request.stream
    body = stream.read(limit + 1) if stream is not None else b""
    if len(body) > limit:
        raise too_large(limit)
    return body


class JsonParser(BaseParser):
    """JSON in UTF-8; a view may set `max_body` (bytes)."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        context = parser_context or {}
        body = read_body(context["request"], getattr(context["view"], "max_body", MAX_BODY_JSON))
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            raise ParseError(f"The body is not JSON: {exc}", "malformed_json") from None


class ArrowParser(BaseParser):
    """An Arrow IPC stream, still as bytes: the view knows which columns it takes."""

    media_type = ARROW

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        context = parser_context or {}
        return read_body(context["request"], getattr(context["view"], "max_body", MAX_BODY_JSON))


class JsonRenderer(BaseRenderer):
    """Compact JSON."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=str)


class ArrowRenderer(BaseRenderer):
    """An Arrow IPC stream that the view has already written."""

    media_type = ARROW
    format = "arrow"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return data
