"""Embeddings of uploaded pictures: asking for them, and what the embedding workers do with a batch."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import numpy as np
import numpy.typing as npt
import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from optout.embeddings import EmbeddingModel, format_embedding
from optout.errors import BadInput
from optout.words import SelectorKind
from registry import storage
from registry.loading import RETRYABLE
from registry.locks import EMBEDDING, session_lock
from registry.models import Claim, ClipModel, Upload, selector_digest
from registry.services import flood
from registry.services.claims import add_selectors, hold_for_flood, lock_claim
from registry.services.events import waits
from registry.services.pictures import clear_stored

__all__ = ["EMBED_TASK", "embed_batch", "note_model", "send_embed", "want_embedding"]

EMBED_TASK = "workers.embedding.embed_waiting"
#: How long the oldest picture waits for others to share its batch.
LINGER = timedelta(seconds=0.5)
#: What was begun so often may be what the worker dies of: it is embedded alone, and then no more.
SUSPECT, MOST_ATTEMPTS = 2, 4
#: A message only wakes a worker, and the sweep sends another.
_MESSAGE_SECONDS = 60
_THREADS = 8
_log = structlog.get_logger(__name__)

Pixels = npt.NDArray[np.uint8]
F16 = npt.NDArray[np.float16]


def want_embedding(upload: Upload) -> None:
    """Queue the upload for the embedding workers, if the registry has a model; the caller saves it.

    Its row is the queue: messages only wake a worker, which takes as many uploads as fit a batch.
    """
    if settings.OPTOUT_CLIP_MODEL:
        upload.embedding = Upload.Embedding.QUEUED
        send_embed()


def send_embed() -> None:
    """Wake an embedding worker once the transaction, if there is one, has committed."""
    transaction.on_commit(
        lambda: current_app.send_task(EMBED_TASK, retry=False, expires=_MESSAGE_SECONDS), robust=True
    )


def note_model(model: EmbeddingModel) -> None:
    """Keep the model's record, for snapshots to carry."""
    ClipModel.objects.update_or_create(identifier=model.record.id, defaults={"record": dict(model.identity)})


def embed_batch(model: EmbeddingModel) -> int:
    """Embed a batch of what waits and make the embeddings selectors; how many pictures it took, 0 for none.

    A batch is full, or its oldest picture has waited for half a second. Each picture is held by a lock of
    this database session, so that no other worker takes it and a killed one gives it back.

    Raises:
        errors of the database and of the object store: try again later.
    """
    _linger(model.batch)
    with ExitStack() as held:
        uploads = _taken(held, model.batch)
        fine = [upload for upload in uploads if not _is_hopeless(upload)]
        _count(fine, 1)
        try:
            _embed(model, fine)
        except RETRYABLE:
            # Not the pictures' fault: the attempt does not count.
            _count(fine, -1)
            raise
    return len(uploads)


def _linger(most: int) -> None:
    waiting = Upload.objects.to_embed()
    while (oldest := waiting.values_list("finished_at", flat=True).first()) is not None:
        if timezone.now() - oldest >= LINGER or waiting[:most].count() >= most:
            return
        time.sleep(LINGER.total_seconds() / 10)


def _taken(held: ExitStack, most: int) -> list[Upload]:
    """The oldest that nobody else has; a suspect is taken alone."""
    taken: list[Upload] = []
    for number in Upload.objects.to_embed().values_list("pk", flat=True)[: 2 * most]:
        if not held.enter_context(session_lock(EMBEDDING, number)):
            continue
        # Under the lock: another worker may have finished it a moment ago.
        upload = Upload.objects.to_embed().filter(pk=number).first()
        if upload is None:
            continue
        if upload.embedding_attempts >= SUSPECT:
            if not taken:
                return [upload]
            continue
        taken.append(upload)
        if len(taken) == most:
            break
    return taken


def _count(uploads: Sequence[Upload], by: int) -> None:
    numbers = [upload.pk for upload in uploads]
    waiting = Upload.objects.to_embed().filter(pk__in=numbers).order_by()
    waiting.update(embedding_attempts=F("embedding_attempts") + by)


def _is_hopeless(upload: Upload) -> bool:
    if upload.embedding_attempts < MOST_ATTEMPTS:
        return False
    _park(upload, "crashed")
    return True


def _embed(model: EmbeddingModel, uploads: Sequence[Upload]) -> None:
    with ThreadPoolExecutor(_THREADS) as threads:
        squares = list(threads.map(partial(_prepared, model), uploads))
    ready = [(upload, square) for upload, square in zip(uploads, squares, strict=True) if square is not None]
    for upload, square in zip(uploads, squares, strict=True):
        if square is None:
            _park(upload, "not_a_picture")
    if ready:
        vectors = _vectors(model, np.stack([square for _, square in ready]))
        for (upload, _), vector in zip(ready, vectors, strict=True):
            if vector is None:
                _park(upload, "no_vector")
            else:
                _record(upload, format_embedding(model.record.id, vector))


def _prepared(model: EmbeddingModel, upload: Upload) -> Pixels | None:
    """The picture as the model takes it; None when it is gone or cannot be read."""
    try:
        with storage.open(upload.object_key) as file:
            return model.prepare(file.read(settings.OPTOUT_MAX_PICTURE + 1), upload.name)
    except (FileNotFoundError, BadInput):
        return None


def _vectors(model: EmbeddingModel, squares: Pixels) -> list[F16 | None]:
    """An embedding of each; by halves where the model makes none of some picture."""
    try:
        return list(model.embed_squares(squares))
    except BadInput:
        half = len(squares) // 2
        return [*_vectors(model, squares[:half]), *_vectors(model, squares[half:])] if half else [None]


def _record(upload: Upload, value: str) -> None:
    """Selector, event and state in one transaction, once; then the picture is no longer needed."""
    flooding = flood.reason_of([(SelectorKind.CLIP, value)], upload.party)
    with waits(), transaction.atomic():
        claim = lock_claim(upload)
        current = Upload.objects.select_for_update().get(pk=upload.pk)
        if current.embedding != Upload.Embedding.QUEUED:
            return
        if claim.status == Claim.Status.WITHDRAWN:
            current.embedding = Upload.Embedding.NONE
        else:
            add_selectors(current, claim, [(SelectorKind.CLIP, value)], application="embedding")
            if flooding:
                hold_for_flood(claim, flooding)
            current.embedding, current.clip_digest = Upload.Embedding.DONE, selector_digest(value)
        current.save(update_fields=["embedding", "clip_digest"])
        if not current.keep:
            transaction.on_commit(lambda: clear_stored(current), robust=True)


def _park(upload: Upload, why: str) -> None:
    """No embedding for this picture; its hashes count all the same."""
    if Upload.objects.to_embed().filter(pk=upload.pk).order_by().update(embedding=Upload.Embedding.PARKED):
        _log.warning("embedding_parked", upload=str(upload.public_id), why=why)
        if not upload.keep:
            clear_stored(upload)
