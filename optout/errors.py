"""Every error that the library raises on purpose; the command line turns them into exit codes."""

import errno
import os
from pathlib import Path

__all__ = ["BadInput", "DoesNotHold", "InvalidSelector", "OptoutError", "UsageError", "cannot_write"]

_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OptoutError(Exception):
    """Base of the library's errors.

    Attributes:
        code: short stable identifier, for example `truncated_parquet`.
        exit_code: what the command exits with (1 does not hold, 2 wrong usage, 3 bad input).
    """

    exit_code = 3

    def __init__(self, message: str, *, code: str = "error") -> None:
        super().__init__(message)
        self.code = code


class DoesNotHold(OptoutError):
    """A signature, digest or statement was checked and found wrong."""

    exit_code = 1


class UsageError(OptoutError):
    """The caller asked for something that makes no sense."""

    exit_code = 2


class BadInput(OptoutError):
    """A file or a value from outside cannot be used; the message names it."""

    exit_code = 3


class InvalidSelector(BadInput):
    """A selector's value cannot stand for anything: not a URL, a public suffix, a bad digest."""


def cannot_write(path: Path, error: OSError) -> OptoutError:
    """What to raise when `path` could not be written: `unwritable`, `disk_full` or `write_failed`."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FORBIDDEN:
        return UsageError(f"cannot write {path}: {reason}", code="unwritable")
    code = "disk_full" if error.errno in _FULL else "write_failed"
    return OptoutError(f"cannot write {path}: {reason}", code=code)
