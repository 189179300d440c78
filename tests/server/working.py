"""A real Celery worker for tests: it takes its messages from the broker."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery.contrib.testing.worker import start_worker

from workers.celery import app

__all__ = ["wait_until", "worker"]


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
