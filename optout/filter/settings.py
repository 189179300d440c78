"""What a filter run does with the answers: the mode, what is kept, which columns hold what."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from optout.engine import Question
from optout.filter.modes import MaskFormat, Mode
from optout.words import Outcome

__all__ = ["ColumnNames", "Settings", "at_of", "plan_digest", "plan_of"]


@dataclass(frozen=True)
class ColumnNames:
    """Names of the columns to read; None means: find it among the names the known data sets use."""

    url: str | None = None
    text: str | None = None
    sha256: str | None = None
    md5: str | None = None
    id: str | None = None
    phash: str | None = None
    pdq: str | None = None
    image: str | None = None


@dataclass(frozen=True)
class Settings:
    """Everything about a run except the data, the snapshot and the question.

    Attributes:
        mode: what is written.
        mask_format: how, when the mode is `mask`.
        keep_terms: keep rows whose owners set terms (the caller met them).
        keep_errors: keep rows that could not be judged. Off, because consent fails closed.
        codec: Parquet codec of the output; None keeps each column's own.
        columns: where the URL, the caption and the digests are.
        clip_model: the id of the model that made the embeddings of the data set.
    """

    mode: Mode = Mode.DROP
    mask_format: MaskFormat = MaskFormat.ROWS
    keep_terms: bool = False
    keep_errors: bool = False
    codec: str | None = None
    columns: ColumnNames = field(default_factory=ColumnNames)
    clip_model: str | None = None

    @property
    def keeps(self) -> np.ndarray:
        """bool[5], indexed by `Outcome`: whether rows with that outcome stay."""
        table = np.zeros(len(Outcome), np.bool_)
        table[[Outcome.UNRESERVED, Outcome.ALLOWED]] = True
        table[Outcome.TERMS] = self.keep_terms
        table[Outcome.ERROR] = self.keep_errors
        return table


def at_of(question: Question) -> datetime:
    """The moment a question asks about, always with a time zone."""
    at = question.at or datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def plan_of(snapshot_digest: str, question: Question, settings: Settings) -> dict[str, Any]:
    """All that decides what a shard's output holds, as JSON: equal plans give equal outputs."""
    return {
        "snapshot": snapshot_digest,
        "question": {
            "use": question.use.label,
            "at": at_of(question).isoformat(),
            "min_grade": int(question.min_grade),
            "names": question.names,
            "evidence": question.evidence,
            "owner": question.own,
        },
        "settings": asdict(settings),
    }


def plan_digest(plan: dict[str, Any]) -> str:
    """SHA-256 of a plan, in hex."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
