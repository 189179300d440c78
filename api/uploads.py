"""`/uploads` and `/claims/{id}/pictures`: the pictures of claims, and what became of each."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api import openapi
from api.base import ApiView
from api.idempotency import idempotent
from api.multipart import PicturesParser, require_known, sent_pictures
from api.pages import newest_page
from api.problems import Problem
from api.serializers import NewPictures, UploadList, UploadPage, UploadShown
from api.throttles import UploadThrottle
from registry.access import access_claim, access_upload
from registry.models import Upload
from registry.services.pictures import MOST_AT_ONCE, MOST_OF_CLAIM, add_pictures, delete_upload

__all__ = ["ClaimPictures", "UploadDetail", "UploadPages", "upload_body"]


class ClaimPictures(ApiView):
    """The pictures of one claim."""

    scopes = {"GET": "claims:read", "POST": "claims:write"}
    parser_classes = [PicturesParser]
    throttle_classes = [UploadThrottle]

    @extend_schema(
        operation_id="claims_pictures_list",
        summary="List a claim's pictures and what became of them",
        parameters=openapi.PAGING,
        responses=openapi.answers(UploadPage, 400, 404),
        tags=["pictures"],
    )
    def get(self, request: Request, claim_id: UUID) -> Response:
        claim = access_claim(self.actor, claim_id)
        rows, following = newest_page(request, Upload.objects.filter(claim=claim).select_related("claim"))
        return Response({"results": [upload_body(one) for one in rows], "next": following})

    @extend_schema(
        operation_id="claims_pictures_add",
        summary="Add pictures to a claim",
        description=(
            f"Up to {MOST_AT_ONCE} files at a time, {MOST_OF_CLAIM:,} for a claim. They are hashed within "
            "seconds and then removed, unless `keep` is true. 503 with `Retry-After` means that too many are "
            "waiting; nothing was recorded then."
        ),
        request={"multipart/form-data": NewPictures},
        parameters=[openapi.IDEMPOTENCY_KEY],
        responses=openapi.answers(UploadList, 400, 404, 409, 413, 415, 422, success=202),
        tags=["pictures"],
    )
    @idempotent
    def post(self, request: Request, claim_id: UUID) -> Response:
        claim = access_claim(self.actor, claim_id, scope="claims:write")
        form: Any = request.data
        pictures = sent_pictures(request)
        require_known(form, "pictures", "keep")
        uploads = add_pictures(acting=self.actor, claim=claim, pictures=pictures, keep=_flag(form, "keep"))
        return Response({"results": [upload_body(one) for one in uploads]}, status=202)


class UploadPages(ApiView):
    """All pictures of the key's party."""

    scopes = {"GET": "claims:read"}

    @extend_schema(
        operation_id="uploads_list",
        summary="List one's pictures, the newest first",
        parameters=openapi.PAGING,
        responses=openapi.answers(UploadPage, 400),
        tags=["pictures"],
    )
    def get(self, request: Request) -> Response:
        mine = Upload.objects.for_party(self.actor.party).select_related("claim")
        rows, following = newest_page(request, mine)
        return Response({"results": [upload_body(one) for one in rows], "next": following})


class UploadDetail(ApiView):
    """One picture of the key's party; another's looks like one that is not there."""

    scopes = {"GET": "claims:read", "DELETE": "claims:write"}

    @extend_schema(
        operation_id="uploads_read",
        summary="Read what became of a picture",
        responses=openapi.answers(UploadShown, 404),
        tags=["pictures"],
    )
    def get(self, request: Request, upload_id: UUID) -> Response:
        return Response(upload_body(access_upload(self.actor, upload_id)))

    @extend_schema(
        operation_id="uploads_delete",
        summary="Remove a stored picture",
        description=(
            "A picture that waits is not hashed any more. The hashes of one that was hashed stay in its "
            "claim, which is withdrawn as a whole."
        ),
        responses=openapi.answers(UploadShown, 404),
        tags=["pictures"],
    )
    def delete(self, request: Request, upload_id: UUID) -> Response:
        mine = access_upload(self.actor, upload_id, scope="claims:write")
        delete_upload(acting=self.actor, upload=mine)
        return Response(upload_body(access_upload(self.actor, upload_id, scope="claims:write")))


def upload_body(upload: Upload) -> dict[str, Any]:
    """A picture as its party sees it."""
    return {
        "id": str(upload.public_id),
        "claim": str(upload.claim.public_id),
        "name": upload.name,
        "source_url": upload.source_url,
        "size_bytes": upload.size_bytes,
        "state": upload.state,
        "reason_code": upload.reason_code,
        "reason": upload.reason,
        "kept": upload.is_kept,
        "sha256": upload.sha256,
        "md5": upload.md5,
        "fingerprint": upload.fingerprint,
        "embedding": upload.embedding,
        "created_at": upload.created_at,
        "finished_at": upload.finished_at,
    }


def _flag(form: Any, name: str) -> bool:
    written = str(form.get(name, "false")).lower()
    if written not in {"true", "false", "1", "0"}:
        raise Problem(400, "invalid", f"{name} is true or false.", fields={name: ["Send true or false."]})
    return written in {"true", "1"}
