"""Building snapshots from the database, and publishing them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import structlog
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone

from optout.errors import OptoutError
from optout.snapshot import Manifest, build_delta, build_snapshot
from registry.changes import changes_after
from registry.identifiers import uuid7
from registry.locks import BUILDING, session_lock
from registry.models import ClaimEvent, ClipModel, SnapshotRecord
from registry.snapshot_store import (
    KEPT,
    fetch_snapshot,
    move_pointers,
    prune_local,
    prune_stored,
    put_files,
    snapshots_folder,
)
from registry.stream import stream_claims
from registry.trust import signing_key

__all__ = ["BUILD_TASK", "RENEWED_AFTER", "build_current", "send_build"]

BUILD_TASK = "workers.snapshots.build"
#: A lookup asks every segment, and withdrawn entries stay in theirs: then it is time for a new base.
MOST_DELTAS = 16
#: How large all deltas and withdrawals may be together, as a share of the base's claims.
DELTA_SHARE = 0.2
#: A snapshot says as of when it speaks, and trainers refuse old ones: that nothing is new must be said too.
RENEWED_AFTER = timedelta(days=1)
#: The changes of one delta are held in memory.
MOST_CHANGES = 500_000
_log = structlog.get_logger(__name__)


def send_build() -> None:
    """Ask for a build once the transaction, if there is one, has committed."""
    transaction.on_commit(lambda: current_app.send_task(BUILD_TASK, retry=False), robust=True)


def build_current(*, force: bool = False) -> SnapshotRecord | None:
    """Build and publish a snapshot of everything that speaks now.

    When little has changed it is a delta to the one before, else it has a base of its own.

    Args:
        force: build a new base, even when no event came since the last snapshot.

    Returns:
        the new record; None when there was nothing to do or another process is building.
    """
    with session_lock(BUILDING) as alone:
        if not alone:
            return None
        latest = SnapshotRecord.objects.latest_published()
        if latest is not None and not force and _says_all(latest):
            return None
        return _build(latest, force)


def _says_all(latest: SnapshotRecord) -> bool:
    young = timezone.now() - latest.built_at < RENEWED_AFTER
    return young and ClaimEvent.objects.checkpoint() == latest.checkpoint


def _build(latest: SnapshotRecord | None, force: bool) -> SnapshotRecord:
    started = time.monotonic()
    public_id = uuid7()
    directory = snapshots_folder() / str(public_id)
    directory.parent.mkdir(parents=True, exist_ok=True)
    before = None if force or latest is None else _predecessor(latest)
    # Before the claims are read: later is not promised.
    as_of = datetime.now(UTC).isoformat(timespec="seconds")
    with _one_view():
        checkpoint = ClaimEvent.objects.checkpoint()
        signed = {"events": checkpoint, "as_of": as_of}
        if before is None or latest is None:
            manifest = _write_base(directory, signed, latest)
        else:
            manifest = _write_delta(directory, signed, before, latest.checkpoint)
    record = SnapshotRecord(
        public_id=public_id,
        digest=manifest.digest,
        checkpoint=checkpoint,
        claims=sum(segment.claims - segment.withdrawn for segment in manifest.segments),
        selectors=sum(manifest.counts.values()),
        size_bytes=sum(entry.size for entry in manifest.files.values()),
        seconds=time.monotonic() - started,
        directory=directory.name,
        object_prefix=f"snapshots/{public_id}",
        manifest=orjson.loads(manifest.to_bytes()),
    )
    _publish(record, directory)
    _prune()
    _log.info(
        "snapshot_published",
        digest=record.digest,
        checkpoint=checkpoint,
        segments=len(manifest.segments),
        seconds=record.seconds,
    )
    return record


@contextmanager
def _one_view() -> Iterator[None]:
    """One view of the database from the checkpoint to the last selector."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield


def _predecessor(latest: SnapshotRecord) -> Path | None:
    """The directory of the snapshot that a delta may carry on from; None when a new base is due."""
    segments = latest.manifest["segments"]
    carried = sum(segment["claims"] for segment in segments[1:])
    carried += sum(segment["withdrawn"] for segment in segments)
    room = min(MOST_CHANGES, int(DELTA_SHARE * segments[0]["claims"]) - carried)
    if len(segments) > MOST_DELTAS or room <= 0:
        return None
    if ClaimEvent.objects.since(latest.checkpoint)[: room + 1].count() > room:
        return None
    try:
        return fetch_snapshot(latest)
    except (OptoutError, OSError) as error:
        _log.warning("snapshot_predecessor_unusable", directory=latest.directory, error=str(error))
        return None


def _write_base(directory: Path, checkpoint: dict[str, Any], latest: SnapshotRecord | None) -> Manifest:
    return build_snapshot(
        stream_claims(),
        directory,
        private_key=signing_key(),
        checkpoint=checkpoint,
        previous=latest.digest if latest is not None else None,
        models=_models(),
    )


def _write_delta(directory: Path, checkpoint: dict[str, Any], before: Path, since: int) -> Manifest:
    changes = changes_after(since)
    return build_delta(
        before,
        changes.tables() if changes else [],
        changes.outdated if changes else [],
        directory,
        private_key=signing_key(),
        checkpoint=checkpoint,
        models=_models(),
    )


def _models() -> list[Any]:
    """The records of the models that embedded pictures here."""
    return list(ClipModel.objects.order_by("identifier").values_list("record", flat=True))


def _publish(record: SnapshotRecord, directory: Path) -> None:
    """Files first, then the record, then the pointers: whoever sees a snapshot finds it whole."""
    put_files(record, directory)
    record.save(force_insert=True)
    move_pointers(record)


def _prune() -> None:
    """Remove the files of all but the newest snapshots."""
    records = list(SnapshotRecord.objects.published().newest_first())
    kept, gone = records[:KEPT], records[KEPT:]
    for record in gone:
        record.state = SnapshotRecord.State.PRUNED
        record.save(update_fields=["state"])
    prune_stored(gone, kept)
    prune_local(kept, building=True)
