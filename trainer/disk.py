"""Full disks, said as such: libraries that write have errors of their own, some without a number."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optout.errors import OptoutError

__all__ = ["is_full", "naming_full_disk"]

_WORDS = ("no space left", "file too large", "quota exceeded")


def is_full(error: Exception) -> bool:
    """Whether an error means that a disk is full, or a limit of its like was reached."""
    return any(words in str(error).lower() for words in _WORDS)


@contextmanager
def naming_full_disk(folder: Path) -> Iterator[None]:
    """Turn such errors of the block, which writes below `folder`, into a sentence.

    Raises:
        OptoutError: `disk_full`.
    """
    try:
        yield
    except OptoutError:
        raise
    except Exception as error:
        if not is_full(error):
            raise
        raise OptoutError(
            f"the disk of {folder} is full ({error}); make room and run the same command to go on from the "
            "last checkpoint",
            code="disk_full",
        ) from error
