"""What is written for a shard: its rows without some, with more columns, or a list of rows."""

import contextlib
import uuid
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from optout.engine import ItemError, Verdicts
from optout.errors import BadInput, UsageError
from optout.filter.columns import Found
from optout.filter.modes import MaskFormat, Mode
from optout.filter.settings import Settings
from optout.filter.table_source import RowSource
from optout.snapshot import Snapshot
from optout.words import Outcome, SelectorKind

__all__ = ["ANNOTATIONS", "UID", "Judged", "Sink", "answers", "columns_read", "make_sink", "save_uids"]

#: The columns that `annotate` adds: answer, what decided (or why there is no answer), claim, name in caption.
ANNOTATIONS = (
    pa.field("optout_decision", pa.string()),
    pa.field("optout_reason", pa.string()),
    pa.field("optout_claim", pa.string()),
    pa.field("optout_flag", pa.bool_()),
)
#: What DataComp's resharder reads: the two halves of each uid, in order.
UID = np.dtype("u8,u8")


def _label(words: type[SelectorKind] | type[ItemError], number: int) -> str | None:
    return next((word.label for word in words if word and word == number), None)


_WORD = pa.dictionary(pa.uint8(), pa.string())
_OUTCOMES = pa.array([Outcome(number).label for number in range(len(Outcome))])
_FIRST_ERROR = 16
#: Why a row has its answer: the kinds of selectors, then the errors; "" where no word belongs to a number.
_REASONS = pa.array(
    [_label(SelectorKind, number) or "" for number in range(_FIRST_ERROR)]
    + [_label(ItemError, number) or "" for number in range(max(ItemError) + 1)]
)
_BAD_DIGIT = 255
_DIGITS = np.full(256, _BAD_DIGIT, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = range(16)
_DIGITS[np.frombuffer(b"ABCDEF", np.uint8)] = range(10, 16)


class Judged(NamedTuple):
    """A batch with its answers.

    Attributes:
        batch: the columns that were read.
        first: number of its first row in the shard, from 0.
        verdicts: the answers.
        keep: bool[n], the rows that stay.
    """

    batch: pa.RecordBatch
    first: int
    verdicts: Verdicts
    keep: npt.NDArray[np.bool_]


class Sink(Protocol):
    """Takes judged batches in order and writes one file."""

    def add(self, judged: Judged) -> None: ...

    def end_group(self) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Let go of a file that will never be finished."""


def columns_read(settings: Settings, found: Found, *, names: bool, pictures: bool) -> list[str] | None:
    """The columns to read; None for all. Captions and pictures are only read where they are looked at."""
    if settings.mode is not Mode.MASK:
        return None
    roles = [found.url, found.sha256, found.md5, found.phash, found.pdq]
    if pictures:
        roles.append(found.image)
    if names:
        roles.append(found.text)
    if settings.mask_format is not MaskFormat.ROWS:
        roles.append(found.id)
    return list(dict.fromkeys(name for name in roles if name is not None))


def make_sink(path: Path, source: RowSource, settings: Settings, found: Found, snapshot: Snapshot) -> Sink:
    """The sink that the settings ask for.

    Raises:
        UsageError: `annotate` would add a column that is there (`column_exists`).
        BadInput: a mask by id, and there is no column with ids (`missing_column`).
    """
    if settings.mode is Mode.DROP:
        return _Drop(path, source, settings)
    if settings.mode is Mode.ANNOTATE:
        return _Annotate(path, source, settings, snapshot)
    if settings.mask_format is MaskFormat.ROWS:
        return _RowMask(path, settings)
    if found.id is None:
        there = ", ".join(source.schema.names)
        raise BadInput(
            f"{source.name}: no column with ids was found; name it with --id-column. "
            f"The columns are: {there}",
            code="missing_column",
        )
    if settings.mask_format is MaskFormat.DATACOMP:
        return _KeptUids(path, source.name, found.id)
    return _RemovedIds(path, settings, source.schema.field(found.id))


class _Drop:
    def __init__(self, path: Path, source: RowSource, settings: Settings) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = source.writer(self._sink, codec=settings.codec)

    def add(self, judged: Judged) -> None:
        # Filtering copies; where all rows stay there is nothing to copy.
        whole = bool(judged.keep.all())
        self._writer.add(judged.batch if whole else judged.batch.filter(pa.array(judged.keep)))

    def end_group(self) -> None:
        self._writer.end_group()

    def close(self) -> None:
        with self._sink:
            self._writer.close()

    def abandon(self) -> None:
        self._writer.abandon()
        with contextlib.suppress(OSError):
            self._sink.close()


class _Annotate:
    def __init__(self, path: Path, source: RowSource, settings: Settings, snapshot: Snapshot) -> None:
        taken = [field.name for field in ANNOTATIONS if field.name in source.schema.names]
        if taken:
            raise UsageError(f"{source.name} has a column {taken[0]!r} already", code="column_exists")
        self._snapshot = snapshot
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = source.writer(self._sink, codec=settings.codec, added=ANNOTATIONS)

    def add(self, judged: Judged) -> None:
        batch = judged.batch
        schema = pa.schema([*batch.schema, *ANNOTATIONS])
        added = answers(self._snapshot, judged.verdicts)
        self._writer.add(pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema))

    def end_group(self) -> None:
        self._writer.end_group()

    def close(self) -> None:
        with self._sink:
            self._writer.close()

    def abandon(self) -> None:
        self._writer.abandon()
        with contextlib.suppress(OSError):
            self._sink.close()


class _Listing:
    """A small Parquet file, one row group for each of the shard's that has rows to list."""

    def __init__(self, path: Path, schema: pa.Schema, settings: Settings, **options: Any) -> None:
        self._schema = schema
        self._pending: list[pa.RecordBatch] = []
        self._writer = pq.ParquetWriter(str(path), schema, compression=settings.codec or "zstd", **options)

    def _list(self, columns: list[pa.Array]) -> None:
        if len(columns[0]):
            self._pending.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def end_group(self) -> None:
        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending))
        self._pending = []

    def close(self) -> None:
        self.end_group()
        self._writer.close()

    def abandon(self) -> None:
        self._writer.is_open = False


class _RowMask(_Listing):
    """Numbers of rows, ascending, beside words of which there are few: texts only to those who read them."""

    _SCHEMA = pa.schema([("row", pa.int64()), ("decision", _WORD), ("reason", _WORD)])

    def __init__(self, path: Path, settings: Settings) -> None:
        super().__init__(
            path,
            self._SCHEMA,
            settings,
            store_schema=False,
            use_dictionary=["decision", "reason"],
            column_encoding={"row": "DELTA_BINARY_PACKED"},
        )

    def add(self, judged: Judged) -> None:
        rows = np.flatnonzero(~judged.keep)
        decisions = pa.DictionaryArray.from_arrays(pa.array(judged.verdicts.outcome[rows]), _OUTCOMES)
        self._list([pa.array(rows + judged.first), decisions, _reasons(judged.verdicts, rows)])


class _RemovedIds(_Listing):
    """NeMo Curator's list: the ids to remove, in a column called `id`."""

    def __init__(self, path: Path, settings: Settings, field: pa.Field) -> None:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        super().__init__(path, pa.schema([("id", kind)]), settings)
        self._column = field.name

    def add(self, judged: Judged) -> None:
        rows = pa.array(np.flatnonzero(~judged.keep))
        self._list([judged.batch.column(self._column).take(rows).cast(self._schema.field("id").type)])


class _KeptUids:
    """DataComp's subset file: the uids to keep, sorted, as pairs of 64-bit numbers."""

    def __init__(self, path: Path, name: str, column: str) -> None:
        self._path, self._name, self._column = path, name, column
        self._halves: list[npt.NDArray[np.uint64]] = []

    def add(self, judged: Judged) -> None:
        kept = judged.batch.column(self._column).filter(pa.array(judged.keep))
        self._halves.append(_parse_uids(kept, self._name, self._column))

    def end_group(self) -> None:
        """There are no groups in a list of uids."""

    def close(self) -> None:
        save_uids(self._path, self._halves)

    def abandon(self) -> None:
        """Nothing is open before `close`."""


def save_uids(path: Path, halves: list[npt.NDArray[np.uint64]]) -> None:
    """Write uids (arrays of shape [n, 2], high half first) sorted and each once, as `.npy` of `UID`."""
    joined = np.concatenate([np.empty((0, 2), np.uint64), *halves])
    joined = joined[np.lexsort((joined[:, 1], joined[:, 0]))]
    fresh = np.ones(len(joined), np.bool_)
    fresh[1:] = (joined[1:] != joined[:-1]).any(axis=1)
    uids = np.ascontiguousarray(joined[fresh]).view(UID).reshape(-1)
    with path.open("wb") as file:
        # Not np.save, which does not say why it could not write.
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(uids))
        file.write(uids.data)


def _parse_uids(uids: pa.Array, name: str, column: str) -> npt.NDArray[np.uint64]:
    if pa.types.is_dictionary(uids.type):
        uids = uids.dictionary_decode()
    texts = uids.cast(pa.large_binary()) if _is_text(uids.type) else None
    lengths = np.empty(0) if texts is None else np.diff(np.frombuffer(texts.buffers()[1], np.int64))
    if texts is None or texts.null_count or (lengths[texts.offset :][: len(texts)] != 32).any():
        raise BadInput(f"{name}: column {column!r} must hold uids of 32 hex digits", code="bad_uid")
    if not len(texts):
        return np.empty((0, 2), np.uint64)
    start = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset]
    digits = _DIGITS[np.frombuffer(texts.buffers()[2], np.uint8)[start:][: 32 * len(texts)]]
    if (digits == _BAD_DIGIT).any():
        raise BadInput(f"{name}: column {column!r} must hold uids of 32 hex digits", code="bad_uid")
    packed = (digits[0::2] << 4 | digits[1::2]).reshape(-1, 16)
    return np.ascontiguousarray(packed).view(">u8").astype(np.uint64)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def _reasons(verdicts: Verdicts, rows: Any = slice(None)) -> pa.DictionaryArray:
    """Of each row: kind of the selector that decided, or why the row cannot be judged, or null."""
    failed = verdicts.outcome[rows] == Outcome.ERROR
    kind = verdicts.kind[rows]
    number = np.where(failed, verdicts.error[rows] + _FIRST_ERROR, kind) if failed.any() else kind
    return pa.DictionaryArray.from_arrays(pa.array(number, pa.uint8(), mask=number == 0), _REASONS)


def answers(snapshot: Snapshot, verdicts: Verdicts) -> list[pa.Array]:
    """The columns `ANNOTATIONS` of n items."""
    return [
        _OUTCOMES.take(pa.array(verdicts.outcome)),
        _reasons(verdicts).dictionary_decode(),
        _claims(snapshot, verdicts),
        pa.array(verdicts.flagged),
    ]


def _claims(snapshot: Snapshot, verdicts: Verdicts) -> pa.Array:
    """string[n]: the deciding claim's id as UUID, or null."""
    decided = np.flatnonzero(verdicts.winner >= 0)
    winners = verdicts.winner[decided]
    found: dict[tuple[int, int], str] = {}
    texts: list[str | None] = [None] * len(verdicts.winner)
    places = zip(
        decided.tolist(),
        verdicts.matches.segment[winners].tolist(),
        verdicts.matches.claim[winners].tolist(),
        strict=True,
    )
    for row, segment, claim in places:
        place = (segment, claim)
        if place not in found:
            found[place] = str(uuid.UUID(bytes=snapshot.segments[segment].ids[claim].as_py()))
        texts[row] = found[place]
    return pa.array(texts, pa.string())
