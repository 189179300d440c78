"""`/api/v2/query/urls/`: Spawning's "Do Not Train" protocol, for the programs that speak it today."""

import numpy as np
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

# The client takes what is not opted out as free to use, so only these two outcomes leave it so. Terms that
# were not agreed to, and lines that cannot be judged, blank ones included, count as opted out.
_FREE = (Outcome.UNRESERVED, Outcome.ALLOWED)


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
        echoed = body.decode("utf-8", "replace").split("\n")
        return HttpResponse(_answer(echoed, verdicts.outcome), content_type="application/json")


def _answer(lines: list[str], outcome: np.ndarray) -> bytes:
    """The answer's JSON for `lines` and their outcomes (uint8, one each)."""
    opt_out = ~np.isin(outcome, _FREE)
    opt_in = outcome == Outcome.ALLOWED
    entries = [
        {"url": url, "optIn": into, "optOut": out}
        for url, into, out in zip(lines, opt_in.tolist(), opt_out.tolist(), strict=True)
    ]
    return orjson.dumps({"urls": entries})
