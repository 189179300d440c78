"""A hashing worker that is killed in the middle of its pictures loses none, wherever the pictures lie."""

import io
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from optout.words import Decision, Use
from registry import storage
from registry.models import Claim, ClaimEvent, Selector, Upload
from registry.services.pictures import SentPicture, claim_with_pictures
from tests.server.parties import person
from tests.server.pictures import jpeg
from tests.server.seaweed import ACCESS_KEY, SECRET_KEY, seaweed
from tests.server.working import wait_until, worker_process
from workers.hashing import sweep

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
COUNT = 60


@pytest.fixture
def s3(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of an S3 server that is now the object store."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        server.make_bucket("pictures")
        settings.OPTOUT_STORAGE, settings.OPTOUT_S3_ENDPOINT = "s3://pictures/here", server.endpoint
        yield server.endpoint


def claimed() -> Claim:
    small = [jpeg(seed, 128) for seed in range(COUNT)]
    return claim_with_pictures(
        acting=person(),
        decision=Decision.DENY,
        uses=Use.TDM,
        pictures=[SentPicture(io.BytesIO(data), f"{number}.jpg") for number, data in enumerate(small)],
    )


def hashed() -> int:
    return Upload.objects.filter(state="hashed").count()


def test_a_killed_worker_is_taken_over(tmp_path: Path, s3: str) -> None:
    claim, log = claimed(), tmp_path / "worker.log"
    assert len(list(storage.list_keys("pictures"))) == COUNT
    with worker_process(log, "hashing", OPTOUT_S3_ENDPOINT=s3) as first:
        wait_until(lambda: hashed() >= 3, 120)
        first.send_signal(signal.SIGKILL)
        first.wait()
    done = hashed()
    assert 3 <= done < COUNT, log.read_text()[-2000:]
    assert Upload.objects.waiting().count() == COUNT - done
    assert Selector.objects.count() == 3 * done

    # What the clock does: whatever was not heard of for some minutes is sent again.
    Upload.objects.waiting().update(sent_at=timezone.now() - timedelta(hours=1))
    assert sweep() == COUNT - done
    with worker_process(log, "hashing", OPTOUT_S3_ENDPOINT=s3):
        wait_until(lambda: hashed() == COUNT, 120)
    assert Selector.objects.filter(claim=claim).count() == 3 * COUNT
    assert ClaimEvent.objects.filter(type="extended").count() == COUNT
    wait_until(lambda: not list(storage.list_keys("pictures")), 30)
