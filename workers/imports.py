"""Loading imports."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.utils import timezone

from registry.loading import RETRYABLE, fail_import, load_import
from registry.models import Import
from registry.services.imports import send_load
from registry.services.snapshots import send_build
from workers.celery import app

if TYPE_CHECKING:
    from celery import Task

__all__ = ["load", "sweep"]

MOST_RETRIES = 8
_FORGOTTEN = timedelta(minutes=1)
_log = structlog.get_logger(__name__)


@app.task(bind=True, name="workers.imports.load", max_retries=MOST_RETRIES)
def load(self: "Task[Any, Any]", public_id: str) -> None:
    """Load one import from where it stopped; what may pass is tried again, ever later."""
    structlog.contextvars.bind_contextvars(import_id=public_id)
    try:
        finished = load_import(public_id)
    except RETRYABLE as error:
        if self.request.retries >= MOST_RETRIES:
            fail_import(
                public_id, "unavailable", "A part of the service was away for too long; try again later."
            )
            raise
        raise self.retry(exc=error, countdown=min(2**self.request.retries, 60)) from error
    except SoftTimeLimitExceeded:
        self.apply_async((public_id,))  # a very long file goes on in a task of its own
        return
    except Exception:
        fail_import(public_id, "internal", "The file could not be loaded because of an error of ours.")
        raise
    finally:
        structlog.contextvars.unbind_contextvars("import_id")
    if finished:
        send_build()


@app.task(name="workers.imports.sweep")
def sweep() -> None:
    """Send again what was forgotten: no broker, a killed worker, or another import that went first."""
    for source in Import.objects.unfinished().filter(created_at__lt=timezone.now() - _FORGOTTEN):
        with transaction.atomic():
            send_load(source)
