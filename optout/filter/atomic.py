"""Files that appear whole or not at all."""

import contextlib
import ctypes
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optout.errors import BadInput, UsageError, cannot_write

__all__ = ["copy_file", "copy_part", "ensure_directory", "reserve", "sha256_of", "sync", "write_atomic"]

_COPY = 1 << 30
# With 64 bits for offsets on every Linux; other systems have no such call.
_fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)


def write_atomic(path: Path, write: Callable[[Path], Any]) -> Any:
    """Let `write` fill a hidden file beside `path`, then give it that name; on any error nothing is left.

    Raises:
        UsageError: the place is not ours to write to (`unwritable`).
        OptoutError: the disk is full (`disk_full`) or writing failed (`write_failed`).
    """
    ensure_directory(path.parent)
    part = path.with_name(f".{path.name}.part")
    try:
        result = write(part)
        sync(part)
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return result


def ensure_directory(path: Path) -> None:
    """Make a directory and its parents.

    Raises:
        UsageError: that is not possible (`unwritable`).
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}", code="unwritable") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write to {path}: permission denied", code="unwritable")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file or a directory is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_file(source: int, target: int) -> None:
    """Append the open file `source` to the open file `target`.

    The kernel copies: on file systems that can, it shares the blocks instead.

    Raises:
        BadInput: the source became shorter meanwhile (`changed_input`).
    """
    position, end = 0, os.fstat(source).st_size
    while position < end:
        position += _some(_copy_some(source, target, min(end - position, _COPY), position))


def copy_part(source: int, start: int, end: int, target: int, buffer: memoryview) -> None:
    """Append the bytes `start` to `end` of the open file `source` to `target`.

    Read and written through `buffer`: parts that begin anywhere share no blocks, and what the kernel moves
    from page to page it moves in pieces then.

    Raises:
        BadInput: there are not so many any more (`changed_input`).
    """
    position = start
    while position < end:
        read = _some(os.preadv(source, [buffer[: end - position]], position))
        position += read
        written = 0
        while written < read:
            written += os.write(target, buffer[written:read])


def reserve(target: int, size: int) -> None:
    """Give the open file `target` its space on the disk at once, where the file system can.

    What is written then needs no look for free blocks, and a full disk is known before anything was copied.
    Python's `posix_fallocate` is not it: where a file system cannot, that writes a byte to every block.

    Raises:
        OSError: there is not so much space.
    """
    if _fallocate is None or not size:
        return
    if _fallocate(target, 0, ctypes.c_int64(0), ctypes.c_int64(size)):
        error = ctypes.get_errno()
        if error in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise OSError(error, os.strerror(error))


def _some(count: int) -> int:
    if not count:
        raise BadInput("a file became shorter while it was read", code="changed_input")
    return count


def _copy_some(source: int, target: int, count: int, position: int) -> int:
    try:
        return os.copy_file_range(source, target, count, position)
    except OSError as error:
        # Between two file systems, or on one that does not know the call.
        if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise
        return os.sendfile(target, source, position, count)
