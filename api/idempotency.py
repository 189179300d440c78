"""`Idempotency-Key`: a POST that is sent again is answered as it was the first time, and done once."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

import orjson
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import ApiView
from api.problems import Problem
from registry.models import IdempotencyRecord

__all__ = ["idempotent"]

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# A request that has not answered for so long died with its process; its transaction was rolled back.
_ABANDONED = timedelta(minutes=10)
Method = Callable[..., Response]


def idempotent(method: Method) -> Callable[..., Response | HttpResponse]:
    """Decorate a view method that creates something.

    What the method writes and the note of its answer are one transaction: a process that dies in between
    leaves neither, and a request that fails may be sent again with the same key.
    """

    @wraps(method)
    def answer(view: ApiView, request: Request, *args: Any, **kwargs: Any) -> Response | HttpResponse:
        key = request.headers.get(HEADER)
        if key is None:
            return method(view, request, *args, **kwargs)
        if not _KEY.fullmatch(key):
            raise Problem(400, "bad_idempotency_key", f"{HEADER} takes 1 to 255 visible ASCII characters.")
        record, is_new = _begin(view, key, _fingerprint(request))
        if not is_new:
            return _replay(record)
        try:
            with transaction.atomic():
                response = method(view, request, *args, **kwargs)
                _finish(record, response)
        except BaseException:
            record.delete()
            raise
        return response

    return answer


def _begin(view: ApiView, key: str, digest: bytes) -> tuple[IdempotencyRecord, bool]:
    record, is_new = IdempotencyRecord.objects.get_or_create(
        party=view.actor.party, key=key, defaults={"request_digest": digest}
    )
    if is_new:
        return record, True
    if bytes(record.request_digest) != digest:
        raise Problem(422, "idempotency_key_reused", f"This {HEADER} was sent before with another request.")
    if record.state == IdempotencyRecord.State.RUNNING:
        _take_over(record)
        return record, True
    return record, False


def _take_over(record: IdempotencyRecord) -> None:
    now = timezone.now()
    abandoned = IdempotencyRecord.objects.filter(
        pk=record.pk, state=IdempotencyRecord.State.RUNNING, created_at__lt=now - _ABANDONED
    )
    if not abandoned.update(created_at=now):
        detail = f"The first request with this {HEADER} is still running."
        raise Problem(409, "still_running", detail, headers={"Retry-After": "1"})


def _fingerprint(request: Request) -> bytes:
    """SHA-256 of what was asked: method, path and body, an uploaded file by its digest."""
    data = request.data
    if hasattr(data, "lists"):
        data = sorted((name, [_plain(value) for value in values]) for name, values in data.lists())
    body = orjson.dumps([request.method, request.path, data], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).digest()


def _plain(value: Any) -> str:
    if not isinstance(value, UploadedFile):
        return str(value)
    value.seek(0)
    digest = hashlib.file_digest(value, "sha256").hexdigest()
    value.seek(0)
    return f"{value.name}:{digest}"


def _finish(record: IdempotencyRecord, response: Response) -> None:
    record.state = IdempotencyRecord.State.DONE
    record.response_status = response.status_code
    record.response_headers = {name: response[name] for name in ("Location",) if name in response}
    record.response_body = orjson.dumps(response.data, default=str)
    record.save(update_fields=["state", "response_status", "response_headers", "response_body"])


def _replay(record: IdempotencyRecord) -> HttpResponse:
    return HttpResponse(
        bytes(record.response_body),
        status=record.response_status or 200,
        content_type="application/json",
        headers={**record.response_headers, "Idempotency-Replayed": "true"},
    )
