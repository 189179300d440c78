"""Arrow files and streams, as Hugging Face's `datasets` keeps them: mapped, written as they were."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from optout.errors import BadInput, UsageError
from optout.filter.kinds import Job, Kind, Written, by_suffix
from optout.filter.modes import Codec, DataFormat, MaskFormat, Mode
from optout.filter.outputs import outputs_of
from optout.filter.parquet import BATCH_BYTES, BATCH_ROWS, without_views
from optout.filter.saved_dataset import described_by, only_listed, rewritten
from optout.filter.settings import Settings
from optout.filter.source import Shard
from optout.filter.table import Filled, fill_table, write_table

__all__ = ["KIND", "ArrowSource"]

_MAGIC = b"ARROW1"
#: What ends a stream.
_END = b"\xff\xff\xff\xff\0\0\0\0"
_CODECS = {Codec.NONE: None, Codec.LZ4: "lz4", Codec.ZSTD: "zstd"}


class ArrowSource:
    """One Arrow file or stream, open for reading; its record batches are its groups.

    Attributes:
        name: what messages call it.
        schema: as it is stored.
        rows: number of rows.

    Raises:
        BadInput: empty, cut short or not Arrow (`empty_file`, `truncated_arrow`), or unreadable.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        try:
            if not path.stat().st_size:
                raise BadInput(f"{name}: the file is empty (0 bytes), not Arrow", code="empty_file")
            self._handle = pa.memory_map(str(path), "rb")
        except OSError as error:
            raise BadInput(f"{name}: cannot be read: {error.strerror or error}", code="unreadable") from error
        try:
            self._batches = self._read()
        except (pa.ArrowException, OSError, ValueError) as error:
            self._handle.close()
            reason = " ".join(str(error).split())[:300]
            raise BadInput(f"{name}: not a whole Arrow file: {reason}", code="truncated_arrow") from error

    def _read(self) -> list[pa.RecordBatch]:
        """Every batch; nothing is copied that is not compressed."""
        self._is_file = self._handle.read(len(_MAGIC)) == _MAGIC
        if not self._is_file:
            self._handle.seek(self._handle.size() - len(_END))
            if self._handle.read() != _END:
                raise ValueError("the end of the stream is missing")
        self._handle.seek(0)
        opened = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
        table = opened(self._handle).read_all()
        self.schema: pa.Schema = table.schema
        self.rows: int = table.num_rows
        # A file has one dictionary for a column.
        batches: list[pa.RecordBatch] = table.unify_dictionaries().to_batches()
        return batches

    def __enter__(self) -> "ArrowSource":
        return self

    def __exit__(self, *exc: object) -> None:
        self._batches = []
        self._handle.close()

    @property
    def groups(self) -> int:
        return len(self._batches)

    def batches(self, group: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one record batch, at most `BATCH_ROWS` or about `BATCH_BYTES` at a time."""
        whole = self._batches[group]
        size = max(1, min(BATCH_ROWS, BATCH_BYTES * whole.num_rows // max(1, whole.nbytes)))
        chosen = whole if columns is None else whole.select(list(columns))
        for start in range(0, whole.num_rows, size):
            yield without_views(chosen.slice(start, size))

    def writer(self, sink: Any, *, codec: str | None, added: Sequence[pa.Field] = ()) -> "_Writer":
        """What writes such a file with more columns; uncompressed where no codec is told.

        Raises:
            UsageError: Arrow has no such codec (`unknown_codec`).
        """
        if codec is not None and codec not in _CODECS:
            raise UsageError(f"Arrow has no codec {codec}: {', '.join(_CODECS)}", code="unknown_codec")
        options = pa.ipc.IpcWriteOptions(compression=_CODECS[Codec(codec)] if codec else None)
        schema = self.schema
        for field in added:
            schema = schema.append(field)
        make = pa.ipc.new_file if self._is_file else pa.ipc.new_stream
        return _Writer(make(sink, schema, options=options), schema)


class _Writer:
    """Writes a record batch for each that has rows left."""

    def __init__(self, writer: Any, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema

    def add(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._writer.write_batch(batch.cast(self._schema))

    def end_group(self) -> None:
        """Every batch is a group."""

    def close(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        """The sink is let go of by whoever opened it."""


def _output_name(name: str, settings: Settings) -> str:
    if settings.mode is not Mode.MASK:
        return name
    suffix = ".npy" if settings.mask_format is MaskFormat.DATACOMP else ".parquet"
    return Path(name).with_suffix(suffix).as_posix()


def _write(job: Job) -> Written:
    if job.settings.mode is Mode.MASK or not job.shard.also:
        return write_table(job, ArrowSource)
    with ArrowSource(job.shard.path, job.name) as source, outputs_of(job) as outputs:
        filled: Filled = outputs.write(job.output, partial(fill_table, job, source))
        for name, path in job.shard.inputs.items():
            if path != job.shard.path:
                outputs.write_bytes(name, rewritten(job, path, name))
        return Written(filled.counts, outputs.appear(), filled.named)


def _shards(files: list[Path], root: Path) -> list[Path]:
    return only_listed(by_suffix(DataFormat.ARROW)(files, root))


def _rows(shard: Shard) -> int | None:
    try:
        with ArrowSource(shard.path, shard.name) as source:
            return source.rows
    except BadInput:
        return None


KIND = Kind(
    shards=_shards,
    companions=described_by,
    output=_output_name,
    write=_write,
    rows=_rows,
)
