"""The decision rule, once, for every caller.

Within one owner the most specific selector speaks, on a tie the strictest; between owners deny beats terms
beats allow; what cannot be judged is an error unless somebody reserved it all the same. Which claims count at
all (time, grade, use, withdrawal) is settled before: a match that does not count has decision 0.

The functions are compiled on first call and cached beside this file.
"""

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled
from optout.words import Outcome

__all__ = ["decide_rows"]

_ERROR = int(Outcome.ERROR)
_ALLOWED = int(Outcome.ALLOWED)


@compiled
def decide_rows(
    n_rows: int,
    status: npt.NDArray[np.uint8],
    row: npt.NDArray[np.int32],
    specificity: npt.NDArray[np.uint8],
    owner: npt.NDArray[np.int64],
    decision: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Judge `n_rows` items by their matches.

    Args:
        n_rows: how many items there are.
        status: uint8[n], nonzero where the item cannot be judged.
        row: int32[m], the item of each match, ascending; every other array is parallel to it.
        specificity: uint8[m], 0 the most specific (`SelectorKind.specificity`).
        owner: integer[m], equal for matches of one owner.
        decision: uint8[m], a `Decision`, or 0 for a match that does not count.

    Returns:
        outcome uint8[n] (`Outcome`) and winner int32[n]: the index of the match that decided
        (of those that say so the most specific, then the first), or -1.
    """
    outcome = np.zeros(n_rows, np.uint8)
    winner = np.full(n_rows, -1, np.int32)
    first = 0
    while first < len(row):
        last = first + 1
        while last < len(row) and row[last] == row[first]:
            last += 1
        at = _winner(first, last, specificity, owner, decision)
        if at >= 0:
            # Decision and Outcome share the numbers 1 to 3.
            outcome[row[first]] = decision[at]
            winner[row[first]] = at
        first = last
    for item in range(n_rows):
        if status[item] != 0 and outcome[item] <= _ALLOWED:
            outcome[item] = _ERROR
            winner[item] = -1
    return outcome, winner


@compiled
def _winner(
    first: int,
    last: int,
    specificity: npt.NDArray[np.uint8],
    owner: npt.NDArray[np.int64],
    decision: npt.NDArray[np.uint8],
) -> int:
    """The index of the match that decides among matches first … last - 1 of one item, or -1."""
    if last - first == 1:
        return first if decision[first] else -1
    # Stable, so that the first of equals wins.
    order = np.argsort(owner[first:last], kind="mergesort")
    best = -1
    speaker = -1
    for position in range(len(order)):
        at = first + order[position]
        if position > 0 and owner[at] != owner[first + order[position - 1]]:
            best = _stricter(best, speaker, specificity, decision)
            speaker = -1
        if decision[at] and (speaker < 0 or _speaks_over(at, speaker, specificity, decision)):
            speaker = at
    return int(_stricter(best, speaker, specificity, decision))


@compiled
def _speaks_over(
    at: int, other: int, specificity: npt.NDArray[np.uint8], decision: npt.NDArray[np.uint8]
) -> bool:
    """Whether match `at` speaks for the owner rather than `other`, which came before it."""
    if specificity[at] != specificity[other]:
        return bool(specificity[at] < specificity[other])
    return bool(decision[at] > decision[other])


@compiled
def _stricter(
    best: int, speaker: int, specificity: npt.NDArray[np.uint8], decision: npt.NDArray[np.uint8]
) -> int:
    """The stricter of two owners' words (-1 is silence); among equals the more specific, then the first."""
    if speaker < 0 or best < 0:
        return max(best, speaker)
    if decision[speaker] != decision[best]:
        return speaker if decision[speaker] > decision[best] else best
    if specificity[speaker] != specificity[best]:
        return speaker if specificity[speaker] < specificity[best] else best
    return min(best, speaker)
