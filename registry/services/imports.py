"""Taking in a claim exchange file; the loading itself is a Celery task."""

import hashlib
import re
from pathlib import PurePosixPath
from typing import IO

from celery import current_app
from django.db import transaction

from registry import storage
from registry.actor import Actor
from registry.errors import Conflict, InvalidInput
from registry.identifiers import uuid7
from registry.models import Import

__all__ = ["FORMATS", "LOAD_TASK", "retry_import", "start_import"]

LOAD_TASK = "workers.imports.load"
FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
FORMATS |= {f"{suffix}.gz": FORMATS[suffix] for suffix in (".jsonl", ".ndjson", ".csv")}
_CHUNK = 1 << 20


def start_import(*, acting: Actor, file: IO[bytes], filename: str, sha256: str | None = None) -> Import:
    """Store the file and send the task that loads it.

    Args:
        acting: whose claims the rows are.
        file: seekable binary file, read from its beginning.
        filename: as the sender calls it; its suffix says the format.
        sha256: what the sender says the file's digest is (hex), checked when given.

    Raises:
        InvalidInput: unknown suffix, empty file, digest that differs.
        Forbidden: `missing_scope`.
    """
    acting.require("imports:write")
    name = re.sub(r"[\x00-\x1f\x7f]", "", PurePosixPath(filename.replace("\\", "/")).name)[:255]
    suffix = _suffix(name)
    if suffix not in FORMATS:
        raise InvalidInput(
            {"file": [f"Send a file whose name ends in {', '.join(FORMATS)}."]}, code="unknown_format"
        )
    digest, size = _digest(file)
    if size == 0:
        raise InvalidInput({"file": ["The file is empty."]}, code="empty_file")
    if sha256 is not None and sha256.lower() != digest:
        raise InvalidInput(
            {"sha256": [f"The file that arrived has the SHA-256 {digest}."]}, code="digest_differs"
        )
    public_id = uuid7()
    object_key = f"imports/{public_id}{suffix}"
    storage.put(object_key, file)
    with transaction.atomic():
        created = Import.objects.create(
            public_id=public_id,
            party=acting.party,
            user=acting.user,
            key=acting.key,
            application=acting.application[:64],
            request_id=acting.request_id[:64],
            filename=name,
            format=FORMATS[suffix],
            object_key=object_key,
            sha256=digest,
            size_bytes=size,
        )
        send_load(created)
    return created


def retry_import(*, source_import: Import) -> Import:
    """Load a failed import once more, from the row where it stopped.

    Raises:
        Conflict: it has not failed (`not_failed`).
    """
    with transaction.atomic():
        current = Import.objects.select_for_update().get(pk=source_import.pk)
        if current.state != Import.State.FAILED:
            raise Conflict(f"The import is {current.state}.", code="not_failed")
        current.state, current.finished_at, current.error, current.error_code = (
            Import.State.RECEIVED,
            None,
            "",
            "",
        )
        current.attempts = 0
        current.save(update_fields=["state", "finished_at", "error", "error_code", "attempts"])
        send_load(current)
    return current


def send_load(source_import: Import) -> None:
    """Send the loading task once the transaction has committed.

    When the broker is away the import stays `received` and the sweep of workers/imports.py sends it again.
    """
    public_id = str(source_import.public_id)
    transaction.on_commit(lambda: _send(public_id), robust=True)


def _send(public_id: str) -> None:
    current_app.send_task(LOAD_TASK, args=[public_id], retry=False)


def _suffix(name: str) -> str:
    """The end of the name that says the format: `.csv`, or `.csv.gz`."""
    suffixes = PurePosixPath(name.lower()).suffixes
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _digest(file: IO[bytes]) -> tuple[str, int]:
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    file.seek(0)
    return digest.hexdigest(), size
