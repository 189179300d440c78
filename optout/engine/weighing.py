"""Which claims count for a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optout.engine.items import Question

if TYPE_CHECKING:
    # A snapshot explains what pictures met, and so imports what imports this.
    from optout.snapshot.segment import Segment

__all__ = ["weigh"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]


def weigh(segment: Segment, claim: U32, question: Question, at: int) -> tuple[npt.NDArray[np.int64], U8]:
    """Owner and decision of each claim; the decision is 0 where the claim does not count."""
    statements, statement = segment.statements, segment.statement[claim]
    counts = (
        (statements.uses[statement] & int(question.use) != 0)
        & (statements.grade[statement] >= int(question.min_grade))
        & (statements.valid_from[statement] <= at)
    )
    if segment.withdrawn is not None:
        counts &= (segment.withdrawn[claim >> 3] >> (claim & 7).astype(np.uint8)) & 1 == 0
    return statements.owner[statement].astype(np.int64), statements.decision[statement] * counts
