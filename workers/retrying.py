"""Trying again later: ever longer pauses, spread at random so that workers do not all come back at once."""

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery.utils.time import get_exponential_backoff_interval
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from registry.loading import RETRYABLE
from registry.models import Upload

if TYPE_CHECKING:
    from celery import Task

__all__ = ["LONGEST_PAUSE", "RETRYABLE", "later"]

LONGEST_PAUSE = 300


def later(task: "Task[Any, Any]", error: Exception, upload_id: str) -> Exception:
    """What to raise so that the running task about an upload is tried again after a pause.

    The sweep, which sends again what seems forgotten, is told of the pause if the database can be told.
    """
    pause = 1 + get_exponential_backoff_interval(
        factor=1, retries=task.request.retries + 1, maximum=LONGEST_PAUSE, full_jitter=True
    )
    with suppress(DatabaseError, InterfaceError):
        due = timezone.now() + timedelta(seconds=pause)
        Upload.objects.waiting().filter(public_id=upload_id).update(sent_at=due)
    return task.retry(exc=error, countdown=pause, throw=False)
