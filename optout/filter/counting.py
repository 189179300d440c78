"""What became of the rows of a batch, in numbers."""

import numpy as np
import numpy.typing as npt

from optout.engine import ItemError
from optout.filter.results import Counts
from optout.filter.sinks import Judged
from optout.words import Outcome, SelectorKind

__all__ = ["count_rows"]


def count_rows(judged: Judged) -> Counts:
    """What became of the rows of a batch."""
    outcome, keep = judged.verdicts.outcome, judged.keep
    by_outcome = {each.label: int(np.count_nonzero(outcome == each)) for each in Outcome}
    failed = by_outcome[Outcome.ERROR.label]
    # Few rows fall: whatever is told of them is gathered from them alone.
    fallen = np.flatnonzero(~keep)
    reserved = fallen[outcome[fallen] != Outcome.ERROR] if failed else fallen
    left_out = np.bincount(judged.verdicts.kind[reserved])
    errors = np.bincount(judged.verdicts.error[outcome == Outcome.ERROR]) if failed else _NONE
    return Counts(
        rows=len(outcome),
        kept=len(outcome) - len(fallen),
        dropped=len(reserved),
        errors=failed,
        flagged=int(np.count_nonzero(judged.verdicts.flagged)),
        reasons={SelectorKind(kind).label: count for kind, count in _nonzero(left_out)},
        error_reasons={ItemError(code).label: count for code, count in _nonzero(errors)},
        outcomes={label: count for label, count in by_outcome.items() if count},
    )


_NONE = np.zeros(0, np.intp)


def _nonzero(counts: npt.NDArray[np.intp]) -> list[tuple[int, int]]:
    return [(number, count) for number, count in enumerate(counts.tolist()) if count]
