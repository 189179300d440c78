"""For every test of the service: an empty Valkey and data folder, and tasks that run where they are sent."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from pytest_django import Settings

from workers.celery import app

# A task sent from a test runs there and then, and its failure is the test's.
app.conf.update(task_always_eager=True, task_eager_propagates=True)


@pytest.fixture(autouse=True)
def _own_folders(settings: Settings, tmp_path: Path) -> None:
    settings.DATA = tmp_path / "data"
    settings.OPTOUT_STORAGE = str(settings.DATA / "objects")
    settings.OPTOUT_MAILBOX = settings.DATA / "mail"
    settings.DATA.mkdir()


@pytest.fixture(autouse=True)
def _empty_valkey() -> Iterator[None]:
    yield
    cache.clear()
