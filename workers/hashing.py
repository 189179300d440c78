"""Hashing uploaded pictures, on the queue `hashing`. Messages carry the id of an upload, never its bytes."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.utils import timezone

from registry.models import Upload
from registry.services import hashing
from registry.services.embedding import send_embed
from registry.services.pictures import send_work
from workers.celery import app
from workers.retrying import RETRYABLE, later

if TYPE_CHECKING:
    from celery import Task

__all__ = ["hash_upload", "sweep"]

#: A decoder that takes longer is stopped; its worker process goes with it.
_SOFT_SECONDS = 60
_HARD_SECONDS = 75
_FORGOTTEN = timedelta(minutes=2)
_SENT_AT_ONCE = 5000


@app.task(
    bind=True,
    name="workers.hashing.hash_upload",
    max_retries=None,
    soft_time_limit=_SOFT_SECONDS,
    time_limit=_HARD_SECONDS,
)
def hash_upload(self: "Task[Any, Any]", public_id: str) -> None:
    """Hash one upload; while the database or the object store is away it is tried again, ever later."""
    structlog.contextvars.bind_contextvars(upload_id=public_id)
    try:
        hashing.hash_upload(public_id)
    except RETRYABLE as error:
        raise later(self, error, public_id) from error
    finally:
        structlog.contextvars.unbind_contextvars("upload_id")


@app.task(name="workers.hashing.sweep")
def sweep() -> int:
    """Send again what was forgotten: no broker, or a worker that was killed; how many there were."""
    before = timezone.now() - _FORGOTTEN
    forgotten = Upload.objects.waiting().filter(sent_at__lt=before).order_by("sent_at")[:_SENT_AT_ONCE]
    with transaction.atomic():
        uploads = list(forgotten.select_for_update(skip_locked=True))
        Upload.objects.filter(pk__in=[upload.pk for upload in uploads]).update(sent_at=timezone.now())
        for upload in uploads:
            send_work(upload)
    if Upload.objects.to_embed().filter(finished_at__lt=before).exists():
        send_embed()
    return len(uploads)
