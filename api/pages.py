"""Lists by cursor: the cursor names the last thing seen, so that pages neither overlap nor slow down."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from api.problems import Problem

__all__ = ["DEFAULT_PAGE", "MAX_PAGE", "newest_page", "rows_page"]

MAX_PAGE = 1000
DEFAULT_PAGE = 100
Row = TypeVar("Row", bound=Model)


def newest_page(request: Request, rows: QuerySet[Row]) -> tuple[Sequence[Row], str | None]:
    """One page of things with a `public_id`, the newest first, and the address of the next page."""
    cursor = _cursor(request, UUID)
    if cursor is not None:
        rows = rows.filter(public_id__lt=cursor)
    return _page(request, rows.order_by("-public_id"), "public_id")


def rows_page(request: Request, rows: QuerySet[Row]) -> tuple[Sequence[Row], str | None]:
    """One page of things with a `row` number, in the order of the file they were in."""
    cursor = _cursor(request, _row_number)
    if cursor is not None:
        rows = rows.filter(row__gt=cursor)
    return _page(request, rows.order_by("row"), "row")


def _page(request: Request, rows: QuerySet[Row], field: str) -> tuple[Sequence[Row], str | None]:
    limit = _limit(request)
    found = list(rows[: limit + 1])
    if len(found) <= limit:
        return found, None
    query = urlencode({"limit": limit, "cursor": getattr(found[limit - 1], field)})
    return found[:limit], request.build_absolute_uri(f"{request.path}?{query}")


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MAX_PAGE):
        raise Problem(400, "bad_limit", f"limit must be a number from 1 to {MAX_PAGE}.")
    return int(text)


def _cursor(request: Request, parse: Callable[[str], Any]) -> Any:
    text = request.query_params.get("cursor")
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError:
        raise Problem(400, "bad_cursor", "Take the cursor from the `next` of the page before.") from None


def _row_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ValueError(text)
    return int(text)
