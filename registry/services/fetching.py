"""Fetching the pictures at a claim's addresses, for owners who ask for it."""

import io

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from registry import storage
from registry.identifiers import uuid7
from registry.locks import HASHING, session_lock
from registry.models import Upload
from registry.services.hashing import park_upload
from registry.services.pictures import FOLDER, send_work
from registry.web import FetchLimits, Refused, Unreachable, fetch, may_fetch

__all__ = ["MOST_ATTEMPTS", "fetch_upload"]

MOST_ATTEMPTS = 6
_REASONS = {
    "robots": "The site asks robots not to fetch this picture (robots.txt).",
    "not_found": "There is no picture at this address: the server answered %s.",
    "empty_file": "The server sent an empty file.",
}


def fetch_upload(public_id: str) -> None:
    """Fetch the picture of an upload that names an address, store it, and send it on to be hashed.

    Does nothing when it is finished, unknown, fetched already, or in the hands of another worker.

    Raises:
        Unreachable, up to six times, and the errors of database and object store: try again later.
    """
    upload = Upload.objects.filter(public_id=public_id).first()
    if upload is None or not upload.is_to_be_fetched:
        return
    with session_lock(HASHING, upload.pk) as alone:
        if not alone:
            return
        Upload.objects.filter(pk=upload.pk).update(attempts=F("attempts") + 1, started_at=timezone.now())
        try:
            _fetch(upload)
        except Unreachable as error:
            if upload.attempts + 1 < MOST_ATTEMPTS:
                raise
            park_upload(upload, "unreachable", _sentence(error))


def _fetch(upload: Upload) -> None:
    try:
        if not may_fetch(upload.source_url):
            park_upload(upload, "robots", _REASONS["robots"])
            return
        answer = fetch(upload.source_url, FetchLimits(settings.OPTOUT_MAX_PICTURE))
    except Refused as error:
        park_upload(upload, error.code, _sentence(error))
        return
    if answer.status >= 500 or answer.status == 429:
        raise Unreachable(f"the server answered {answer.status}", code="unreachable")
    if answer.status != 200:
        park_upload(upload, "not_found", _REASONS["not_found"] % answer.status)
    elif not answer.body:
        park_upload(upload, "empty_file", _REASONS["empty_file"])
    else:
        _store(upload, answer.body, answer.content_type)


def _store(upload: Upload, body: bytes, content_type: str) -> None:
    key = f"{FOLDER}/{uuid7()}"
    storage.put(key, io.BytesIO(body))
    with transaction.atomic():
        # The attempts counted so far were the server's fault; reading the picture starts from none.
        changed = (
            Upload.objects.waiting()
            .filter(pk=upload.pk, object_key="")
            .update(object_key=key, size_bytes=len(body), content_type=content_type[:100], attempts=0)
        )
        if changed:
            upload.object_key = key
            send_work(upload)
    if not changed:
        storage.delete(key)


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."
