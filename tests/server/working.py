"""Real Celery workers for tests: they take their messages from the broker."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from celery.contrib.testing.worker import start_worker
from django.conf import settings
from django.db import connection

from workers.celery import app

__all__ = ["wait_until", "worker", "worker_process"]

ROOT = Path(__file__).parents[2]


@contextmanager
def worker() -> Iterator[None]:
    """A worker in a thread of this process, for all queues; it sees the test's settings."""
    with start_worker(
        app,
        perform_ping_check=False,
        pool="solo",
        queues=["default", "imports", "snapshots", "hashing", "fetching", "embedding"],
        shutdown_timeout=60,
    ):
        yield


def wait_until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that another thread or process does."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} seconds"
        time.sleep(0.05)


@contextmanager
def worker_process(log: Path, queue: str, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process of its own, on this test's database, folders and store, to be killed at will.

    Args:
        log: what it says is added to this file.
        queue: whose messages it takes.
        more: further variables of its environment.
    """
    database = connection.settings_dict
    address = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    environment = {
        **os.environ,
        "DATABASE_URL": f"{address}/{database['NAME']}",
        "OPTOUT_DATA": str(settings.DATA),
        "OPTOUT_STORAGE": settings.OPTOUT_STORAGE,
        "OPTOUT_SIGNING_KEY": str(settings.OPTOUT_SIGNING_KEY),
        **more,
    }
    celery = [sys.executable, "-m", "celery", "-A", "workers", "worker", "--pool", "solo"]
    command = [*celery, "--queues", queue, "--loglevel", "INFO"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
