"""Items and a question in, verdicts out.

Rows are taken in batches that fit the processor's cache. For each batch the locator kernel makes the keys,
the tables of every segment are searched, and what was found is weighed by the decision rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optout.decide import decide_rows
from optout.engine.embeddings import embedding_matches
from optout.engine.items import Items, Question, require_columns
from optout.engine.locators import exact_matches
from optout.engine.matches import Matches, Tier, Verdicts, joined, ordered
from optout.engine.pictures import picture_matches
from optout.snapshot.segment import find_owners
from optout.words import Decision, SelectorKind

if TYPE_CHECKING:
    from optout.snapshot.reader import Snapshot

__all__ = ["judge"]

BATCH_ROWS = 1 << 15

_SPECIFICITY = np.zeros(max(SelectorKind) + 1, np.uint8)
_SPECIFICITY[list(SelectorKind)] = [kind.specificity for kind in SelectorKind]


def judge(snapshot: Snapshot, items: Items, question: Question, *, look_for: Tier | None = None) -> Verdicts:
    """Answer `question` about each of `items`.

    Args:
        snapshot: what is asked.
        items: what is asked about.
        question: what is asked.
        look_for: the weakest tier of picture evidence to look for, where that is more than counts.

    Raises:
        BadInput: a column is not text (`bad_column`).
    """
    require_columns(items)
    at = question.microseconds
    starts = range(0, max(items.length, 1), BATCH_ROWS)
    looked_for = Tier(max(question.tier, look_for or 0))
    return joined(
        [_judge_batch(snapshot, items.slice(start, BATCH_ROWS), question, at, looked_for) for start in starts]
    )


def _judge_batch(snapshot: Snapshot, items: Items, question: Question, at: int, look_for: Tier) -> Verdicts:
    error = np.zeros(items.length, np.uint8) if items.errors is None else items.errors.copy()
    identified = error != 0
    parts = [
        *picture_matches(snapshot, items, question, at, look_for, identified, error),
        *embedding_matches(snapshot, items, question, at, look_for, identified, error),
    ]
    exact = list(exact_matches(snapshot, items, question, at, identified, error))
    matches = ordered(sorted([*exact, *parts], key=_first_kind) if parts else exact)
    if question.own is not None:
        matches = _allowed(snapshot, question.own, matches)
    apart = matches.tier > question.tier
    if question.names == "flag":
        apart |= matches.kind == SelectorKind.NAME
    counted = np.where(apart, np.uint8(0), matches.decision)
    outcome, winner = decide_rows(
        items.length, error, matches.row, _SPECIFICITY[matches.kind], matches.owner, counted
    )
    kind, decided = np.zeros(items.length, np.uint8), np.flatnonzero(winner >= 0)
    kind[decided] = matches.kind[winner[decided]]
    flagged = np.zeros(items.length, np.bool_)
    flagged[_against(matches, apart)] = True
    return Verdicts(outcome, kind, flagged, error, winner, matches)


def _allowed(snapshot: Snapshot, owner: str, matches: Matches) -> Matches:
    """The matches, those of `owner`'s claims that count as allowing what they speak of."""
    number = find_owners(snapshot.segments, [owner]).get(owner)
    if number is None:
        return matches
    theirs = (matches.owner == number) & (matches.decision > 0)
    return matches._replace(decision=np.where(theirs, np.uint8(Decision.ALLOW), matches.decision))


def _first_kind(part: Matches) -> int:
    return int(part.kind[0]) if len(part.kind) else 0


def _against(matches: Matches, which: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """The items that some of `which` matches are against."""
    return matches.row[which & (matches.decision >= Decision.TERMS)]
