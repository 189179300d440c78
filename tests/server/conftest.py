"""For every test of the service: an empty Valkey and data folder, and nothing remembered.

Tasks are sent to the broker, as in production; tests that want them done start a worker (working.py).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from pytest_django import Settings


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


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Each test begins like a new process: what the one before held in memory is forgotten."""
    # Imported here: this file is read before the settings may be.
    from registry import live
    from registry.services import key_cache

    key_cache.clear_local()
    live.reset()


@pytest.fixture(autouse=True, scope="session")
def _flushing_past_triggers() -> Iterator[None]:
    """Between tests tables are emptied although events are append-only: as a replica, without triggers."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    flush = DatabaseOperations.execute_sql_flush

    def flush_as_replica(self: DatabaseOperations, statements: list[str]) -> None:
        flush(self, ["SET LOCAL session_replication_role = replica", *statements])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush_as_replica)
        yield
