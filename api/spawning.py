"""`/api/v2/query/urls/`: Spawning's "Do Not Train" protocol, for the programs that speak it today."""

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from api import openapi
from api.base import ApiView
from api.conf import MAX_ITEMS
from api.formats import read_body
from api.items import DEFAULT_USE, too_many
from api.serializers import SpawningAnswer
from api.throttles import Pacing
from optout.engine import Items, Question
from optout.words import Outcome
from registry import live

__all__ = ["QueryUrls"]

# The client takes what is not opted out as free to use, so only two outcomes leave it so. Terms that were not
# agreed to, and lines that cannot be judged, blank ones included, count as opted out.
_FREE = (Outcome.UNRESERVED, Outcome.ALLOWED)


def _ending(outcome: Outcome) -> bytes:
    opt_in, opt_out = outcome == Outcome.ALLOWED, outcome not in _FREE
    return b'","optIn":%s,"optOut":%s},' % (orjson.dumps(opt_in), orjson.dumps(opt_out))


_BEGINNING = pa.scalar(b'{"url":"', pa.large_binary())
_ENDINGS = pa.array([_ending(outcome) for outcome in Outcome], pa.large_binary())
_BETWEEN = pa.scalar(b"", pa.large_binary())


class QueryUrls(ApiView):
    """One URL a line in, one entry a line out, in order, echoed as it came."""

    scopes = {"POST": "check"}
    throttle_classes = [Pacing]

    @extend_schema(
        operation_id="spawning_query_urls",
        summary="Ask about URLs in Spawning's protocol",
        description=(
            "`optOut` is true for what is denied, for what is only free under terms, and for lines that "
            "cannot be judged (blank ones included); `optIn` is true only for what its owner allowed. The "
            f"use asked about is `{DEFAULT_USE.label}`. Requests that come too fast wait for their turn."
        ),
        request={"text/plain": OpenApiTypes.STR},
        responses=openapi.answers(SpawningAnswer, 413),
        tags=["spawning"],
    )
    def post(self, request: Request) -> HttpResponse:
        body = read_body(request, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        count = body.count(b"\n") + 1
        if count > MAX_ITEMS:
            raise too_many(count, MAX_ITEMS)
        lines = pc.split_pattern(pa.array([body], pa.large_binary()), b"\n").flatten()
        verdicts = live.current_snapshot().judge(Items(length=count, url=lines), Question(use=DEFAULT_USE))
        return HttpResponse(
            _answer(_quoted(body, lines, count), verdicts.outcome), content_type="application/json"
        )


def _quoted(body: bytes, lines: pa.Array, count: int) -> pa.Array:
    """The lines as they stand between quotes in JSON; most bodies hold nothing that needs escaping."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("utf-8", "replace")
    else:
        # The quotes around it, and each of the count - 1 line breaks as two characters.
        if len(orjson.dumps(text)) == len(body) + len('""') + count - 1:
            return lines
    return pa.array([orjson.dumps(line)[1:-1] for line in text.split("\n")], pa.large_binary())


def _answer(quoted: pa.Array, outcome: npt.NDArray[np.uint8]) -> bytes:
    """The answer's JSON for the lines and their outcomes (uint8, one each), made without an object a line."""
    endings = _ENDINGS.take(pa.array(outcome))
    joined = pc.binary_join_element_wise(_BEGINNING, quoted, endings, _BETWEEN)
    entries = memoryview(joined.buffers()[2])[: -len(",")]
    return b"".join([b'{"urls":[', entries, b"]}"])
