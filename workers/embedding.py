"""Embedding pictures, on the queue `embedding`: one process a device, which holds the model."""

import time
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog
from celery.utils.time import get_exponential_backoff_interval
from django.conf import settings

from optout.embeddings import EmbeddingModel, load_model
from registry.services.embedding import EMBED_TASK, embed_batch, note_model, send_embed
from workers.celery import app
from workers.retrying import LONGEST_PAUSE, RETRYABLE

if TYPE_CHECKING:
    from celery import Task

__all__ = ["embed_waiting"]

#: After so long the rest is left to the next message, so that a worker that is told to stop soon does.
_TURN_SECONDS = 30.0
_log = structlog.get_logger(__name__)


@app.task(bind=True, name=EMBED_TASK, max_retries=None)
def embed_waiting(self: "Task[Any, Any]") -> int:
    """Embed what waits, batch by batch; how many pictures there were."""
    if not settings.OPTOUT_CLIP_MODEL:
        return 0
    model, until, done = _model(), time.monotonic() + _TURN_SECONDS, 0
    try:
        while count := embed_batch(model):
            done += count
            if time.monotonic() > until:
                send_embed()
                break
    except RETRYABLE as error:
        pause = 1 + get_exponential_backoff_interval(1, self.request.retries + 1, LONGEST_PAUSE, True)
        raise self.retry(exc=error, countdown=pause) from error
    return done


@cache
def _model() -> EmbeddingModel:
    """The model, loaded when the first picture comes and kept."""
    model = load_model(settings.OPTOUT_CLIP_MODEL, device=settings.OPTOUT_CLIP_DEVICE or None)
    note_model(model)
    _log.info("model_loaded", model=model.record.id, batch=model.batch)
    return model
