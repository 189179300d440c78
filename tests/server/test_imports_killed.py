"""A worker process that is killed in the middle of an import loses nothing and does nothing twice."""

import signal
from pathlib import Path

import pytest

from registry.models import Claim, ClaimEvent, Import, Selector
from tests.server.parties import platform
from tests.server.test_imports import counts, row, sent
from tests.server.working import wait_until, worker_process
from workers.celery import app
from workers.imports import load

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
ROWS = 90_000


def _begun_or_finished() -> bool:
    source = Import.objects.get()
    return source.rows_done > 0 or source.is_finished


def test_a_killed_worker_is_taken_over(tmp_path: Path) -> None:
    big = platform()
    rows = [row(number, selector="sha256", value=f"{number:064x}") for number in range(ROWS)]
    source = sent(big, rows)
    log = tmp_path / "worker.log"
    with worker_process(log, "imports") as first:
        wait_until(_begun_or_finished, 90)
        first.send_signal(signal.SIGKILL)
        first.wait()
    source.refresh_from_db()
    assert source.state == "running", (source.error, log.read_text()[-2000:])
    assert 0 < source.rows_done < ROWS
    assert source.rows_good == Claim.objects.count() == ClaimEvent.objects.count()

    app.send_task(load.name, args=[str(source.public_id)])  # what the sweep does a minute later
    with worker_process(log, "imports"):
        wait_until(lambda: Import.objects.get().is_finished, 90)
    source.refresh_from_db()
    assert (source.state, counts(source), source.attempts) == ("done", (ROWS, 0, 0), 2)
    assert Claim.objects.count() == Selector.objects.count() == ClaimEvent.objects.count() == ROWS
