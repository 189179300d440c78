"""Embedding: what waits is taken in batches by one process a device, and nothing is lost with it."""

import io
import itertools
import signal
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from django.db import connection
from django.test import TestCase
from django.utils import timezone
from pytest_django import Settings

from optout.embeddings import EmbeddingModel, load_model, parse_embedding
from optout.words import Decision, SelectorKind, Use
from registry import live, storage
from registry.actor import Actor
from registry.locks import EMBEDDING
from registry.models import Claim, ClaimEvent, ClipModel, Selector, Upload
from registry.services import embedding
from registry.services.claims import withdraw_claim
from registry.services.embedding import MOST_ATTEMPTS, embed_batch, note_model
from registry.services.hashing import hash_upload
from registry.services.pictures import SentPicture, claim_with_pictures
from registry.services.snapshots import build_current
from tests.server.api_support import caller, quiet_keys
from tests.server.parties import person
from tests.server.pictures import jpeg
from tests.server.working import wait_until, worker_process
from tests.unit.model_support import small_clip
from workers.embedding import embed_waiting
from workers.upkeep import clear_pictures

__all__ = ["quiet_keys"]

_PERSONS = itertools.count()

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clip(tmp_path_factory.mktemp("clip") / "small.pt")


@pytest.fixture(scope="module")
def model(weights: Path) -> EmbeddingModel:
    return load_model(weights, device="cpu", batch=4)


@pytest.fixture(autouse=True)
def _has_a_model(settings: Settings, weights: Path) -> None:
    settings.OPTOUT_CLIP_MODEL = str(weights)


def claimed(count: int = 1, *, keep: bool = False, actor: Actor | None = None) -> Claim:
    """A claim with pictures that were hashed and now wait."""
    sent = [SentPicture(io.BytesIO(jpeg(seed, 96)), f"{seed}.jpg") for seed in range(count)]
    claim = claim_with_pictures(
        acting=actor or person(f"Anna {next(_PERSONS)}"),
        decision=Decision.DENY,
        uses=Use.TDM,
        pictures=sent,
        keep=keep,
    )
    for upload in claim.uploads.in_order():
        hash_upload(str(upload.public_id))
    return claim


def embeddings(claim: Claim) -> list[str]:
    rows = Selector.objects.filter(claim=claim, kind=SelectorKind.CLIP)
    return list(rows.values_list("value", flat=True))


def states() -> list[str]:
    return list(Upload.objects.in_order().values_list("embedding", flat=True))


def embed(model: EmbeddingModel) -> int:
    with TestCase.captureOnCommitCallbacks(execute=True):
        return embed_batch(model)


def test_an_embedding_becomes_a_selector_and_the_picture_is_forgotten(model: EmbeddingModel) -> None:
    claim = claimed()
    assert states() == ["queued"]
    assert clear_pictures() == 0
    assert embed(model) == 1
    (value,) = embeddings(claim)
    found = parse_embedding(value)
    assert found.model == model.record.id
    assert (found.vector == model.embed([jpeg(0, 96)])[0]).all()
    assert states() == ["done"]
    assert list(storage.list_keys()) == []
    event = ClaimEvent.objects.latest("id")
    assert (event.type, event.application, event.payload["selectors"]) == ("extended", "embedding", 1)
    assert embed(model) == 0


def test_a_kept_picture_stays_and_without_a_model_nothing_waits(
    model: EmbeddingModel, settings: Settings
) -> None:
    claimed(keep=True)
    embed(model)
    assert len(list(storage.list_keys("pictures"))) == 1
    settings.OPTOUT_CLIP_MODEL = ""
    claimed()
    assert states() == ["done", "none"]
    assert embed_waiting() == 0


def test_batches_are_as_large_as_the_model_takes_and_wait_a_moment_for_company(
    model: EmbeddingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed(6)
    assert [embed(model), embed(model), embed(model)] == [4, 2, 0]
    claimed(1)
    monkeypatch.setattr(embedding, "LINGER", timedelta(seconds=1.5))
    before = timezone.now()
    assert embed(model) == 1
    assert timezone.now() - before > timedelta(seconds=1)


def test_a_picture_another_worker_holds_is_left_to_it(model: EmbeddingModel) -> None:
    claim = claimed(2)
    held = claim.uploads.in_order()[0]
    holding: list[bool] = []
    done: list[bool] = []

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [EMBEDDING, held.pk])
            holding.append(cursor.fetchone()[0])
            wait_until(lambda: done)
        connection.close()

    thread = Thread(target=hold)
    thread.start()
    wait_until(lambda: holding)
    try:
        assert embed(model) == 1
    finally:
        done.append(True)
        thread.join()
    assert states() == ["queued", "done"]


def test_what_cannot_be_embedded_is_parked_and_the_others_go_on(model: EmbeddingModel) -> None:
    claim = claimed(3)
    gone, bad, _ = claim.uploads.in_order()
    storage.delete(gone.object_key)
    storage.put(bad.object_key, io.BytesIO(b"no picture any more"))
    assert embed(model) == 3
    assert states() == ["parked", "parked", "done"]
    assert len(embeddings(claim)) == 1
    assert Selector.objects.filter(claim=claim, kind=SelectorKind.PICTURE).count() == 3
    assert list(storage.list_keys()) == []


def test_a_suspect_is_embedded_alone_and_one_that_kills_workers_is_put_aside(model: EmbeddingModel) -> None:
    claim = claimed(3)
    suspect, killer, _ = claim.uploads.in_order()
    Upload.objects.filter(pk=suspect.pk).update(embedding_attempts=embedding.SUSPECT)
    Upload.objects.filter(pk=killer.pk).update(embedding_attempts=MOST_ATTEMPTS)
    assert [embed(model) for _ in range(4)] == [1, 1, 1, 0]
    assert states() == ["done", "parked", "done"]


def test_a_withdrawn_claim_gets_no_embedding(model: EmbeddingModel) -> None:
    anna = person()
    claim = claimed(actor=anna)
    withdraw_claim(acting=anna, claim=claim)
    embed(model)
    assert states() == ["none"]
    assert embeddings(claim) == []
    assert list(storage.list_keys()) == []


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_carries_the_models_record_and_check_answers_by_embedding(model: EmbeddingModel) -> None:
    claim = claimed()
    embed(model)
    note_model(model)
    record = build_current()
    assert record is not None
    assert record.manifest["models"] == [ClipModel.objects.get().record]
    assert record.manifest["models"][0]["id"] == model.record.id
    live.reset()
    answer = caller().post("check", {"items": [{"clip": embeddings(claim)[0]}]}).json()["answers"][0]
    assert (answer["outcome"], answer["reasons"][0]["selector"]) == ("denied", "clip")


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_is_taken_over(tmp_path: Path, weights: Path) -> None:
    count, log = 100, tmp_path / "worker.log"
    claim = claimed(count)
    with worker_process(log, "embedding", OPTOUT_CLIP_MODEL=str(weights)) as first:
        wait_until(lambda: embeddings(claim), 180)
        first.send_signal(signal.SIGKILL)
        first.wait()
    done = len(embeddings(claim))
    assert 0 < done < count, log.read_text()[-3000:]
    assert Upload.objects.to_embed().count() == count - done

    embedding.send_embed()  # what the sweep does a minute or two later
    with worker_process(log, "embedding", OPTOUT_CLIP_MODEL=str(weights)):
        wait_until(lambda: not Upload.objects.to_embed().exists(), 180)
    assert states() == ["done"] * count
    assert len(embeddings(claim)) == ClaimEvent.objects.filter(application="embedding").count() == count
    assert ClipModel.objects.count() == 1
