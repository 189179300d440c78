"""Arrow files as a snapshot uses them, and directories that appear whole or not at all."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from optout.errors import DoesNotHold, UsageError, cannot_write
from optout.snapshot.manifest import FileEntry

__all__ = ["atomic_directory", "describe_file", "map_batch", "publish", "write_batch"]


def write_batch(path: Path, columns: Mapping[str, Any]) -> None:
    """Write `columns` (numpy or Arrow arrays of one length) as an Arrow IPC file of one batch.

    A numpy array of two axes becomes a column of lists of one size.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    batch = pa.RecordBatch.from_arrays([_array(values) for values in columns.values()], names=list(columns))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _array(values: Any) -> pa.Array:
    if getattr(values, "ndim", 1) == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    return pa.array(values)


def map_batch(path: Path, schema: pa.Schema) -> pa.RecordBatch:
    """The one record batch of an Arrow IPC file, memory-mapped: nothing is read before it is used.

    Raises:
        DoesNotHold: there is no such file (`missing_file`), or it is not such a batch (`bad_file`).
    """
    try:
        source = pa.ipc.open_file(pa.memory_map(str(path)))
        if source.num_record_batches != 1 or source.schema != schema:
            raise pa.ArrowInvalid(f"expected one batch of {schema.names}")
        batch = source.get_batch(0)
        batch.validate()
    except FileNotFoundError:
        raise DoesNotHold(f"{path} is missing", code="missing_file") from None
    except (pa.ArrowException, OSError) as error:
        raise DoesNotHold(f"{path} is not a readable table: {error}", code="bad_file") from None
    return batch


def describe_file(path: Path, rows: int) -> FileEntry:
    """Digest and size of a file, with the number of rows it is said to have."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(digest, os.fstat(file.fileno()).st_size, rows)


@contextlib.contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A new directory beside `target` to write into; `publish` gives it its final name.

    Whatever happens before that (an exception, a full disk, a killed process), nothing is seen under
    `target`. What killed processes left behind is cleared by the next one.

    Raises:
        UsageError: the place cannot be written to (`unwritable`).
        OptoutError: the disk is full (`disk_full`) or writing failed (`write_failed`).
    """
    prefix = f".{target.name}.partial-"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(target.parent, prefix)
        temporary = target.parent / f"{prefix}{secrets.token_hex(8)}"
        temporary.mkdir()
        # The lock goes with the process, however it ends: that is how a directory is known to be abandoned.
        lock = os.open(temporary, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise UsageError(f"cannot write beside {target}: {error.strerror}", code="unwritable") from None
    try:
        yield temporary
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        os.close(lock)
        shutil.rmtree(temporary, ignore_errors=True)


def publish(temporary: Path, target: Path) -> None:
    """Make all of `temporary` durable, then let it appear as `target`, where nothing may be yet."""
    for folder, _, names in os.walk(temporary):
        for name in names:
            _sync(Path(folder, name))
        _sync(Path(folder))
    temporary.rename(target)
    _sync(target.parent)


def _clear_abandoned(folder: Path, prefix: str) -> None:
    for path in folder.glob(prefix + "*"):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
