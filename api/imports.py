"""`/imports`: claim exchange files, and what became of each of their rows."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api import openapi
from api.base import ApiView
from api.conf import MIB
from api.idempotency import idempotent
from api.multipart import LimitedParser, require_known
from api.pages import newest_page, rows_page
from api.problems import Problem, too_large
from api.serializers import ImportPage, ImportShown, NewImport, RejectionPage
from registry.access import access_import
from registry.models import Import, ImportRejection
from registry.services.imports import start_import

__all__ = ["ImportDetail", "ImportList", "ImportRejections"]

# What the parts' headers and the small fields may add to the file.
_ENVELOPE = MIB


class UploadParser(LimitedParser):
    """Forms with a claim exchange file."""

    @property
    def limit(self) -> int:
        """OPTOUT_MAX_UPLOAD, and some room for the rest."""
        most: int = settings.OPTOUT_MAX_UPLOAD
        return most + _ENVELOPE


class ImportList(ApiView):
    """The imports of the key's party."""

    scopes = {"GET": "imports:write", "POST": "imports:write"}
    parser_classes = [UploadParser]

    @extend_schema(
        operation_id="imports_list",
        summary="List one's imports, the newest first",
        parameters=openapi.PAGING,
        responses=openapi.answers(ImportPage, 400),
        tags=["imports"],
    )
    def get(self, request: Request) -> Response:
        rows, following = newest_page(request, Import.objects.for_party(self.actor.party))
        return Response({"results": [import_body(one) for one in rows], "next": following})

    @extend_schema(
        operation_id="imports_create",
        summary="Send a claim exchange file",
        description=(
            "JSON Lines, CSV or Parquet, told apart by the file's name. The answer comes at once; the rows "
            "are loaded afterwards. Sending the same rows again changes nothing."
        ),
        request={"multipart/form-data": NewImport},
        parameters=[openapi.IDEMPOTENCY_KEY],
        responses=openapi.answers(ImportShown, 400, 409, 413, 415, 422, success=202),
        tags=["imports"],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        file = _file(request)
        form: Any = request.data
        digest = form.get("sha256") or None
        begun = start_import(acting=self.actor, file=file, filename=file.name or "", sha256=digest)
        location = reverse("api:import", args=[begun.public_id])
        return Response(import_body(begun), status=202, headers={"Location": location})


class ImportDetail(ApiView):
    """One import and its counts."""

    scopes = {"GET": "imports:write"}

    @extend_schema(
        operation_id="imports_read",
        summary="Read an import's state and counts",
        responses=openapi.answers(ImportShown, 404),
        tags=["imports"],
    )
    def get(self, request: Request, import_id: UUID) -> Response:
        return Response(import_body(access_import(self.actor, import_id)))


class ImportRejections(ApiView):
    """The rows that an import refused, each with its reason."""

    scopes = {"GET": "imports:write"}

    @extend_schema(
        operation_id="imports_rejections",
        summary="List the rows an import refused",
        parameters=openapi.PAGING,
        responses=openapi.answers(RejectionPage, 400, 404),
        tags=["imports"],
    )
    def get(self, request: Request, import_id: UUID) -> Response:
        begun = access_import(self.actor, import_id)
        rows, following = rows_page(request, ImportRejection.objects.filter(source_import=begun))
        results = [
            {"row": one.row, "code": one.code, "detail": one.detail, "excerpt": one.excerpt} for one in rows
        ]
        return Response({"results": results, "next": following})


def _file(request: Request) -> "UploadedFile[bytes]":
    form: Any = request.data
    file = form.get("file")
    if not isinstance(file, UploadedFile):
        raise Problem(400, "file_missing", "Send the claim exchange file as the multipart field `file`.")
    require_known(form, "file", "sha256")
    if file.size is not None and file.size > settings.OPTOUT_MAX_UPLOAD:
        raise too_large(settings.OPTOUT_MAX_UPLOAD)
    return file


def import_body(begun: Import) -> dict[str, Any]:
    """An import as its party sees it."""
    return {
        "id": str(begun.public_id),
        "state": begun.state,
        "filename": begun.filename,
        "format": begun.format,
        "sha256": begun.sha256,
        "size_bytes": begun.size_bytes,
        "rows_done": begun.rows_done,
        "rows_good": begun.rows_good,
        "rows_bad": begun.rows_bad,
        "rows_unchanged": begun.rows_unchanged,
        "claims_created": begun.claims_created,
        "claims_amended": begun.claims_amended,
        "error": begun.error,
        "error_code": begun.error_code,
        "created_at": begun.created_at,
        "started_at": begun.started_at,
        "finished_at": begun.finished_at,
    }
