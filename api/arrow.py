"""Arrow IPC streams in and out of `check`. Whoever sends one is not trusted: nothing is taken unchecked."""

import io
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from api.answers import OUTCOMES, Judged
from api.items import KINDS, assembled, too_many
from api.problems import Problem
from optout.engine import Items

__all__ = ["read_items", "write_answers"]

_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
# Column of the answer, member of the reason, type.
_REASON = (
    ("reason", "selector", pa.string()),
    ("matched", "matched", pa.string()),
    ("how", "how", pa.string()),
    ("claim", "claim", pa.string()),
    ("owner", "owner", pa.string()),
    ("decision", "decision", pa.string()),
    ("grade", "grade", pa.uint8()),
    ("terms_url", "terms_url", pa.string()),
    ("tier", "tier", pa.string()),
    ("distance", "distance", pa.uint16()),
)
# Where the flatbuffer tables of Arrow's Message.fbs keep what is looked at here: (vtable slot) of a field.
_HEADER: Final = 2
_DICTIONARY_DATA: Final = 1
_BATCH_COMPRESSION: Final = 3


def read_items(body: bytes, most: int) -> Items:
    """The items in an Arrow stream with some of the columns of KINDS.

    Raises:
        Problem: 400 for anything else (also for compressed buffers, whose size nobody can tell beforehand);
            413 for more than `most` rows.
    """
    try:
        _refuse_compression(body)
        table = _read(body, most)
    except (pa.ArrowException, struct.error, IndexError, ValueError, OSError) as exc:
        raise _malformed(f"The body is not an Arrow IPC stream: {str(exc)[:200]}") from None
    names = [name for name in KINDS if name in table.column_names]
    if not names:
        raise _malformed(f"The stream has none of the columns {', '.join(KINDS)}.")
    return assembled(table.num_rows, {name: table.column(name) for name in names}, url_optional=False)


def _read(body: bytes, most: int) -> pa.Table:
    with pa.ipc.open_stream(body) as stream:
        columns = _columns(stream.schema)
        batches, rows = [], 0
        for batch in stream:
            batch = batch.select(columns)
            batch.validate(full=True)
            rows += batch.num_rows
            if rows > most:
                raise too_many(rows, most)
            batches.append(batch)
        schema = pa.schema([stream.schema.field(name) for name in columns])
    return pa.Table.from_batches(batches, schema)


def _columns(schema: pa.Schema) -> list[str]:
    """The columns to look at, each a text; others are ignored."""
    for name in KINDS:
        indices = schema.get_all_field_indices(name)
        if len(indices) > 1:
            raise _malformed(f"The stream has the column {name} more than once.")
        kind = schema.field(indices[0]).type if indices else pa.string()
        if not any(fits(kind.value_type if pa.types.is_dictionary(kind) else kind) for fits in _TEXT):
            raise _malformed(f"The column {name} is {kind}, not text.")
    return [name for name in KINDS if name in schema.names]


def _refuse_compression(body: bytes) -> None:
    for metadata in _messages(body):
        batch = _table(metadata, _field(metadata, _table(metadata, 0), _HEADER))
        kind = metadata[_field(metadata, _table(metadata, 0), 1)]
        if kind == 2:  # a dictionary batch wraps a record batch
            batch = _table(metadata, _field(metadata, batch, _DICTIONARY_DATA))
        if kind in {2, 3} and _field(metadata, batch, _BATCH_COMPRESSION):
            raise Problem(400, "compressed_arrow", "Send the Arrow stream uncompressed.")


def _messages(body: bytes) -> Iterator[bytes]:
    """The metadata of each message of the stream."""
    for message in pa.ipc.MessageReader.open_stream(body):
        yield message.metadata.to_pybytes()


def _table(buffer: bytes, at: int) -> int:
    """Position of the flatbuffer table that the offset at `at` points to."""
    return at + int(struct.unpack_from("<I", buffer, at)[0])


def _field(buffer: bytes, table: int, slot: int) -> int:
    """Position of a field of a flatbuffer table, 0 when it is not set."""
    vtable = table - int(struct.unpack_from("<i", buffer, table)[0])
    size = struct.unpack_from("<H", buffer, vtable)[0]
    offset = struct.unpack_from("<H", buffer, vtable + 4 + 2 * slot)[0] if 4 + 2 * slot < size else 0
    return table + int(offset) if offset else 0


def write_answers(judged: Judged) -> bytes:
    """One row an item: `outcome`, `flag`, `error`, and the claim that decided in `REASON` columns.

    Where nothing decided these are null; `flag` says that a name was met. The schema's metadata has use,
    snapshot, as_of and stale.
    """
    count = judged.items.length
    outcome = pa.DictionaryArray.from_arrays(pa.array(judged.verdicts.outcome.astype(np.int8)), OUTCOMES)
    deciding = _deciding(judged)
    columns = {
        "outcome": outcome,
        "flag": pa.array(judged.verdicts.flagged),
        "error": _sparse({row: error.label for row, error in judged.errors.items()}, count, pa.string()),
        **{
            name: _sparse({row: reason[field] for row, reason in deciding.items()}, count, kind)
            for name, field, kind in _REASON
        },
    }
    state = judged.state
    metadata = {
        "use": judged.question.use.label,
        "snapshot": state.snapshot.digest,
        "as_of": state.as_of.isoformat() if state.as_of else "",
        "stale": str(state.stale).lower(),
    }
    table = pa.table(columns).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _deciding(judged: Judged) -> dict[int, dict[str, object]]:
    """For each item that a claim decided about, that claim's reason."""
    decided = set(np.flatnonzero(judged.verdicts.winner >= 0).tolist())
    return {row: dict(reasons[0]) for row, reasons in judged.reasons.items() if row in decided}


def _sparse(values: dict[int, object], count: int, kind: pa.DataType) -> pa.Array:
    column: list[object] = [None] * count
    for row, value in values.items():
        column[row] = value
    return pa.array(column, kind)


def _malformed(message: str) -> Problem:
    return Problem(400, "malformed_arrow", message)
