"""`/check`: what the registry says about up to 10,000 items."""

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api import answers, arrow, openapi
from api.base import ApiView
from api.check_serializers import CheckAnswer, CheckPictures, CheckQuestion
from api.conf import (
    MAX_ITEMS,
    MAX_ITEMS_ANONYMOUS,
    MAX_ITEMS_ARROW,
    MAX_PICTURES_ANONYMOUS,
    MAX_PICTURES_CHECK,
)
from api.formats import ARROW, ArrowParser, ArrowRenderer, JsonParser, JsonRenderer
from api.items import EVIDENCE, KINDS, QUESTION, items_of, question_of, too_many
from api.multipart import CheckParser, require_known, sent_pictures
from api.serializers import USES
from api.throttles import UploadThrottle
from optout.engine import Items, Question, Tier
from registry import live
from registry.pictures import pictures_as_items

__all__ = ["Check"]

_QUERY = [
    OpenApiParameter("use", str, enum=USES, description="With an Arrow stream: the use asked about."),
    OpenApiParameter(
        "min_grade", {"type": "integer", "minimum": 0, "maximum": 4}, description="With an Arrow stream."
    ),
    OpenApiParameter("names", str, enum=["flag", "remove", "ignore"], description="With an Arrow stream."),
    OpenApiParameter("evidence", str, enum=EVIDENCE, description="With an Arrow stream."),
    OpenApiParameter("at", OpenApiTypes.DATETIME, description="With an Arrow stream: the time asked about."),
]


class Check(ApiView):
    """Answers from the memory-mapped snapshot and the claims newer than it; the database is not asked."""

    scopes = {"POST": "check"}
    anonymous = True
    parser_classes = [JsonParser, ArrowParser, CheckParser]
    renderer_classes = [JsonRenderer, ArrowRenderer]
    throttle_classes = [UploadThrottle]

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
            f"columns {', '.join(KINDS)}; {MAX_ITEMS_ANONYMOUS} without a key. A picture is asked about by "
            "its fingerprint, as `optout hash` prints it, or as a file in a form: up to "
            f"{MAX_PICTURES_CHECK} of them ({MAX_PICTURES_ANONYMOUS} without a key), hashed in memory and "
            "forgotten. Picture evidence weaker than `evidence` is among the flags. An item that cannot be "
            "judged has the outcome `error`, which is never `allowed`."
        ),
        parameters=_QUERY,
        request={
            "application/json": CheckQuestion,
            ARROW: OpenApiTypes.BINARY,
            "multipart/form-data": CheckPictures,
        },
        responses={
            **openapi.answers(None, 400, 406, 413, 415),
            (200, "application/json"): CheckAnswer,
            (200, ARROW): OpenApiTypes.BINARY,
        },
        tags=["check"],
    )
    def post(self, request: Request) -> Response:
        items, question = self._asked(request)
        state = live.current_state()
        # Weak evidence is looked for although it decides nothing: it is shown as a flag.
        verdicts = state.snapshot.judge(items, question, look_for=Tier.REVIEW)
        judged = answers.Judged(state, items, question, verdicts)
        if request.accepted_renderer.format == ArrowRenderer.format:
            return Response(arrow.write_answers(judged))
        return Response(answers.document(judged))

    def _asked(self, request: Request) -> tuple[Items, Question]:
        body: Any = request.data
        if isinstance(body, bytes):
            items = arrow.read_items(body, self._most(MAX_ITEMS_ARROW))
            return items, question_of(request.query_params)
        if not hasattr(body, "getlist"):
            return items_of(body, self._most(MAX_ITEMS)), question_of(body)
        pictures = sent_pictures(request)
        require_known(body, "pictures", *QUESTION)
        most = MAX_PICTURES_CHECK if request.auth is not None else MAX_PICTURES_ANONYMOUS
        if len(pictures) > most:
            raise too_many(len(pictures), most)
        question = question_of(body)
        return pictures_as_items([picture.file for picture in pictures]), question

    def _most(self, with_key: int) -> int:
        return with_key if self.request.auth is not None else MAX_ITEMS_ANONYMOUS
