"""Where snapshots lie: directories on this machine, and objects that all machines share.

A file of the snapshot itself is stored under its digest, so that a delta shares what it has in common with
its predecessor; the two manifests are stored under the snapshot's id.
"""

import fcntl
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from optout.errors import DoesNotHold
from optout.snapshot import verify_snapshot
from optout.snapshot.manifest import ENVELOPE_NAME, MANIFEST_NAME
from registry import storage
from registry.models import SnapshotRecord
from registry.trust import trusted_keys

__all__ = [
    "KEPT",
    "POINTER_KEY",
    "fetch_snapshot",
    "kept_records",
    "local_pointer",
    "move_pointers",
    "prune_local",
    "prune_stored",
    "put_files",
    "snapshots_folder",
    "stored_key",
]

KEPT = 3
POINTER_KEY = "snapshots/current.json"
_FILES = "snapshots/files"
_POINTER = "current.json"
_LOCK = ".fetching.lock"
_FETCHING = ".fetching-"


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


def kept_records() -> list[SnapshotRecord]:
    """The published snapshots whose files are kept, the newest first."""
    return list(SnapshotRecord.objects.published().newest_first()[:KEPT])


def stored_key(record: SnapshotRecord, path: str) -> str:
    """Where the object store has the snapshot's file `path`."""
    if path in (MANIFEST_NAME, ENVELOPE_NAME):
        return f"{record.object_prefix}/{path}"
    return f"{_FILES}/{record.manifest['files'][path]['sha256']}"


def put_files(record: SnapshotRecord, directory: Path) -> None:
    """Upload the files that are not there yet; the manifests last."""
    for path in _paths(record):
        key = stored_key(record, path)
        if key.startswith(f"{_FILES}/") and storage.exists(key):
            continue
        with (directory / path).open("rb") as file:
            storage.put(key, file)


def move_pointers(record: SnapshotRecord) -> None:
    """Make `record` the current snapshot, for everybody and on this machine."""
    pointer = _pointer_to(record)
    storage.put(POINTER_KEY, io.BytesIO(pointer))
    _set_local_pointer(pointer)


def prune_stored(gone: list[SnapshotRecord], kept: list[SnapshotRecord]) -> None:
    """Remove the manifests of `gone`, and all files that no snapshot of `kept` has.

    Only for who builds: what is being uploaded belongs to no record yet.
    """
    for record in gone:
        for path in (MANIFEST_NAME, ENVELOPE_NAME):
            storage.delete(stored_key(record, path))
    needed = {stored_key(record, path) for record in kept for path in record.manifest["files"]}
    for key in [key for key in storage.list_keys(_FILES) if key not in needed]:
        storage.delete(key)


def prune_local(kept: list[SnapshotRecord], *, building: bool) -> None:
    """Remove this machine's copies of other snapshots; who has them mapped goes on reading.

    Args:
        kept: the snapshots to keep.
        building: whether the caller alone may build. If so, what has no record is what a killed build left
            behind; if not, something newer than all records may be a build that is about to be published.
    """
    names = {record.directory for record in kept}
    newest = max(names, default="")
    for path in snapshots_folder().iterdir():
        if not path.is_dir() or path.name in names or path.name.startswith(_FETCHING):
            continue
        if building or (not path.name.startswith(".") and path.name < newest):
            shutil.rmtree(path, ignore_errors=True)


def fetch_snapshot(record: SnapshotRecord) -> Path:
    """The snapshot's directory on this machine, fetched from the object store when it is not there.

    One process of a machine fetches while the others wait for it. Files that another snapshot here has are
    linked; everything is verified; older snapshots are pruned.

    Raises:
        DoesNotHold: what was fetched is not what was signed.
        FileNotFoundError: it was pruned meanwhile.
        BadInput: there is no key to verify it with.
    """
    directory = snapshots_folder() / record.directory
    if directory.is_dir():
        return directory
    with _alone():
        if not directory.is_dir():
            try:
                _fetch(record, directory, link=True)
            except DoesNotHold:  # perhaps because of a damaged file of this machine
                _fetch(record, directory, link=False)
            _set_local_pointer(_pointer_to(record))
            prune_local(kept_records(), building=False)
    return directory


@contextmanager
def _alone() -> Iterator[None]:
    """Be the only process of this machine that fetches."""
    snapshots_folder().mkdir(parents=True, exist_ok=True)
    with (snapshots_folder() / _LOCK).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for abandoned in snapshots_folder().glob(f"{_FETCHING}*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        yield


def _fetch(record: SnapshotRecord, directory: Path, *, link: bool) -> None:
    fetched = directory.with_name(f"{_FETCHING}{record.directory}")
    try:
        for path in _paths(record):
            target = fetched / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if not (link and _linked(path, target)):
                with storage.open(stored_key(record, path)) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
        verify_snapshot(fetched, trust=trusted_keys())
        fetched.rename(directory)
    finally:
        shutil.rmtree(fetched, ignore_errors=True)


def _linked(path: str, target: Path) -> bool:
    """Whether `target` could be linked to the same file of another snapshot on this machine.

    Names of segments tell their content, so the same path is the same file; verifying follows anyway.
    """
    if not path.startswith("segments/"):
        return False
    for source in snapshots_folder().glob(f"[!.]*/{path}"):
        try:
            os.link(source, target)
        except OSError:
            continue
        return True
    return False


def _paths(record: SnapshotRecord) -> list[str]:
    """All files of a snapshot relative to its directory, the manifests last."""
    return [*sorted(record.manifest["files"]), MANIFEST_NAME, ENVELOPE_NAME]


def _pointer_to(record: SnapshotRecord) -> bytes:
    return orjson.dumps(
        {
            "directory": record.directory,
            "object_prefix": record.object_prefix,
            "checkpoint": record.checkpoint,
            "digest": record.digest,
        }
    )


def _set_local_pointer(pointer: bytes) -> None:
    target = snapshots_folder() / _POINTER
    fresh = target.with_name(f".{_POINTER}.{os.getpid()}")
    fresh.write_bytes(pointer)
    fresh.replace(target)
