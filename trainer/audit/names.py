"""The names that a registry protects, as far as a snapshot tells them.

A snapshot holds hashes of names, not the names. The owners and titles of the claims are there as text, so
each is asked about as a caption would be: what of it meets a claimed name is one.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from optout.engine import Question
from optout.snapshot import Snapshot
from optout.words import SelectorKind

__all__ = ["told_names"]


def told_names(snapshot: Snapshot, question: Question) -> list[str]:
    """Claimed names that count for `question`, in the form in which they are compared."""
    texts = sorted(set(_texts(snapshot)))
    answers = snapshot.check([{"text": text} for text in texts], question)
    flags = (flag for answer in answers for flag in answer["flags"])
    return sorted({flag["matched"] for flag in flags if flag["selector"] == SelectorKind.NAME.label})


def _texts(snapshot: Snapshot) -> Iterator[str]:
    """Owners and titles of all claims that have a name."""
    owners = pa.chunked_array([segment.owners for segment in snapshot.segments], pa.large_string())
    for segment in snapshot.segments:
        table = segment.tables.get(SelectorKind.NAME)
        if table is None:
            continue
        held = pa.array(np.unique(segment.statement[np.unique(table.claim)]))
        numbers = pa.array(segment.statements.owner).take(held)
        for texts in (owners.take(numbers), segment.statements.title.take(held)):
            yield from (text for text in texts.to_pylist() if text)
