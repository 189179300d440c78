"""What is answered: verdicts, and the matches they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["NOTHING", "Matches", "Tier", "Verdicts", "certain", "concatenated", "joined", "ordered"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


class Tier(IntEnum):
    """How strong the evidence of a match is; the smaller number is the stronger."""

    MATCH = 0
    PROBABLE = 1
    REVIEW = 2

    @property
    def label(self) -> str:
        return self.name.lower()


class Matches(NamedTuple):
    """What met a claim, ordered by row; arrays of one length.

    Attributes:
        row: int32, the item.
        kind: uint8 `SelectorKind`.
        level: uint8, 0 the item's own locator, 1 and up the origins it wraps.
        exact: bool, False where only the variant keys of two locators agree, or pHash alone says that two
            pictures are near.
        segment, claim: uint16 and uint32, the claim's place in the snapshot.
        owner: int64, a number that is the same for claims of one owner.
        decision: uint8 `Decision`, 0 where the claim does not count for this question.
        key: uint64, the hash that was found; of a picture the item's pHash, or the first 16 digits of its PDQ
            where `exact`.
        tier: uint8 `Tier`.
        view: uint8, the claim's view (`optout.probes.VIEWS`); 0 for all but pictures.
        orientation: uint8, what was done to the item to look like the claim (`optout.probes.ORIENTATIONS`).
        distance, threshold: float32, bits for perceptual hashes, 1 - cosine for embeddings; the threshold is
            that of the tier. 0 for selectors that match exactly.
    """

    row: I32
    kind: U8
    level: U8
    exact: Bools
    segment: npt.NDArray[np.uint16]
    claim: U32
    owner: npt.NDArray[np.int64]
    decision: U8
    key: U64
    tier: U8
    view: U8
    orientation: U8
    distance: F32
    threshold: F32


def certain(count: int) -> dict[str, npt.NDArray[Any]]:
    """The columns of `Matches` that only pictures fill, for `count` selectors that match exactly."""
    none, exactly = np.zeros(count, np.uint8), np.zeros(count, np.float32)
    return {"tier": none, "view": none, "orientation": none, "distance": exactly, "threshold": exactly}


@dataclass(frozen=True)
class Verdicts:
    """The answers for n items.

    Attributes:
        outcome: uint8[n] `Outcome`.
        kind: uint8[n], kind of the selector that decided; 0 where none did.
        flagged: bool[n], a name was met that has a claim against the use (`names="flag"`), or, where it was
            looked for, evidence too weak to count.
        error: uint8[n] `ItemError`, nonzero where something kept the item from being judged in full.
        winner: int32[n], index into `matches` of the one that decided, or -1.
        matches: all that was found, also what did not count.
    """

    outcome: U8
    kind: U8
    flagged: Bools
    error: U8
    winner: I32
    matches: Matches


def ordered(parts: Sequence[Matches]) -> Matches:
    """The matches by row, within a row the most specific kind first."""
    if not parts:
        return NOTHING
    return concatenated(parts, np.argsort(np.concatenate([part.row for part in parts]), kind="stable"))


def concatenated(parts: Sequence[Matches], order: npt.NDArray[np.int64]) -> Matches:
    """The matches of `parts` together, in the order `order` of their places."""
    return Matches(*(np.concatenate(columns)[order] for columns in zip(*parts, strict=True)))


_TYPES = ("i4", "u1", "u1", "?", "u2", "u4", "i8", "u1", "u8", "u1", "u1", "u1", "f4", "f4")
NOTHING = Matches(*(np.empty(0, dtype) for dtype in _TYPES))


def joined(parts: Sequence[Verdicts]) -> Verdicts:
    """The answers for the items of all `parts`, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    rows = np.cumsum([0] + [len(part.outcome) for part in parts])
    found = np.cumsum([0] + [len(part.matches.row) for part in parts])
    matches = [np.concatenate(columns) for columns in zip(*(part.matches for part in parts), strict=True)]
    matches[0] += np.repeat(rows[:-1], np.diff(found)).astype(np.int32)
    winner = np.concatenate(
        [np.where(p.winner < 0, -1, p.winner + f) for p, f in zip(parts, found, strict=False)]
    )
    return Verdicts(
        outcome=np.concatenate([part.outcome for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        flagged=np.concatenate([part.flagged for part in parts]),
        error=np.concatenate([part.error for part in parts]),
        winner=winner.astype(np.int32),
        matches=Matches(*matches),
    )
