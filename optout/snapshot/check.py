"""Single items, judged and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from optout import engine
from optout.errors import BadInput
from optout.probes import PictureProbes
from optout.snapshot.embeddings import read_embeddings
from optout.snapshot.explain import Reason, explain_rows
from optout.words import Outcome, SelectorKind

if TYPE_CHECKING:
    from optout.snapshot.reader import Snapshot

__all__ = ["FIELDS", "check_items", "is_flag", "items_of"]

_TEXTS = ("url", "text", "sha256", "md5", "phash", "pdq")
#: What an item may have.
FIELDS = (*_TEXTS, "picture", "clip")


def check_items(
    snapshot: Snapshot, items: Sequence[Mapping[str, Any]], question: engine.Question
) -> list[dict[str, Any]]:
    """Judge and explain single items; see `Snapshot.check`."""
    asked = items_of(items)
    verdicts = engine.judge(snapshot, asked, question, look_for=engine.Tier.REVIEW)
    rows = np.unique(verdicts.matches.row[verdicts.matches.decision > 0]).tolist()
    reasons = dict(zip(rows, explain_rows(snapshot, asked, verdicts, rows), strict=True)) if rows else {}
    outcomes = [Outcome(number).label for number in range(len(Outcome))]
    return [
        {
            "outcome": outcomes[outcome],
            "error": engine.ItemError(error).label if error else None,
            "flags": [reason for reason in reasons.get(row, ()) if is_flag(reason, question)],
            "reasons": [reason for reason in reasons.get(row, ()) if not is_flag(reason, question)],
        }
        for row, (outcome, error) in enumerate(
            zip(verdicts.outcome.tolist(), verdicts.error.tolist(), strict=True)
        )
    ]


def is_flag(reason: Reason, question: engine.Question) -> bool:
    """Whether a reason only stands beside the outcome: a name that does not count, or evidence too weak."""
    if reason["selector"] == SelectorKind.NAME.label:
        return question.names == "flag"
    return engine.Tier[reason["tier"].upper()] > question.tier


def items_of(items: Sequence[Mapping[str, Any]]) -> engine.Items:
    """Items as columns.

    Raises:
        BadInput: an item has a field that is not known or not text (`bad_item`); its number is named. Or
            there are embeddings by too many models (`several_models`).
    """
    for number, item in enumerate(items):
        for field, value in item.items():
            if field not in FIELDS:
                known = ", ".join(FIELDS)
                raise BadInput(
                    f"item {number} has an unknown field {field!r}; known: {known}", code="bad_item"
                )
            if not isinstance(value, str | None) and not (
                field == "picture" and isinstance(value, PictureProbes)
            ):
                raise BadInput(f"item {number}: {field} is {type(value).__name__}, not text", code="bad_item")
    columns: dict[str, Any] = {field: _text_column([item.get(field) for item in items]) for field in _TEXTS}
    asked = engine.Items(len(items), **columns, url_optional=True)
    if any(item.get("clip") is not None for item in items):
        asked = asked.with_embeddings(*read_embeddings([item.get("clip") for item in items]))
    pictures = [item.get("picture") for item in items]
    texts = _text_column([held if isinstance(held, str) else None for held in pictures])
    if texts is not None:
        asked = asked.with_fingerprints(texts)
    exact = [held.of_row(row) for row, held in enumerate(pictures) if isinstance(held, PictureProbes)]
    return asked.with_pictures(exact) if exact else asked


def _text_column(values: Sequence[str | None]) -> pa.Array | None:
    if all(value is None for value in values):
        return None
    try:
        return pa.array(values, pa.large_string())
    except UnicodeEncodeError:
        # JSON can hold half of a surrogate pair: kept as bytes that are not UTF-8, and so the item's error.
        encoded = [None if value is None else value.encode("utf-8", "surrogatepass") for value in values]
        return pa.array(encoded, pa.large_binary())
