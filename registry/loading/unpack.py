"""Unpacking compressed files, within bounds."""

import gzip
import zlib
from pathlib import Path

from optout.errors import BadInput

__all__ = ["unpack"]

#: Claims of real platforms shrink to a tenth; what grows more than this was made to fill a disk.
MOST_GROWTH = 200
_ALWAYS_ALLOWED = 1 << 26
_CHUNK = 1 << 20


def unpack(source: Path, target: Path, *, most: int) -> None:
    """Write what the gzip file `source` holds to `target`.

    Args:
        source: the compressed file.
        target: where to write.
        most: how many bytes it may hold.

    Raises:
        BadInput: it is no complete gzip file (`broken_gzip`), or holds too much (`unpacks_too_large`).
    """
    growing = max(_ALWAYS_ALLOWED, MOST_GROWTH * source.stat().st_size)
    bound, written = min(most, growing), 0
    with gzip.open(source) as packed, target.open("wb") as plain:
        while chunk := _read(packed, source):
            written += len(chunk)
            if written > bound:
                raise BadInput(
                    f"{source} unpacks to more than {bound:,} bytes; send it in parts",
                    code="unpacks_too_large",
                )
            plain.write(chunk)


def _read(packed: gzip.GzipFile, source: Path) -> bytes:
    try:
        return packed.read(_CHUNK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput(f"{source} is not a complete gzip file: {error}", code="broken_gzip") from error
