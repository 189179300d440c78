"""Claims and their selectors out of PostgreSQL as Arrow tables, by COPY."""

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
from django.db import connection

from optout.exchange import CLAIM_SCHEMA
from optout.words import CONTENT_KINDS, SelectorKind, Use

__all__ = ["stream_claims"]

BLOCK_BYTES = 8 << 20
#: Every use that each mask of named uses speaks about.
_COVERED = np.array([int(Use(named).covered) for named in range(32)], np.uint8)

#: Of a claim that the flood guard holds these are silent.
_FLOODING = ", ".join(str(int(kind)) for kind in CONTENT_KINDS - {SelectorKind.SHA256, SelectorKind.MD5})

# A held denial goes on speaking while its case is open (ClaimQuerySet.speaking).
_QUERY = """
COPY (
    SELECT claim.public_id, party.handle || CASE WHEN claim.owner = '' THEN '' ELSE '/' || claim.owner END,
           claim.ref, claim.decision, claim.uses, claim.grade, claim.valid_from AT TIME ZONE 'UTC',
           claim.terms_url, claim.title, selector.kind, selector.value
    FROM registry_claim AS claim
    JOIN registry_selector AS selector ON selector.claim_id = claim.id
    JOIN registry_party AS party ON party.id = claim.party_id
    WHERE (claim.status = 'active' OR (claim.status = 'held' AND claim.decision = 3))
      AND NOT (claim.hold = 'flood' AND selector.kind IN ({flooding})) {only}
) TO STDOUT (FORMAT csv)
"""
_TYPES = {
    "claim_id": pa.binary(36),
    "owner": pa.large_string(),
    "ref": pa.large_string(),
    "decision": pa.uint8(),
    "uses": pa.uint8(),
    "grade": pa.uint8(),
    "valid_from": pa.timestamp("us"),
    "terms_url": pa.large_string(),
    "title": pa.large_string(),
    "kind": pa.uint8(),
    "value": pa.large_string(),
}
_READ = pyarrow.csv.ReadOptions(column_names=list(_TYPES), block_size=4 * BLOCK_BYTES, use_threads=False)
_PARSE = pyarrow.csv.ParseOptions(newlines_in_values=True)
_CONVERT = pyarrow.csv.ConvertOptions(
    column_types=_TYPES, strings_can_be_null=False, null_values=[""], timestamp_parsers=[pyarrow.csv.ISO8601]
)


def stream_claims(only: Sequence[int] | None = None) -> Iterator[pa.Table]:
    """Tables of CLAIM_SCHEMA with everything that speaks, in no particular order; `row` is 0.

    Belongs in a transaction; the connection is busy until the stream is read to its end.

    Args:
        only: primary keys of the claims wanted; None for all.
    """
    statement = _QUERY.format(flooding=_FLOODING, only="" if only is None else "AND claim.id = ANY(%s)")
    parameters = None if only is None else [list(only)]
    with connection.cursor() as cursor, cursor.copy(statement, parameters) as copy:
        pending, size = [], 0
        for line in copy:
            pending.append(line)
            size += len(line)
            if size >= BLOCK_BYTES:
                yield _parsed(b"".join(pending))
                pending, size = [], 0
        if pending:
            yield _parsed(b"".join(pending))


def _parsed(block: bytes) -> pa.Table:
    """One block of whole lines as a table of CLAIM_SCHEMA."""
    read = pyarrow.csv.read_csv(BytesIO(block), _READ, _PARSE, _CONVERT).combine_chunks()
    columns = {name: read[name] for name in _TYPES}
    columns["row"] = pa.array(np.zeros(read.num_rows, np.int64))
    columns["claim_id"] = _binary_ids(read["claim_id"].combine_chunks())
    columns["uses"] = pa.array(_COVERED[read["uses"].to_numpy()])
    columns["valid_from"] = read["valid_from"].cast(pa.timestamp("us", tz="UTC"))
    return pa.table([columns[name] for name in CLAIM_SCHEMA.names], schema=CLAIM_SCHEMA)


def _binary_ids(texts: pa.FixedSizeBinaryArray | pa.ChunkedArray) -> pa.FixedSizeBinaryArray:
    """The 16 bytes of each UUID written in its 36 characters."""
    array = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
    signs = np.frombuffer(array.buffers()[1], "S1").reshape(-1, 36)[array.offset :][: len(array)]
    digits = np.delete(signs, (8, 13, 18, 23), axis=1)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(array), [None, pa.py_buffer(bytes.fromhex(digits.tobytes().decode("ascii")))]
    )
