"""Reading Parquet in bounded batches and writing it back the way it was written.

What makes a rewrite fast is doing no work that the source's writer did not do either: dictionaries are built
only for columns whose chunks really ended dictionary-encoded, and such columns are read, filtered and written
as dictionaries without ever being expanded; statistics are computed only where the source has them.
docs/adr/0003-filter-io.md holds the measurements.
"""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from optout.errors import BadInput
from optout.filter.modes import Codec

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "GROUP_BYTES", "Source", "Writer", "without_views"]

#: Row groups larger than this (uncompressed) are written as several, so that memory stays bounded.
GROUP_BYTES = 256 << 20
BATCH_ROWS = 1 << 17
BATCH_BYTES = 64 << 20
# Arrow cannot filter string views; the schema stored in the file makes them views again for readers.
_WITHOUT_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
ARROW_SCHEMA = b"ARROW:schema"
_DICTIONARY_PAGE = 1 << 20
_INDEX_BITS = 20


class Source:
    """One Parquet file, open for reading.

    Attributes:
        schema: the Arrow schema as any reader sees it.
        rows: number of rows.

    Raises:
        BadInput: empty, cut short or not Parquet (`truncated_parquet`, `not_parquet`), or unreadable.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._handle = _map(path, name)
        try:
            plain = pq.ParquetFile(self._handle, pre_buffer=False)
            self.metadata = plain.metadata
            self.schema: pa.Schema = plain.schema_arrow
            self._chunks = list(self._every_chunk())
            self.dictionary_paths = self._stayed_dictionaries()
            self._file = pq.ParquetFile(
                self._handle,
                metadata=self.metadata,
                pre_buffer=False,
                read_dictionary=[name for name in self.dictionary_paths if self._is_flat_text(name)],
            )
        except (pa.ArrowException, OSError, ValueError) as error:
            self._handle.close()
            raise _unreadable(name, error) from error

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *exc: object) -> None:
        self._handle.close()

    @property
    def rows(self) -> int:
        return int(self.metadata.num_rows)

    @property
    def groups(self) -> int:
        return int(self.metadata.num_row_groups)

    def batches(self, group: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The row group's rows in order, at most `BATCH_ROWS` or about `BATCH_BYTES` at a time.

        Raises:
            BadInput: the data cannot be decoded (`truncated_parquet`).
        """
        size = self._batch_rows(group)
        names = None if columns is None else list(columns)
        try:
            batches = self._file.iter_batches(
                batch_size=size, row_groups=[group], columns=names, use_threads=False
            )
            yield from map(without_views, batches)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(self.name, error, group) from error

    def writer(self, sink: Any, *, codec: str | None, added: Sequence[pa.Field] = ()) -> "Writer":
        """What writes to the open file `sink` as this one is written, with more columns."""
        return Writer(sink, self, codec=codec, added=added)

    def _batch_rows(self, group: int) -> int:
        found = self.metadata.row_group(group)
        width = max(1, found.total_byte_size // max(1, found.num_rows))
        return int(max(1, min(BATCH_ROWS, BATCH_BYTES // width)))

    def _every_chunk(self) -> Iterator[Any]:
        for group in range(self.groups):
            found = self.metadata.row_group(group)
            for column in range(self.metadata.num_columns):
                yield found.column(column)

    def _stayed_dictionaries(self) -> list[str]:
        """Leaf columns whose chunks all stayed dictionary-encoded to their end.

        The footer does not say whether a writer gave a dictionary up half-way, but the size does: pages
        of indices and one full dictionary page are never larger than this bound.
        """
        paths: dict[str, bool] = {}
        for chunk in self._chunks:
            bound = _DICTIONARY_PAGE + chunk.num_values * _INDEX_BITS // 8
            kept = chunk.has_dictionary_page and chunk.total_uncompressed_size <= bound
            paths[chunk.path_in_schema] = paths.get(chunk.path_in_schema, True) and kept
        return [path for path, kept in paths.items() if kept]

    def _is_flat_text(self, path: str) -> bool:
        if len(self.schema.get_all_field_indices(path)) != 1:
            return False
        kind = self.schema.field(path).type
        return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))

    @property
    def read_schema(self) -> pa.Schema:
        """The schema of the batches: like `schema`, but text may come as dictionaries or with offsets."""
        read: pa.Schema = self._file.schema_arrow
        for index, field in enumerate(read):
            if field.type in _WITHOUT_VIEWS:
                read = read.set(index, field.with_type(_WITHOUT_VIEWS[field.type]))
        return read

    @property
    def stored_schema(self) -> bytes | None:
        """The Arrow schema that the source's writer put into the footer, as it stands there."""
        return (self.metadata.metadata or {}).get(ARROW_SCHEMA)

    @property
    def main_codec(self) -> str:
        """The codec of the first column."""
        return _codec_name(self._chunks[0].compression) if self._chunks else "snappy"

    def writer_options(self, codec: str | None) -> dict[str, Any]:
        """What `pq.ParquetWriter` must be told so that the output is encoded like this file."""
        codecs: dict[str, str] = {}
        statistics: dict[str, bool] = {}
        for chunk in self._chunks:
            path = chunk.path_in_schema
            codecs.setdefault(path, codec or _codec_name(chunk.compression))
            statistics[path] = statistics.get(path, False) or chunk.is_stats_set
        return {
            "compression": codecs,
            "use_dictionary": list(self.dictionary_paths),
            "write_statistics": [path for path, had in statistics.items() if had] or False,
            "version": "1.0" if self.metadata.format_version.startswith("1") else "2.6",
            "use_deprecated_int96_timestamps": any(chunk.physical_type == "INT96" for chunk in self._chunks),
            # The element names of lists stay as the source has them.
            "use_compliant_nested_type": False,
        }


class Writer:
    """Writes a file encoded like `source`: one row group for each call of `end_group`.

    Args:
        sink: an open file.
        source: where schema, metadata and encodings come from.
        codec: one codec for every column; None keeps each column's own.
        added: columns appended to the source's own.
    """

    def __init__(
        self, sink: Any, source: Source, *, codec: str | None, added: Sequence[pa.Field] = ()
    ) -> None:
        options = source.writer_options(codec)
        schema, stored = source.read_schema, source.stored_schema
        for field in added:
            schema = schema.append(field)
            options["compression"][field.name] = codec or source.main_codec
            options["use_dictionary"].append(field.name)
        if added and stored is not None:
            stored = base64.b64encode(pa.schema([*source.schema, *added], source.schema.metadata).serialize())
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        schema = schema.with_metadata(source.schema.metadata)
        self._writer = pq.ParquetWriter(sink, schema, store_schema=False, **options)
        if stored is not None:
            # Columns read as dictionaries are text to every reader: the source's Arrow schema says so.
            # Metadata added here replaces the schema's own, so both are given.
            self._writer.add_key_value_metadata({**(schema.metadata or {}), ARROW_SCHEMA: stored})

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows for the current row group; one grown too large is written and another begun."""
        if batch.num_rows:
            self._pending.append(batch)
            self._pending_bytes += batch.nbytes
        if self._pending_bytes > GROUP_BYTES:
            self.end_group()

    def end_group(self) -> None:
        """Write the rows taken since the last call as one row group; without rows, write none."""
        if self._pending:
            table = pa.Table.from_batches(self._pending).unify_dictionaries()
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._pending, self._pending_bytes = [], 0

    def close(self) -> None:
        """Write what is pending and the footer."""
        self.end_group()
        self._writer.close()

    def abandon(self) -> None:
        """Let go of a file that will never be finished, without a word about it."""
        self._writer.is_open = False


def without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with text that can be filtered."""
    for index, field in enumerate(batch.schema):
        if field.type in _WITHOUT_VIEWS:
            plain = field.with_type(_WITHOUT_VIEWS[field.type])
            batch = batch.set_column(index, plain, batch.column(index).cast(plain.type))
    return batch


def _map(path: Path, name: str) -> pa.MemoryMappedFile:
    try:
        if path.stat().st_size == 0:
            raise BadInput(f"{name}: the file is empty (0 bytes), not Parquet", code="empty_file")
        return pa.memory_map(str(path), "rb")
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror or error}", code="unreadable") from error


def _unreadable(name: str, error: Exception, group: int | None = None) -> BadInput:
    where = name if group is None else f"{name}: row group {group}"
    if isinstance(error, MemoryError):
        return BadInput(f"{where}: needs more memory than there is: {error}", code="out_of_memory")
    reason = " ".join(str(error).split())[:300]
    return BadInput(f"{where}: not a whole Parquet file: {reason}", code="truncated_parquet")


def _codec_name(stored: str) -> str:
    """The writer's word for a codec of a footer."""
    name = stored.lower()
    return {"uncompressed": "none", "lz4_raw": "lz4"}.get(name, name if name in list(Codec) else "snappy")
