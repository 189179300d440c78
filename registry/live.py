"""What the registry knows now: the current snapshot, mapped, and what has happened since, in memory.

Asking costs nothing but a look at the clock; at most once a second one caller looks into the database for
what is new while the others go on with what there is. When the database is away, everybody does.
"""

import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from optout.errors import OptoutError
from optout.snapshot import Manifest, Snapshot, open_snapshot
from registry.changes import changes_after
from registry.errors import Unavailable
from registry.layers import Layer, stack
from registry.models import SnapshotRecord
from registry.snapshot_store import fetch_snapshot, local_pointer, snapshots_folder
from registry.trust import trusted_keys

__all__ = ["LiveState", "as_of", "current_snapshot", "current_state", "reset"]

POLL_SECONDS = 1.0
#: After a failed look: long enough not to hold every caller up by a database that does not answer.
PAUSE_SECONDS = 2.0
#: How long one caller may be kept busy with catching up.
BUDGET_SECONDS = 0.5
BATCH_EVENTS = 20_000
STATEMENT_MILLISECONDS = 2000
STALE_SECONDS = 5.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LiveState:
    """What answers are given from.

    Attributes:
        snapshot: the current snapshot with everything newer over it.
        checkpoint: id of the newest event that is in it.
        as_of: when that was all there was; None when the database has not been seen since the start.
        stale: whether the last look into the database failed, or it has not caught up yet.
    """

    snapshot: Snapshot
    checkpoint: int
    as_of: datetime | None
    stale: bool


@dataclass
class _Held:
    """What the process holds between looks."""

    base: Snapshot
    directory: str
    layers: list[Layer] = field(default_factory=list)
    checkpoint: int = 0
    as_of: datetime | None = None
    stale: bool = True

    def state(self) -> LiveState:
        snapshot = self.layers[-1].snapshot if self.layers else self.base
        return LiveState(snapshot, self.checkpoint, self.as_of, self.stale)


_lock = threading.Lock()
_held: _Held | None = None
_state: LiveState | None = None
_next_look = 0.0


def current_snapshot() -> Snapshot:
    """The snapshot to judge by, with every claim and withdrawal up to at most a second or two ago.

    Raises:
        Unavailable: nothing is known yet: no snapshot on this machine, and the database is away.
    """
    return current_state().snapshot


def as_of() -> datetime | None:
    """The moment up to which `current_snapshot` knows everything."""
    return current_state().as_of


def current_state() -> LiveState:
    """Like `current_snapshot`, with how fresh it is.

    Raises:
        Unavailable: nothing is known yet.
    """
    state = _state
    if state is not None and time.monotonic() < _next_look:
        return state
    # The first look of a process is waited for; afterwards one caller looks and the others go on.
    if _lock.acquire(blocking=state is None):
        try:
            if _state is None or time.monotonic() >= _next_look:
                _look()
        finally:
            _lock.release()
    if _state is None:
        raise Unavailable("The registry cannot answer yet: its database is away.")
    return _state


def reset() -> None:
    """Forget everything, as at the start of the process."""
    global _held, _state, _next_look
    with _lock:
        _held, _state, _next_look = None, None, 0.0


def _after_fork() -> None:
    # A thread of the parent may have held the lock; what is mapped and held stays good.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _look() -> None:
    """Bring `_held` up to date as far as that goes, and set `_state` anew."""
    global _held, _state, _next_look
    pause = POLL_SECONDS
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
            _held = _with_newest_base(_held)
            caught_up = _catch_up(_held)
        if caught_up:
            _held.as_of, _held.stale = timezone.now(), False
        else:
            _held.stale, pause = _held.as_of is None or _age(_held.as_of) > STALE_SECONDS, 0.0
    except (DatabaseError, InterfaceError) as error:
        _log.warning("live_database_away", error=str(error))
        if not connection.in_atomic_block:
            connection.close()
        _held, pause = _without_database(_held), PAUSE_SECONDS
    if _held is not None:
        _state = _held.state()
    _next_look = time.monotonic() + pause


def _age(moment: datetime) -> float:
    return (timezone.now() - moment).total_seconds()


def _with_newest_base(held: _Held | None) -> _Held:
    """What is held, or a fresh start when another snapshot was published since."""
    record = SnapshotRecord.objects.defer("manifest").latest_published()
    if record is None:
        return held if held is not None and not held.directory else _Held(_empty_snapshot(), "")
    if held is not None and held.directory == record.directory:
        return held
    try:
        base = _open(fetch_snapshot(record))
    except (OptoutError, OSError) as error:
        # A snapshot that does not hold is not used; what is held and the events after it are still right.
        _log.exception("live_snapshot_unusable", directory=record.directory, error=str(error))
        return held or _Held(_empty_snapshot(), "")
    fresh = _Held(base, record.directory, checkpoint=record.checkpoint)
    if held is not None:
        fresh.as_of = held.as_of
    return fresh


def _without_database(held: _Held | None) -> _Held | None:
    """What can be answered from when the database is away: what is held, else what lies on this machine."""
    if held is not None:
        held.stale = True
        return held
    pointer = local_pointer()
    if pointer is None:
        return None
    try:
        base = _open(snapshots_folder() / pointer["directory"])
    except OptoutError:
        _log.exception("live_snapshot_unusable", directory=pointer["directory"])
        return None
    return _Held(base, pointer["directory"], checkpoint=pointer["checkpoint"])


def _open(directory: Path) -> Snapshot:
    return open_snapshot(directory, trust=trusted_keys())


def _empty_snapshot() -> Snapshot:
    """What there is before the first snapshot: nothing, under a key of its own."""
    manifest = Manifest(sip_key=secrets.token_hex(16), segments=(), files={}, checkpoint={"events": 0})
    return Snapshot(manifest, manifest.digest, ())


def _catch_up(held: _Held) -> bool:
    """Lay newer events over what is held; False when the time was up before all were in."""
    until = time.monotonic() + BUDGET_SECONDS
    while changes := changes_after(held.checkpoint, most=BATCH_EVENTS):
        stack(held.base, held.layers, changes.tables(), changes.outdated)
        held.checkpoint = changes.newest
        if time.monotonic() > until:
            return False
    return True
