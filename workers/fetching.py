"""Fetching pictures by address, on the queue `fetching`."""

from typing import TYPE_CHECKING, Any

import structlog

from registry.services import fetching
from registry.web import Unreachable
from workers.celery import app
from workers.retrying import RETRYABLE, later

if TYPE_CHECKING:
    from celery import Task

__all__ = ["fetch_upload"]

#: A fetch has 30 seconds, its robots.txt ten; names may take a while to resolve.
_SOFT_SECONDS = 90
_HARD_SECONDS = 100


@app.task(
    bind=True,
    name="workers.fetching.fetch_upload",
    max_retries=None,
    soft_time_limit=_SOFT_SECONDS,
    time_limit=_HARD_SECONDS,
)
def fetch_upload(self: "Task[Any, Any]", public_id: str) -> None:
    """Fetch one picture; a server that does not answer is asked again some times, ever later."""
    structlog.contextvars.bind_contextvars(upload_id=public_id)
    try:
        fetching.fetch_upload(public_id)
    except (Unreachable, *RETRYABLE) as error:
        raise later(self, error, public_id) from error
    finally:
        structlog.contextvars.unbind_contextvars("upload_id")
