"""Embeddings of uploaded pictures: asking for them, and what the embedding workers do with a batch."""

from celery import current_app
from django.conf import settings
from django.db import transaction

from registry.models import Upload

__all__ = ["EMBED_TASK", "send_embed", "want_embedding"]

EMBED_TASK = "workers.embedding.embed_waiting"


def want_embedding(upload: Upload) -> None:
    """Queue the upload for the embedding workers, if the registry has a model; the caller saves it.

    Its row is the queue: messages only wake a worker, which takes as many uploads as fit a batch.
    """
    if settings.OPTOUT_CLIP_MODEL:
        upload.embedding = Upload.Embedding.QUEUED
        send_embed()


def send_embed() -> None:
    """Wake an embedding worker once the transaction, if there is one, has committed."""
    transaction.on_commit(lambda: current_app.send_task(EMBED_TASK, retry=False), robust=True)
