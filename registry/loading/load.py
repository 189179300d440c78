"""A whole import: fetch the file, load it chunk by chunk from where it stopped, report."""

import hashlib
import io
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from optout.errors import BadInput
from optout.exchange import ClaimBatch, Rejected, read_claims
from registry import storage
from registry.errors import Conflict
from registry.loading.chunk import ChunkResult, load_chunk
from registry.loading.leading import Leading
from registry.loading.unpack import unpack
from registry.locks import IMPORTING, session_lock
from registry.models import Import, ImportRejection
from registry.services.events import waits

__all__ = ["RETRYABLE", "STORED_REJECTIONS", "fail_import", "load_import"]

STORED_REJECTIONS = 10_000
CHUNK_ROWS = 50_000
#: What may be gone in a moment: the database, the object store, a lock.
RETRYABLE = (OperationalError, InterfaceError, BotoCoreError, ClientError, Conflict)
_log = structlog.get_logger(__name__)


def load_import(public_id: str) -> bool:
    """Load an import from where it stopped; True when this call finished it.

    Does nothing when the import is finished, unknown, or being loaded by another worker.

    Raises:
        one of RETRYABLE: try again later; what was loaded stays loaded.
    """
    source = Import.objects.select_related("party").filter(public_id=public_id).first()
    if source is None or source.is_finished:
        return False
    # Two files of one party may hold the same refs and would wait for each other.
    with session_lock(IMPORTING, source.party_id) as alone:
        return alone and _load(source)


def fail_import(public_id: str, code: str, sentence: str) -> None:
    """End an unfinished import with a reason for the person who sent it."""
    Import.objects.unfinished().filter(public_id=public_id).update(
        state=Import.State.FAILED, finished_at=timezone.now(), error_code=code, error=sentence
    )


def _load(source: Import) -> bool:
    source.refresh_from_db()  # another worker may have moved it on before the lock was had
    if source.is_finished:
        return False
    source.state = Import.State.RUNNING
    source.started_at = source.started_at or timezone.now()
    source.attempts += 1
    source.save(update_fields=["state", "started_at", "attempts"])
    try:
        with _fetched(source) as path:
            for batch in _one_ahead(_batches(path, source.format, source.party.handle, source.position)):
                _load_batch(source, batch)
    except BadInput as error:
        fail_import(str(source.public_id), error.code, str(error))
        return True
    _finish(source)
    return True


@contextmanager
def _fetched(source: Import) -> Iterator[Path]:
    """The import's file on this machine, its digest checked, unpacked; errors call it as its sender did."""
    uploads = Path(settings.DATA) / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=uploads) as folder:
        path = Path(folder, "import" + "".join(PurePosixPath(source.object_key).suffixes))
        _copy(source, path)
        try:
            if path.suffix == ".gz":
                # All of it before the first row is loaded: what cannot be unpacked leaves no part behind.
                unpack(path, path.with_suffix(""), most=settings.OPTOUT_MAX_UPLOAD)
                path.unlink()
                path = path.with_suffix("")
            yield path
        except BadInput as error:
            sentence = re.sub(rf"{re.escape(folder)}/\S+", lambda _: source.filename, str(error))
            raise BadInput(sentence, code=error.code) from error


def _copy(source: Import, path: Path) -> None:
    digest = hashlib.sha256()
    with storage.open(source.object_key) as stored, path.open("wb") as target:
        while chunk := stored.read(1 << 20):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != source.sha256:
        raise BadInput("the stored file is not the one that was sent", code="digest_differs")


def _batches(path: Path, format: str, owner: str, position: int) -> Iterator[ClaimBatch]:
    """The file's rows after row number `position`, in chunks; runs in a thread without a database."""
    leading = Leading()
    for batch in read_claims(path, format=format, batch_rows=CHUNK_ROWS, default_owner=owner):
        rejected = [row for row in batch.rejected if row.row > position]
        claims = batch.claims.append_column("leads", pa.array(leading.rows(batch.claims)))
        claims = claims.filter(pc.greater(claims["row"], position))
        if rejected or claims.num_rows:
            yield ClaimBatch(claims, rejected)


def _one_ahead(batches: Iterator[ClaimBatch]) -> Iterator[ClaimBatch]:
    """The same batches; while the database takes in one, the next is read and checked."""
    with ThreadPoolExecutor(1, "import-reader") as reader:
        coming = reader.submit(next, batches, None)
        while batch := coming.result():
            coming = reader.submit(next, batches, None)
            yield batch


def _load_batch(source: Import, batch: ClaimBatch) -> None:
    """Load one chunk and move the position, in one transaction."""
    with waits(), transaction.atomic():
        result = load_chunk(source, batch)
        _store_rejections(source, result.rejected)
        last = max(
            [rejection.row for rejection in result.rejected] + [pc.max(batch.claims["row"]).as_py() or 0]
        )
        _move(source, result, last)
    source.refresh_from_db(fields=["position", "rows_bad"])
    _log.info("import_chunk", import_id=str(source.public_id), position=source.position)


def _move(source: Import, result: ChunkResult, position: int) -> None:
    rows = result.good + result.unchanged + len(result.rejected)
    Import.objects.filter(pk=source.pk).update(
        position=position,
        rows_done=F("rows_done") + rows,
        rows_good=F("rows_good") + result.good,
        rows_unchanged=F("rows_unchanged") + result.unchanged,
        rows_bad=F("rows_bad") + len(result.rejected),
        claims_created=F("claims_created") + result.created,
        claims_amended=F("claims_amended") + result.amended,
    )


def _store_rejections(source: Import, rejected: list[Rejected]) -> None:
    """The first rejections into the table, all of them into a part file that a repeated chunk overwrites."""
    room = max(0, STORED_REJECTIONS - source.rows_bad)
    ImportRejection.objects.bulk_create(
        [
            ImportRejection(
                source_import=source,
                row=rejection.row,
                code=rejection.code,
                detail=_clean(rejection.detail),
                excerpt=_clean(rejection.excerpt)[:200],
            )
            for rejection in rejected[:room]
        ],
        batch_size=2000,
    )
    part = f"{_rejected_folder(source)}/{source.position:015d}.jsonl"
    if rejected:
        lines = b"".join(orjson.dumps(rejection._asdict()) + b"\n" for rejection in rejected)
        storage.put(part, io.BytesIO(lines))
    else:
        storage.delete(part)


def _clean(text: str) -> str:
    """PostgreSQL holds no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _rejected_folder(source: Import) -> str:
    return f"imports/{source.public_id}-rejected"


def _finish(source: Import) -> None:
    """Join the rejected rows into one file and end the import."""
    source.refresh_from_db()
    if source.rows_bad:
        parts = list(storage.list_keys(_rejected_folder(source)))
        source.rejections_key = f"{_rejected_folder(source)}.jsonl"
        with tempfile.TemporaryFile() as joined:
            for part in parts:
                with storage.open(part) as lines:
                    joined.write(lines.read())
            joined.seek(0)
            storage.put(source.rejections_key, joined)
    source.state, source.finished_at = Import.State.DONE, timezone.now()
    source.save(update_fields=["state", "finished_at", "rejections_key"])
    if source.rows_bad:
        for part in parts:
            storage.delete(part)
