"""One byte range of a file that never changes, as RFC 9110 asks: 200, 206, 304 or 416."""

import re
from collections.abc import Iterator
from typing import IO, Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request

from api.problems import Problem

__all__ = ["immutable_file"]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BLOCK = 256 * 1024


def immutable_file(
    request: HttpRequest | Request, file: IO[bytes], *, size: int, sha256: str, content_type: str
) -> HttpResponseBase:
    """Answer with `file` (seekable, `size` bytes, closed afterwards), whole or the part that was asked for.

    Raises:
        Problem: 416, the range lies outside the file.
    """
    etag = f'"{sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
    }
    if etag in request.headers.get("if-none-match", ""):
        file.close()
        return HttpResponse(status=304, headers=headers)
    try:
        asked = _range(request, etag, size)
    except Problem:
        file.close()
        raise
    start, end = asked or (0, size)
    file.seek(start)
    headers["Content-Length"] = str(end - start)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response: Any = StreamingHttpResponse(
        _blocks(file, end - start), status=206 if asked else 200, content_type=content_type, headers=headers
    )
    return response  # type: ignore[no-any-return]


def _range(request: HttpRequest | Request, etag: str, size: int) -> tuple[int, int] | None:
    """Start and end of the one range asked for; None for the whole file, which any other header means."""
    found = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if found is None or not (found[1] or found[2]) or request.headers.get("if-range", etag) != etag:
        return None
    if not found[1]:
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2] or size) + 1, size)
    if start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "range_not_satisfiable", f"The file has {size:,} bytes.", headers=headers)
    return start, end


def _blocks(file: IO[bytes], left: int) -> Iterator[bytes]:
    with file:
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            left -= len(block)
            yield block
