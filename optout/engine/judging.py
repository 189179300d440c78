"""Items and a question in, verdicts out.

Rows are taken in batches that fit the processor's cache. For each batch the locator kernel makes the keys,
the tables of every segment are searched, and what was found is weighed by the decision rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optout.decide import decide_rows
from optout.engine.items import Items, Question, require_columns
from optout.engine.locators import exact_matches
from optout.engine.matches import Matches, Verdicts, joined, ordered
from optout.snapshot.segment import find_owners
from optout.words import Decision, SelectorKind

if TYPE_CHECKING:
    from optout.snapshot.reader import Snapshot

__all__ = ["judge"]

BATCH_ROWS = 1 << 14

_SPECIFICITY = np.zeros(max(SelectorKind) + 1, np.uint8)
_SPECIFICITY[list(SelectorKind)] = [kind.specificity for kind in SelectorKind]


def judge(snapshot: Snapshot, items: Items, question: Question) -> Verdicts:
    """Answer `question` about each of `items`.

    Raises:
        BadInput: a column is not text (`bad_column`).
    """
    require_columns(items)
    at = question.microseconds
    starts = range(0, max(items.length, 1), BATCH_ROWS)
    return joined([_judge_batch(snapshot, items.slice(start, BATCH_ROWS), question, at) for start in starts])


def _judge_batch(snapshot: Snapshot, items: Items, question: Question, at: int) -> Verdicts:
    error = np.zeros(items.length, np.uint8) if items.errors is None else items.errors.copy()
    identified = error != 0
    if items.pictures is not None:
        identified[items.pictures.row] = True
    matches = ordered(list(exact_matches(snapshot, items, question, at, identified, error)))
    if question.own is not None:
        matches = _allowed(snapshot, question.own, matches)
    named = matches.kind == SelectorKind.NAME
    flags_only = question.names == "flag"
    counted = np.where(named, 0, matches.decision).astype(np.uint8) if flags_only else matches.decision
    outcome, winner = decide_rows(
        items.length, error, matches.row, _SPECIFICITY[matches.kind], matches.owner, counted
    )
    kind, decided = np.zeros(items.length, np.uint8), np.flatnonzero(winner >= 0)
    kind[decided] = matches.kind[winner[decided]]
    flagged = np.zeros(items.length, np.bool_)
    if flags_only:
        flagged[_against(matches, named)] = True
    return Verdicts(outcome, kind, flagged, error, winner, matches)


def _allowed(snapshot: Snapshot, owner: str, matches: Matches) -> Matches:
    """The matches, those of `owner`'s claims that count as allowing what they speak of."""
    number = find_owners(snapshot.segments, [owner]).get(owner)
    if number is None:
        return matches
    theirs = (matches.owner == number) & (matches.decision > 0)
    return matches._replace(decision=np.where(theirs, np.uint8(Decision.ALLOW), matches.decision))


def _against(matches: Matches, which: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """The items that some of `which` matches are against."""
    return matches.row[which & (matches.decision >= Decision.TERMS)]
