"""From claims to the columns of a segment's files."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from optout.errors import BadInput
from optout.evidence import Evidence
from optout.exchange import CLAIM_SCHEMA
from optout.snapshot.collect import ClaimCollector
from optout.snapshot.segment import Columns, Segment
from optout.snapshot.selectors import SelectorCollector

__all__ = ["claim_batches", "segment_columns"]

CHUNK_ROWS = 1 << 18


def claim_batches(claims: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    """The rows in batches of a size that keeps memory low.

    Raises:
        BadInput: a table that is not of `CLAIM_SCHEMA`, or has nulls where there may be none (`bad_claims`).
    """
    for table in claims:
        try:
            rows = table.select(CLAIM_SCHEMA.names).cast(CLAIM_SCHEMA)
        except (KeyError, ValueError) as error:
            raise BadInput(f"not a table of claims: {error}", code="bad_claims") from None
        yield from rows.to_batches(max_chunksize=CHUNK_ROWS)


def segment_columns(
    claims: Iterable[pa.Table], sip_key: bytes, evidence: Evidence, earlier: Sequence[Segment]
) -> tuple[dict[str, Columns], set[str]]:
    """The files of a segment that follows the segments `earlier`, by their names without `.arrow`.

    Beside them the ids of the models that its embeddings come from.
    """
    collector, selectors = ClaimCollector(), SelectorCollector(sip_key, evidence)
    for batch in claim_batches(claims):
        selectors.add(np.asarray(batch.column("kind")), batch.column("value"), collector.add(batch))
    files, final = collector.finish(earlier)
    return files | selectors.finish(final), selectors.models
