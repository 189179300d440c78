"""Looking up pictures by their embeddings, of the same model only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optout.embeddings.identity import Thresholds
from optout.embeddings.table import EmbeddingTable, Found
from optout.embeddings.value import check_vectors
from optout.engine.items import ItemError, Items, Question
from optout.engine.matches import Matches, Tier
from optout.engine.pictures import first_of_each, nearest_first
from optout.engine.weighing import weigh
from optout.probes import Embeddings
from optout.snapshot.embeddings import model_digest
from optout.words import SelectorKind

if TYPE_CHECKING:
    from optout.snapshot.reader import Snapshot
    from optout.snapshot.segment import Segment

__all__ = ["embedding_matches"]

U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


def embedding_matches(
    snapshot: Snapshot,
    items: Items,
    question: Question,
    at: int,
    look_for: Tier,
    identified: Bools,
    error: U8,
) -> list[Matches]:
    """What the embeddings of the items meet; arguments as those of `picture_matches`.

    Raises:
        BadInput: they are no array of vectors (`bad_embeddings`).
    """
    found: list[Matches] = []
    for held in items.embeddings:
        found += _matches_of(snapshot, held, question, at, look_for, identified, error)
    return [nearest_first(found)] if found else []


def _matches_of(
    snapshot: Snapshot,
    held: Embeddings,
    question: Question,
    at: int,
    look_for: Tier,
    identified: Bools,
    error: U8,
) -> list[Matches]:
    """What the embeddings by one model meet."""
    usable = check_vectors(held.vectors, "the items' embeddings")
    error[held.present & ~usable] = ItemError.EMBEDDING
    rows = np.flatnonzero(held.present & usable).astype(np.int32)
    identified[rows] = True
    thresholds = snapshot.thresholds(held.model)
    least = thresholds.review if look_for is Tier.REVIEW else thresholds.match
    found = []
    for number, segment in enumerate(snapshot.segments):
        table = segment.embeddings.get(model_digest(held.model, held.vectors.shape[1]))
        if table is not None and len(rows):
            near = table.search(held.vectors[rows], least)
            near = near._replace(row=rows[near.row])
            found.append(_matches(segment, number, table, near, thresholds, question, at))
    return found


def _matches(
    segment: Segment,
    number: int,
    table: EmbeddingTable,
    found: Found,
    thresholds: Thresholds,
    question: Question,
    at: int,
) -> Matches:
    """The nearest pair of each item and claim, as matches."""
    claim = table.claim[found.entry]
    order = np.lexsort((-found.cosine, claim, found.row))
    kept = order[first_of_each(found.row[order], claim[order])]
    owner, decision = weigh(segment, claim[kept], question, at)
    certain = found.cosine[kept] >= thresholds.match
    count = len(kept)
    return Matches(
        row=found.row[kept],
        kind=np.full(count, SelectorKind.CLIP, np.uint8),
        level=np.zeros(count, np.uint8),
        exact=np.ones(count, np.bool_),
        segment=np.full(count, number, np.uint16),
        claim=claim[kept],
        owner=owner,
        decision=decision,
        key=np.zeros(count, np.uint64),
        tier=np.where(certain, Tier.MATCH, Tier.REVIEW).astype(np.uint8),
        view=np.zeros(count, np.uint8),
        orientation=np.zeros(count, np.uint8),
        distance=(1 - found.cosine[kept]).astype(np.float32),
        threshold=np.where(certain, 1 - thresholds.match, 1 - thresholds.review).astype(np.float32),
    )
