"""Building snapshots from the database, publishing them, and fetching published ones."""

import io
import shutil
import time
from pathlib import Path
from typing import Any

import orjson
import structlog
from celery import current_app
from django.conf import settings
from django.db import connection, transaction

from optout.keys import load_private
from optout.snapshot import Manifest, build_snapshot, verify_snapshot
from optout.snapshot.manifest import ENVELOPE_NAME, MANIFEST_NAME
from registry import storage
from registry.identifiers import uuid7
from registry.locks import BUILDING, session_lock
from registry.models import ClaimEvent, SnapshotRecord
from registry.stream import stream_claims

__all__ = [
    "BUILD_TASK",
    "KEPT",
    "POINTER_KEY",
    "build_current",
    "fetch_snapshot",
    "local_pointer",
    "send_build",
    "snapshot_files",
    "snapshots_folder",
]

BUILD_TASK = "workers.snapshots.build"
POINTER_KEY = "snapshots/current.json"
KEPT = 3
_POINTER = "current.json"
_log = structlog.get_logger(__name__)


def snapshots_folder() -> Path:
    """Where this machine keeps snapshots."""
    return Path(settings.DATA) / "snapshots"


def local_pointer() -> dict[str, Any] | None:
    """What this machine knew last about the current snapshot: `directory`, `checkpoint`, `digest`."""
    try:
        pointer: dict[str, Any] = orjson.loads((snapshots_folder() / _POINTER).read_bytes())
    except (OSError, ValueError):
        return None
    return pointer


def snapshot_files(manifest: Manifest) -> list[str]:
    """The paths of all files of a snapshot, relative to its directory."""
    return [MANIFEST_NAME, ENVELOPE_NAME, *sorted(manifest.files)]


def send_build() -> None:
    """Ask for a build once the transaction, if there is one, has committed."""
    transaction.on_commit(lambda: current_app.send_task(BUILD_TASK, retry=False), robust=True)


def build_current(*, force: bool = False) -> SnapshotRecord | None:
    """Build and publish a snapshot of everything that speaks now.

    Args:
        force: build even when no event came since the last one.

    Returns:
        the new record; None when there was nothing to do or another process is building.
    """
    with session_lock(BUILDING) as alone:
        if not alone:
            return None
        latest = SnapshotRecord.objects.latest_published()
        if latest is not None and not force and ClaimEvent.objects.checkpoint() == latest.checkpoint:
            return None
        return _build(latest)


def _build(latest: SnapshotRecord | None) -> SnapshotRecord:
    started = time.monotonic()
    public_id = uuid7()
    directory = snapshots_folder() / str(public_id)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with transaction.atomic():
        # One view of the database from the checkpoint to the last selector.
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
        checkpoint = ClaimEvent.objects.checkpoint()
        manifest = build_snapshot(
            stream_claims(),
            directory,
            private_key=load_private(settings.OPTOUT_SIGNING_KEY),
            checkpoint={"events": checkpoint},
            previous=latest.digest if latest is not None else None,
        )
    record = SnapshotRecord(
        public_id=public_id,
        digest=manifest.digest,
        checkpoint=checkpoint,
        claims=sum(segment.claims for segment in manifest.segments),
        selectors=sum(manifest.counts.values()),
        size_bytes=sum(entry.size for entry in manifest.files.values()),
        seconds=time.monotonic() - started,
        directory=directory.name,
        object_prefix=f"snapshots/{public_id}",
        manifest=orjson.loads(manifest.to_bytes()),
    )
    _publish(record, directory, manifest)
    _prune()
    _log.info("snapshot_published", digest=record.digest, checkpoint=checkpoint, seconds=record.seconds)
    return record


def _publish(record: SnapshotRecord, directory: Path, manifest: Manifest) -> None:
    """Files first, then the record, then the pointers: whoever sees a snapshot finds it whole."""
    for name in snapshot_files(manifest):
        with (directory / name).open("rb") as file:
            storage.put(f"{record.object_prefix}/{name}", file)
    record.save(force_insert=True)
    pointer = orjson.dumps(
        {
            "directory": record.directory,
            "object_prefix": record.object_prefix,
            "checkpoint": record.checkpoint,
            "digest": record.digest,
        }
    )
    storage.put(POINTER_KEY, io.BytesIO(pointer))
    _set_local_pointer(pointer)


def _set_local_pointer(pointer: bytes) -> None:
    target = snapshots_folder() / _POINTER
    fresh = target.with_name(f".{_POINTER}.{uuid7().hex}")
    fresh.write_bytes(pointer)
    fresh.replace(target)


def _prune() -> None:
    """Remove the files of all but the newest snapshots; who has them mapped goes on reading."""
    records = list(SnapshotRecord.objects.published().newest_first())
    for record in records[KEPT:]:
        record.state = SnapshotRecord.State.PRUNED
        record.save(update_fields=["state"])
        for key in list(storage.list_keys(record.object_prefix)):
            storage.delete(key)
    kept = {record.directory for record in records[:KEPT]}
    for path in snapshots_folder().iterdir():
        # Only one process builds, so what has no record is what a killed build left behind.
        if path.is_dir() and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def fetch_snapshot(record: SnapshotRecord) -> Path:
    """The snapshot's directory on this machine, fetched from the object store when it is not there.

    Raises:
        DoesNotHold: what was fetched is not what was signed.
        FileNotFoundError: it was pruned meanwhile.
    """
    directory = snapshots_folder() / record.directory
    if directory.is_dir():
        return directory
    fetched = directory.with_name(f".{record.directory}.{uuid7().hex}")
    try:
        for name in (MANIFEST_NAME, ENVELOPE_NAME, *sorted(record.manifest["files"])):
            target = fetched / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with storage.open(f"{record.object_prefix}/{name}") as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        verify_snapshot(fetched, trust=[load_private(settings.OPTOUT_SIGNING_KEY).public])
        if not directory.is_dir():
            fetched.rename(directory)
    except OSError:
        if not directory.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(fetched, ignore_errors=True)
    return directory
