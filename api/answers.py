"""Verdicts as answers. Most items met nothing and share one ready-made answer; the others are explained."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import orjson

from optout.engine import ItemError, Items, Question, Verdicts
from optout.snapshot.check import is_flag
from optout.snapshot.explain import Reason, explain_rows
from optout.words import Outcome
from registry.live import LiveState

__all__ = ["Judged", "document"]

OUTCOMES: Final = [outcome.label for outcome in Outcome]
ERRORS: Final = {
    ItemError.NULL: "The item has neither URL, digest nor text.",
    ItemError.EMPTY: "The URL is empty.",
    ItemError.SCHEME: "The URL is neither http nor https.",
    ItemError.HOST: "The URL has no usable host.",
    ItemError.PORT: "The URL's port is not a port.",
    ItemError.ENCODING: "The text is not valid UTF-8.",
    ItemError.TOO_LONG: "The URL is too long.",
    ItemError.DIGEST: "The digest or hash is not hexadecimal, or not of its length.",
    ItemError.PICTURE: "The picture cannot be read, or its fingerprint is none.",
    ItemError.EMBEDDING: "The embedding is none, or of another model than the claims are.",
}
_NOTHING_MET = [
    orjson.Fragment(orjson.dumps({"outcome": label, "flags": [], "reasons": []})) for label in OUTCOMES
]


@dataclass(frozen=True)
class Judged:
    """One call's items with what was asked and what came out."""

    state: LiveState
    items: Items
    question: Question
    verdicts: Verdicts

    @cached_property
    def reasons(self) -> dict[int, list[Reason]]:
        """For each item that met claims that count: the one that decided first, then the others."""
        matches = self.verdicts.matches
        rows = np.unique(matches.row[matches.decision > 0]).tolist()
        if not rows:
            return {}
        return dict(
            zip(rows, explain_rows(self.state.snapshot, self.items, self.verdicts, rows), strict=True)
        )

    @cached_property
    def errors(self) -> dict[int, ItemError]:
        """What kept an item from being judged in full."""
        error = self.verdicts.error
        return {row: ItemError(int(error[row])) for row in np.flatnonzero(error).tolist()}

    def is_flag(self, reason: Reason) -> bool:
        """Names and weak evidence are only shown, unless the caller asked for more."""
        return is_flag(reason, self.question)


def document(judged: Judged) -> dict[str, Any]:
    """The JSON answer, with the items' answers in order."""
    outcomes = judged.verdicts.outcome.tolist()
    answers: list[Any] = [_NOTHING_MET[outcome] for outcome in outcomes]
    for row in judged.reasons.keys() | judged.errors.keys():
        answers[row] = _answer(judged, row, OUTCOMES[outcomes[row]])
    return {
        "use": judged.question.use.label,
        "snapshot": judged.state.snapshot.digest,
        "as_of": judged.state.as_of,
        "stale": judged.state.stale,
        "counts": {OUTCOMES[outcome]: count for outcome, count in sorted(Counter(outcomes).items())},
        "answers": answers,
    }


def _answer(judged: Judged, row: int, outcome: str) -> dict[str, Any]:
    reasons = judged.reasons.get(row, [])
    answer: dict[str, Any] = {
        "outcome": outcome,
        "flags": [reason for reason in reasons if judged.is_flag(reason)],
        "reasons": [reason for reason in reasons if not judged.is_flag(reason)],
    }
    error = judged.errors.get(row)
    if error is not None:
        answer["error"] = {"code": error.label, "detail": ERRORS[error]}
    return answer
