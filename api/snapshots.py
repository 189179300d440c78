"""`/snapshots`: the newest signed snapshot, and its files for those who filter at home."""

from pathlib import PurePosixPath
from typing import IO, Any

import orjson
from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api import openapi
from api.base import ApiView
from api.ranges import immutable_file
from api.serializers import SnapshotShown, TrustedKeyList
from optout.snapshot.manifest import ENVELOPE_NAME, MANIFEST_NAME
from optout.words import CONTENT_KINDS, SelectorKind
from registry import storage
from registry.access import access_snapshot
from registry.errors import NotFound
from registry.models import SnapshotRecord
from registry.snapshot_store import snapshots_folder, stored_key
from registry.trust import trusted_keys

__all__ = ["LatestSnapshot", "SnapshotFile", "TrustedKeys"]

SCOPE = "snapshots:read"
#: Hashes and embeddings of pictures count as personal data: who fetches them needs this as well.
PICTURES_SCOPE = "pictures:read"
_PICTURE_FILES = {kind.label for kind in CONTENT_KINDS - {SelectorKind.SHA256, SelectorKind.MD5}}


class TrustedKeys(ApiView):
    """What a pipeline trusts: the keys that snapshots are signed with."""

    scopes = {"GET": None}
    anonymous = True

    @extend_schema(
        operation_id="snapshots_keys",
        summary="Read the public keys that snapshots are signed with",
        description="Compare `key_id` with what the registry's operator told you by another way.",
        responses=openapi.answers(TrustedKeyList),
        tags=["snapshots"],
    )
    def get(self, request: Request) -> Response:
        keys = [{"key_id": key.key_id, "pem": key.pem.decode()} for key in trusted_keys()]
        return Response({"keys": keys})


class LatestSnapshot(ApiView):
    """What to fetch: manifest, signature, and every file with its digest and address."""

    scopes = {"GET": SCOPE}

    @extend_schema(
        operation_id="snapshots_latest",
        summary="Read the newest snapshot's manifest",
        responses=openapi.answers(SnapshotShown, 404),
        tags=["snapshots"],
    )
    def get(self, request: Request) -> Response:
        record = SnapshotRecord.objects.latest_published()
        if record is None:
            raise NotFound("No snapshot has been published yet.")
        return Response(_body(request, record))


class SnapshotFile(ApiView):
    """One file of a published snapshot; it never changes, so it may be cached for ever."""

    scopes = {"GET": SCOPE}

    @extend_schema(
        operation_id="snapshots_file",
        summary="Fetch a snapshot's file, or a range of it",
        description=f"Files with hashes of pictures also need the scope `{PICTURES_SCOPE}`.",
        parameters=[
            OpenApiParameter("digest", str, OpenApiParameter.PATH, description="The snapshot's digest."),
            OpenApiParameter(
                "path", str, OpenApiParameter.PATH, description="A path from the list of files."
            ),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range, `bytes=0-1023`."),
        ],
        responses={
            **openapi.answers(None, 404, 416),
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="The caller has it already."),
        },
        tags=["snapshots"],
    )
    def get(self, request: Request, digest: str, path: str) -> HttpResponseBase:
        record = access_snapshot(self.actor, digest)
        sha256, kind = _entry(record, path)
        self.actor.require(_scope_of(path))
        file = _open(record, path)
        size = file.seek(0, 2)
        return immutable_file(request, file, size=size, sha256=sha256, content_type=kind)


def _entry(record: SnapshotRecord, path: str) -> tuple[str, str]:
    """Digest and media type of a file that the manifest names; no other path is ever opened."""
    if path == MANIFEST_NAME:
        return record.digest, "application/json"
    if path == ENVELOPE_NAME:
        # Its own digest is written nowhere; the snapshot's names it as well.
        return f"{record.digest}-signature", "application/json"
    try:
        return record.manifest["files"][path]["sha256"], "application/octet-stream"
    except KeyError:
        raise NotFound("The snapshot has no such file.") from None


def _scope_of(path: str) -> str:
    return PICTURES_SCOPE if PurePosixPath(path).name.partition(".")[0] in _PICTURE_FILES else SCOPE


def _open(record: SnapshotRecord, path: str) -> IO[bytes]:
    """The file on this machine if it has the snapshot, else from the object store."""
    local = snapshots_folder() / record.directory / path
    if local.is_file():
        return local.open("rb")
    try:
        return storage.open(stored_key(record, path))
    except FileNotFoundError:
        raise NotFound("The snapshot's files have been removed; take the latest one.", code="gone") from None


def _body(request: Request, record: SnapshotRecord) -> dict[str, Any]:
    with _open(record, ENVELOPE_NAME) as file:
        envelope = orjson.loads(file.read())
    return {
        "id": str(record.public_id),
        "digest": record.digest,
        "checkpoint": record.checkpoint,
        "built_at": record.built_at,
        "manifest": record.manifest,
        "signature": envelope,
        "files": [_file_body(request, record, path) for path in sorted(record.manifest["files"])],
    }


def _file_body(request: Request, record: SnapshotRecord, path: str) -> dict[str, Any]:
    entry = record.manifest["files"][path]
    address = reverse("api:snapshot-file", args=[record.digest, path])
    return {
        "path": path,
        "size": entry["size"],
        "sha256": entry["sha256"],
        "scope": _scope_of(path),
        "url": request.build_absolute_uri(address),
    }
