"""Files that appear whole or not at all."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optout.errors import OptoutError, UsageError

__all__ = ["ensure_directory", "sha256_of", "write_atomic"]


def write_atomic(path: Path, write: Callable[[Path], Any]) -> Any:
    """Let `write` fill a hidden file beside `path`, then give it that name; on any error nothing is left.

    Raises:
        OptoutError: the disk is full (`disk_full`) or the file cannot be written (`write_failed`).
    """
    ensure_directory(path.parent)
    part = path.with_name(f".{path.name}.part")
    try:
        result = write(part)
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise _failed(path, error) from error
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


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(path: Path, error: OSError) -> OptoutError:
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return UsageError(f"cannot write {path}: {error.strerror}", code="unwritable")
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    reason = os.strerror(error.errno) if error.errno else str(error)
    return OptoutError(f"cannot write {path}: {reason}", code="disk_full" if full else "write_failed")
