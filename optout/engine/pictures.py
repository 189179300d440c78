"""Looking up pictures by their perceptual hashes, in tiers of evidence.

pHash proposes a pair of views, PDQ of the same two views confirms it; how near decides the tier. A bare PDQ
matches by the same bounds, a bare pHash is never more than for review. docs/evidence.md has the error rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.codes import PDQ_DIGITS, PHASH_DIGITS, read_digits
from optout.engine.items import Column, ItemError, Items, Question
from optout.engine.matches import Matches, Tier, concatenated
from optout.engine.texts import is_hex, lower_text, present
from optout.engine.weighing import weigh
from optout.evidence import Evidence
from optout.hamming import long, short
from optout.probes import turned_pdq, turned_phash
from optout.words import SelectorKind

if TYPE_CHECKING:
    import pyarrow as pa

    from optout.snapshot.pictures import PhashTable, PictureTable, PictureTables
    from optout.snapshot.reader import Snapshot
    from optout.snapshot.segment import Segment

__all__ = ["bare_codes", "first_of_each", "nearest_first", "pdq_text", "picture_matches"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class _Probes(NamedTuple):
    """Codes to look up: row int32[k], orientation uint8[k], and what there is of phash and pdq."""

    row: I32
    orientation: U8
    phash: U64 | None
    pdq: U64 | None


class _Near(NamedTuple):
    """Pairs within the bounds: indices of the probe and the entry, bits apart, and the key that was found."""

    probe: U32
    entry: U32
    distance: I64
    key: U64


def picture_matches(
    snapshot: Snapshot,
    items: Items,
    question: Question,
    at: int,
    look_for: Tier,
    identified: Bools,
    error: U8,
) -> list[Matches]:
    """What the perceptual hashes of the items meet, one part for each kind of selector.

    Args:
        snapshot: what is asked.
        items: n items.
        question: what is asked about them.
        at: the time asked about, in microseconds since 1970.
        look_for: the weakest tier that is looked for.
        identified: bool[n], set for items that have a hash of some kind.
        error: uint8[n] of `ItemError`, where it is noted which items cannot be judged.
    """
    probes = list(_all_probes(snapshot.evidence, items, identified, error))
    parts = []
    for kind in (SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ):
        found = [
            _matches(segment, number, kind, held, near, snapshot.evidence, question, at)
            for number, segment in enumerate(snapshot.segments)
            for held in probes
            for near in _meet(segment.pictures, kind, held, snapshot.evidence, look_for)
        ]
        if found:
            parts.append(nearest_first(found))
    return parts


def _all_probes(evidence: Evidence, items: Items, identified: Bools, error: U8) -> Iterator[_Probes]:
    if items.pictures is not None:
        identified[items.pictures.row] = True
        usable = items.pictures.quality >= evidence.quality
        if usable.any():
            held = items.pictures.where(usable)
            yield _Probes(held.row, held.orientation, held.phash, held.pdq)
    if items.phash is not None:
        row, codes = bare_codes(items.phash, PHASH_DIGITS, identified, error)
        usable = evidence.usable_phash(codes[:, 0])
        turned = turned_phash(codes[usable, 0])
        yield _Probes(*_in_turn(row[usable]), turned.T.reshape(-1), None)
    if items.pdq is not None:
        row, codes = bare_codes(items.pdq, PDQ_DIGITS, identified, error)
        usable = evidence.usable_pdq(codes)
        yield _Probes(*_in_turn(row[usable]), None, turned_pdq(codes[usable]).swapaxes(0, 1).reshape(-1, 4))


def _in_turn(row: I32) -> tuple[I32, U8]:
    """Rows and orientations of codes in all eight orientations."""
    return np.repeat(row, 8), np.tile(np.arange(8, dtype=np.uint8), len(row))


def bare_codes(column: Column, digits: int, identified: Bools, error: U8) -> tuple[I32, U64]:
    """Rows int32[k] of a column of bare hashes that have one, and the hashes uint64[k, digits / 16]."""
    texts: pa.Array = lower_text(column)
    given = present(texts)
    good = given & is_hex(texts, digits)
    identified |= good
    error[given & ~good] = ItemError.DIGEST
    rows = np.flatnonzero(good).astype(np.int32)
    return rows, read_digits(texts.take(rows), digits)


def _meet(
    tables: PictureTables, kind: SelectorKind, probes: _Probes, evidence: Evidence, look_for: Tier
) -> Iterator[_Near]:
    """What probes meet in the table of one kind, if it is there and they are of a kind to meet it."""
    if not len(probes.row):
        return
    if kind is SelectorKind.PICTURE and tables.picture is not None:
        yield from _meet_pictures(tables.picture, probes, evidence, look_for)
    elif kind is SelectorKind.PHASH and tables.phash is not None:
        if probes.phash is not None and look_for is Tier.REVIEW:
            yield _by_phash(tables.phash, probes.phash, evidence)
    elif kind is SelectorKind.PDQ and tables.pdq is not None and probes.pdq is not None:
        yield _by_pdq(tables.pdq.lookup, probes.pdq, evidence, look_for)


def _meet_pictures(
    table: PictureTable, probes: _Probes, evidence: Evidence, look_for: Tier
) -> Iterator[_Near]:
    if probes.phash is not None and probes.pdq is not None:
        yield _confirmed(table, probes.phash, probes.pdq, evidence, look_for)
    elif probes.pdq is not None:
        # Without a pHash nothing proposes: every view is compared.
        yield _by_pdq(long.LongIndex(table.pdq, (), ()), probes.pdq, evidence, look_for)
    elif probes.phash is not None and look_for is Tier.REVIEW:
        yield _by_phash(table, probes.phash, evidence)


def _confirmed(table: PictureTable, phash: U64, pdq: U64, evidence: Evidence, look_for: Tier) -> _Near:
    """The pairs that pHash proposes and PDQ confirms."""
    found = short.search(table.lookup, phash, evidence.phash)
    apart = np.bitwise_count(pdq[found.query] ^ table.pdq[found.entry]).sum(axis=1, dtype=np.int64)
    near = apart <= evidence.bounds()[look_for]
    query = found.query[near]
    return _Near(query, found.entry[near], apart[near], pdq[query, 0])


def _by_phash(table: PictureTable | PhashTable, phash: U64, evidence: Evidence) -> _Near:
    found = short.search(table.lookup, phash, evidence.phash)
    return _Near(found.query, found.entry, found.distance.astype(np.int64), phash[found.query])


def _by_pdq(lookup: long.LongIndex, pdq: U64, evidence: Evidence, look_for: Tier) -> _Near:
    found = long.search(lookup, pdq, int(evidence.bounds()[look_for]))
    return _Near(found.query, found.entry, found.distance.astype(np.int64), pdq[found.query, 0])


def _matches(
    segment: Segment,
    number: int,
    kind: SelectorKind,
    probes: _Probes,
    near: _Near,
    evidence: Evidence,
    question: Question,
    at: int,
) -> Matches:
    """The nearest pair of each item and claim, as matches."""
    claims, views = segment.pictures.entries(kind)
    bounds = evidence.bounds()
    row, orientation = probes.row[near.probe], probes.orientation[near.probe]
    claim, view = claims[near.entry], views[near.entry]
    order = np.lexsort((orientation, view, near.distance, claim, row))
    kept = order[first_of_each(row[order], claim[order])]
    by_phash = probes.pdq is None or kind is SelectorKind.PHASH
    distance = near.distance[kept]
    tier = np.full(len(kept), Tier.REVIEW, np.int64) if by_phash else np.searchsorted(bounds, distance)
    owner, decision = weigh(segment, claim[kept], question, at)
    return Matches(
        row=row[kept],
        kind=np.full(len(kept), kind, np.uint8),
        level=np.zeros(len(kept), np.uint8),
        exact=np.full(len(kept), not by_phash),
        segment=np.full(len(kept), number, np.uint16),
        claim=claim[kept],
        owner=owner,
        decision=decision,
        key=near.key[kept],
        tier=tier.astype(np.uint8),
        view=view[kept],
        orientation=orientation[kept],
        distance=distance.astype(np.float32),
        threshold=(np.full(len(kept), evidence.phash) if by_phash else bounds[tier]).astype(np.float32),
    )


def first_of_each(row: I32, claim: U32) -> Bools:
    """Which rows of columns sorted by (row, claim) are the first of their pair."""
    first = np.ones(len(row), np.bool_)
    first[1:] = (row[1:] != row[:-1]) | (claim[1:] != claim[:-1])
    return first


def nearest_first(parts: Sequence[Matches]) -> Matches:
    """The matches of one kind by row, within a row the strongest and nearest first, whatever the segments."""
    row = np.concatenate([part.row for part in parts])
    tier = np.concatenate([part.tier for part in parts])
    distance = np.concatenate([part.distance for part in parts])
    return concatenated(parts, np.lexsort((distance, tier, row)))


def pdq_text(items: Items, row: int, key: int) -> str:
    """The PDQ hash of item `row` that begins with the 16 digits `key`, in full."""
    codes = [np.empty((0, 4), np.uint64)]
    if items.pictures is not None:
        codes.append(items.pictures.pdq[items.pictures.row == row])
    if items.pdq is not None and items.pdq[row].is_valid:
        text = lower_text(items.pdq.slice(row, 1))
        if is_hex(text, PDQ_DIGITS)[0]:
            codes.append(turned_pdq(read_digits(text, PDQ_DIGITS))[:, 0])
    held = np.concatenate(codes)
    at = int(np.argmax(held[:, 0] == np.uint64(key)))
    return "".join(f"{word:016x}" for word in held[at].tolist())
