"""What a table of rows is to whoever filters it, whatever the format."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

__all__ = ["RowSource", "RowWriter"]


class RowWriter(Protocol):
    """Writes a table like its source."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows for the current group."""

    def end_group(self) -> None:
        """Write the rows taken since the last call as one group; without rows, write none."""

    def close(self) -> None:
        """Write what is pending, and what ends the file."""

    def abandon(self) -> None:
        """Let go of a file that will never be finished."""


class RowSource(Protocol):
    """An open table.

    Attributes:
        name: what messages call it.
        schema: the Arrow schema as any reader sees it.
    """

    name: str
    schema: pa.Schema

    @property
    def rows(self) -> int:
        """Number of rows."""

    @property
    def groups(self) -> int:
        """Number of groups."""

    def batches(self, group: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a group in order, in bounded batches; of all columns, or of some."""

    def writer(self, sink: Any, *, codec: str | None, added: Sequence[pa.Field] = ()) -> RowWriter:
        """What writes to the open file `sink` as this one is written, with more columns."""
