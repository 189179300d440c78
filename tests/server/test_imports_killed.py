"""A worker process that is killed in the middle of an import loses nothing and does nothing twice."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from registry.models import Claim, ClaimEvent, Import, Selector
from tests.server.parties import platform
from tests.server.test_imports import counts, row, sent
from tests.server.working import wait_until
from workers.celery import app
from workers.imports import load

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).parents[2]
ROWS = 90_000


@contextmanager
def worker_process(log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A Celery worker of its own, on this test's database and folders."""
    database = connection.settings_dict
    address = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    environment = {
        **os.environ,
        "DATABASE_URL": f"{address}/{database['NAME']}",
        "OPTOUT_DATA": str(settings.DATA),
        "OPTOUT_STORAGE": settings.OPTOUT_STORAGE,
        "OPTOUT_SIGNING_KEY": str(settings.OPTOUT_SIGNING_KEY),
    }
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "workers",
        "worker",
        "--pool",
        "solo",
        "--queues",
        "imports",
        "--loglevel",
        "INFO",
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _begun_or_finished() -> bool:
    source = Import.objects.get()
    return source.rows_done > 0 or source.is_finished


def test_a_killed_worker_is_taken_over(tmp_path: Path) -> None:
    big = platform()
    rows = [row(number, selector="sha256", value=f"{number:064x}") for number in range(ROWS)]
    source = sent(big, rows)
    log = tmp_path / "worker.log"
    with worker_process(log) as first:
        wait_until(_begun_or_finished, 90)
        first.send_signal(signal.SIGKILL)
        first.wait()
    source.refresh_from_db()
    assert source.state == "running", (source.error, log.read_text()[-2000:])
    assert 0 < source.rows_done < ROWS
    assert source.rows_good == Claim.objects.count() == ClaimEvent.objects.count()

    app.send_task(load.name, args=[str(source.public_id)])  # what the sweep does a minute later
    with worker_process(log):
        wait_until(lambda: Import.objects.get().is_finished, 90)
    source.refresh_from_db()
    assert (source.state, counts(source), source.attempts) == ("done", (ROWS, 0, 0), 2)
    assert Claim.objects.count() == Selector.objects.count() == ClaimEvent.objects.count() == ROWS
