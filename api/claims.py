"""`/claims`: register, list, read and withdraw one's own."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import orjson
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from api import openapi
from api.base import ApiView
from api.formats import JsonParser
from api.idempotency import idempotent
from api.multipart import PicturesParser, require_known, sent_pictures
from api.pages import newest_page
from api.serializers import (
    MAX_SELECTORS,
    ClaimPage,
    ClaimShown,
    NewClaim,
    NewPictureClaim,
    StatedWithPictures,
)
from api.throttles import UploadThrottle
from optout.words import CONTENT_KINDS, Decision, SelectorKind, Use
from registry.access import access_claim
from registry.models import Claim
from registry.services.claims import withdraw_claim
from registry.services.pictures import claim_with_pictures
from registry.shown import PictureCounts, ShownSelectors, made_here, picture_counts, shown_selectors

__all__ = ["ClaimDetail", "ClaimList", "ClaimWithdrawal"]

SHOWN_IN_LIST = 100


class ClaimList(ApiView):
    """The claims of the key's party."""

    scopes = {"GET": "claims:read", "POST": "claims:write"}
    parser_classes = [JsonParser, PicturesParser]
    throttle_classes = [UploadThrottle]

    @extend_schema(
        operation_id="claims_list",
        summary="List one's claims, the newest first",
        parameters=openapi.PAGING,
        responses=openapi.answers(ClaimPage, 400),
        tags=["claims"],
    )
    def get(self, request: Request) -> Response:
        mine = Claim.objects.for_party(self.actor.party).select_related("party")
        rows, following = newest_page(request, mine)
        return Response({"results": _bodies(rows, most=SHOWN_IN_LIST), "next": following})

    @extend_schema(
        operation_id="claims_create",
        summary="Register a claim",
        description=(
            "The claim is in the answers of `check` within five seconds. A `domain` or `prefix` is taken as "
            "stated until the domain is proven; another party's proven domain is refused. With pictures, "
            "send a form: `claim` holds the same JSON, `pictures` the files. They are hashed within seconds "
            "and then removed. Hashes that the caller computed are selectors like any other, marked as such."
        ),
        request={"application/json": NewClaim, "multipart/form-data": NewPictureClaim},
        parameters=[openapi.IDEMPOTENCY_KEY],
        responses=openapi.answers(ClaimShown, 400, 409, 413, 415, 422, success=201),
        tags=["claims"],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body: Any = request.data
        pictures = []
        if hasattr(body, "getlist"):
            pictures = sent_pictures(request)
            require_known(body, "claim", "pictures")
        form = StatedWithPictures(data=_stated(body)) if pictures else NewClaim(data=body)
        form.is_valid(raise_exception=True)
        arguments = _arguments(form.validated_data)
        claim = claim_with_pictures(acting=self.actor, pictures=pictures, **arguments)
        location = reverse("api:claim", args=[claim.public_id])
        return Response(claim_body(claim), status=201, headers={"Location": location})


class ClaimDetail(ApiView):
    """One claim of the key's party; another's looks like one that is not there."""

    scopes = {"GET": "claims:read"}

    @extend_schema(
        operation_id="claims_read",
        summary="Read a claim",
        responses=openapi.answers(ClaimShown, 404),
        tags=["claims"],
    )
    def get(self, request: Request, claim_id: UUID) -> Response:
        return Response(claim_body(access_claim(self.actor, claim_id)))


class ClaimWithdrawal(ApiView):
    """Ends a claim; it stays on record."""

    scopes = {"POST": "claims:write"}

    @extend_schema(
        operation_id="claims_withdraw",
        summary="Withdraw a claim",
        request=None,
        parameters=[openapi.IDEMPOTENCY_KEY],
        responses=openapi.answers(ClaimShown, 400, 404, 409, 422),
        tags=["claims"],
    )
    @idempotent
    def post(self, request: Request, claim_id: UUID) -> Response:
        mine = access_claim(self.actor, claim_id, scope="claims:write")
        claim = withdraw_claim(acting=self.actor, claim=mine)
        return Response(claim_body(claim))


def _stated(form: Any) -> Any:
    """The claim that a form with pictures holds as JSON."""
    try:
        return orjson.loads(form.get("claim", ""))
    except orjson.JSONDecodeError as exc:
        raise ParseError(f"The field `claim` is not JSON: {exc}", "malformed_json") from None


def _arguments(data: dict[str, Any]) -> dict[str, Any]:
    """The serializer's words as the service takes them."""
    uses = Use(0)
    for label in data.pop("uses"):
        uses |= Use.parse(label)
    pairs = [(SelectorKind.parse(one["kind"]), one["value"]) for one in data.pop("selectors", ())]
    return {**data, "decision": Decision[data["decision"].upper()], "uses": uses, "selectors": pairs}


def claim_body(claim: Claim) -> dict[str, Any]:
    """A claim as its own party sees it; `claim.party` should be fetched already."""
    return _bodies([claim], most=MAX_SELECTORS)[0]


def _bodies(claims: Sequence[Claim], *, most: int) -> list[dict[str, Any]]:
    shown = shown_selectors(claims, most=most)
    content = [pair for one in shown.values() for pair in one.pairs if pair[0] in CONTENT_KINDS]
    made = made_here(claims, content) if content else set()
    counts = picture_counts(claims)
    return [_body(claim, shown[claim.pk], made, counts[claim.pk]) for claim in claims]


def _body(
    claim: Claim, shown: ShownSelectors, made: set[tuple[int, str]], counts: PictureCounts
) -> dict[str, Any]:
    return {
        "id": str(claim.public_id),
        "status": claim.status,
        "party": claim.party.handle,
        "owner": claim.owner,
        "ref": claim.ref,
        "decision": claim.decision_label,
        "uses": claim.use_labels,
        "covers": claim.covered.labels,
        "grade": claim.grade,
        "valid_from": claim.valid_from,
        "terms_url": claim.terms_url,
        "title": claim.title,
        "selectors": [_selector(kind, value, (claim.pk, value) in made) for kind, value in shown.pairs],
        "selector_count": shown.count,
        "pictures": asdict(counts),
        "hold_reason": claim.hold_reason,
        "created_at": claim.created_at,
        "withdrawn_at": claim.withdrawn_at,
    }


def _selector(kind: SelectorKind, value: str, is_made_here: bool) -> dict[str, str]:
    body = {"kind": kind.label, "value": value}
    if kind in CONTENT_KINDS:
        body["computed_by"] = "registry" if is_made_here else "client"
    return body
