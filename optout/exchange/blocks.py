"""Text sources, plain or gzip, in blocks that end at a line break."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from optout.errors import BadInput
from optout.exchange.schema import Rejected

__all__ = ["BLOCK_BYTES", "LONGEST_ROW", "RawBatch", "line_blocks"]

Source = BinaryIO | gzip.GzipFile

BLOCK_BYTES = 8 << 20
#: No honest row comes near this many bytes; longer ones are rejected.
LONGEST_ROW = 1 << 20
_MOST_PENDING = 64 << 20


class RawBatch(NamedTuple):
    """Rows as they were read: exchange columns of text, their numbers, and those that are no rows at all."""

    table: pa.Table
    rows: list[int] | range
    rejected: list[Rejected]


def line_blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The bytes of `path`, without a byte order mark, cut after line breaks; only the last may lack one.

    Raises:
        BadInput: the file is empty (code `empty_file`), its compression is broken (`broken_gzip`), or a line
            of it does not end (`line_too_long`).
    """
    read = 0
    with path.open("rb") as raw:
        source: Source = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        pending = bytearray()
        while chunk := _read(source, path, block_bytes):
            pending += chunk.removeprefix(b"\xef\xbb\xbf") if not read else chunk
            read += len(chunk)
            cut = pending.rfind(b"\n") + 1
            if cut:
                yield bytes(pending[:cut])
                del pending[:cut]
            if len(pending) > _MOST_PENDING:
                raise BadInput(
                    f"{path} holds a line of more than {_MOST_PENDING:,} bytes", code="line_too_long"
                )
    if not read:
        raise BadInput(f"{path} is empty", code="empty_file")
    if pending:
        yield bytes(pending)


def _read(source: Source, path: Path, size: int) -> bytes:
    try:
        return source.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput(f"{path} is not a complete gzip file: {error}", code="broken_gzip") from error
