"""`/check`: what the registry says about up to 10,000 items."""

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api import answers, arrow, openapi
from api.base import ApiView
from api.conf import MAX_ITEMS, MAX_ITEMS_ANONYMOUS, MAX_ITEMS_ARROW
from api.formats import ARROW, ArrowParser, ArrowRenderer, JsonParser, JsonRenderer
from api.items import items_of, question_of
from api.serializers import USES, CheckAnswer, CheckQuestion
from registry import live

__all__ = ["Check"]

_QUERY = [
    OpenApiParameter("use", str, enum=USES, description="With an Arrow stream: the use asked about."),
    OpenApiParameter(
        "min_grade", {"type": "integer", "minimum": 0, "maximum": 4}, description="With an Arrow stream."
    ),
    OpenApiParameter("names", str, enum=["flag", "remove", "ignore"], description="With an Arrow stream."),
    OpenApiParameter("at", OpenApiTypes.DATETIME, description="With an Arrow stream: the time asked about."),
]


class Check(ApiView):
    """Answers from the memory-mapped snapshot and the claims newer than it; the database is not asked."""

    scopes = {"POST": "check"}
    anonymous = True
    parser_classes = [JsonParser, ArrowParser]
    renderer_classes = [JsonRenderer, ArrowRenderer]

    @property
    def max_body(self) -> int:
        """Bytes that the parsers take."""
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return limit

    @extend_schema(
        operation_id="check",
        summary="Ask about items",
        description=(
            f"Up to {MAX_ITEMS:,} items a call as JSON, {MAX_ITEMS_ARROW:,} as an Arrow stream with the "
            f"columns url, text, sha256 and md5; {MAX_ITEMS_ANONYMOUS} without a key. An item that cannot be "
            "judged has the outcome `error`, which is never `allowed`."
        ),
        parameters=_QUERY,
        request={"application/json": CheckQuestion, ARROW: OpenApiTypes.BINARY},
        responses={
            **openapi.answers(None, 400, 406, 413, 415),
            (200, "application/json"): CheckAnswer,
            (200, ARROW): OpenApiTypes.BINARY,
        },
        tags=["check"],
    )
    def post(self, request: Request) -> Response:
        body: Any = request.data
        if isinstance(body, bytes):
            items, question = (
                arrow.read_items(body, self._most(MAX_ITEMS_ARROW)),
                question_of(request.query_params),
            )
        else:
            items, question = items_of(body, self._most(MAX_ITEMS)), question_of(body)
        state = live.current_state()
        verdicts = state.snapshot.judge(items, question)
        judged = answers.Judged(state, items, question, verdicts)
        if request.accepted_renderer.format == ArrowRenderer.format:
            return Response(arrow.write_answers(judged))
        return Response(answers.document(judged))

    def _most(self, with_key: int) -> int:
        return with_key if self.request.auth is not None else MAX_ITEMS_ANONYMOUS
