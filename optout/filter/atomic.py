"""Files that appear whole or not at all."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optout.errors import UsageError, cannot_write

__all__ = ["ensure_directory", "sha256_of", "write_atomic"]


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
        _sync(part)
        part.replace(path)
        _sync(path.parent)
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


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
