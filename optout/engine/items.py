"""What is asked: items, as columns, and a question about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.codes import fingerprint_probes
from optout.engine.matches import Tier
from optout.errors import BadInput, UsageError
from optout.locators import LocatorStatus
from optout.probes import Embeddings, PictureProbes
from optout.words import Grade, Use

__all__ = ["TEXTS", "Column", "Evidence", "ItemError", "Items", "Question", "require_columns"]

U8 = npt.NDArray[np.uint8]
Column: TypeAlias = pa.Array | pa.ChunkedArray | None
Evidence: TypeAlias = Literal["match", "probable", "review"]

#: The columns of text that items may have.
TEXTS = ("url", "text", "sha256", "md5", "own_sha256", "own_md5", "phash", "pdq")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TEXT_TYPES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)


class ItemError(IntEnum):
    """Why an item could not be judged: the statuses of locators, and what else an item can lack."""

    OK = 0
    NULL = LocatorStatus.NULL
    EMPTY = LocatorStatus.EMPTY
    SCHEME = LocatorStatus.SCHEME
    HOST = LocatorStatus.HOST
    PORT = LocatorStatus.PORT
    ENCODING = LocatorStatus.ENCODING
    TOO_LONG = LocatorStatus.TOO_LONG
    DIGEST = 32
    PICTURE = 33
    EMBEDDING = 34
    MEMBER = 35
    DUPLICATE = 36
    METADATA = 37

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Items:
    """What is asked about: columns of equal length; None for those there are none of.

    A null digest, hash or caption is one that the item does not have. A null `url` is an error, since a data
    set's row without its URL cannot be judged, unless `url_optional` says that items have this or that
    identifier.

    Attributes:
        length: how many items there are, n.
        url, text, sha256, md5: Arrow arrays of text.
        own_sha256, own_md5: digests of the items' files as they lie here, where others (of the files as they
            were downloaded, say) are given as well.
        phash, pdq: Arrow arrays of bare perceptual hashes, as the hexadecimal digits of their libraries.
        pictures: the hashes of the items' own pictures.
        embeddings: the embeddings of the items' pictures, one for each model; an item is in one at most.
        errors: uint8[n] of `ItemError`: what whoever prepared the items met, for example a broken picture.
        url_optional: whether an item may lack a URL.
    """

    length: int
    url: Column = None
    text: Column = None
    sha256: Column = None
    md5: Column = None
    url_optional: bool = False
    own_sha256: Column = None
    own_md5: Column = None
    phash: Column = None
    pdq: Column = None
    pictures: PictureProbes | None = None
    embeddings: tuple[Embeddings, ...] = ()
    errors: U8 | None = None

    def with_fingerprints(self, texts: pa.Array | pa.ChunkedArray) -> Items:
        """These items with the pictures of a column of fingerprints; null where an item has none.

        What is no fingerprint is the item's error.
        """
        pictures, malformed = fingerprint_probes(texts)
        errors = np.zeros(self.length, np.uint8) if self.errors is None else self.errors.copy()
        errors[malformed] = ItemError.PICTURE
        return replace(self, pictures=pictures, errors=errors)

    def with_embeddings(self, embeddings: tuple[Embeddings, ...], malformed: npt.NDArray[np.bool_]) -> Items:
        """These items with embeddings, and an error for those whose embedding is none."""
        errors = np.zeros(self.length, np.uint8) if self.errors is None else self.errors.copy()
        errors[malformed] = ItemError.EMBEDDING
        return replace(self, embeddings=embeddings, errors=errors)

    def with_pictures(self, pictures: Sequence[PictureProbes]) -> Items:
        """These items with more pictures, in any order; an item has one at most."""
        held = [] if self.pictures is None else [self.pictures]
        probes = PictureProbes.joined([*held, *pictures])
        return replace(self, pictures=probes.where(np.argsort(probes.row, kind="stable")))

    def slice(self, start: int, length: int) -> Items:
        """Rows `start` to `start + length` without copying."""
        rows = min(length, self.length - start)
        texts: dict[str, Any] = {name: _slice(getattr(self, name), start, rows) for name in TEXTS}
        return replace(
            self,
            length=rows,
            **texts,
            pictures=None if self.pictures is None else self.pictures.part(start, rows),
            embeddings=tuple(held.part(start, rows) for held in self.embeddings),
            errors=None if self.errors is None else self.errors[start : start + rows],
        )


def _slice(column: Column, start: int, length: int) -> Column:
    return None if column is None else _plain(column.slice(start, length))


@dataclass(frozen=True)
class Question:
    """What is asked: one use, a time (None: now), the least grade, what a name in a caption does.

    `names`: "flag" reports names beside the outcome, "remove" lets them take part in the rule, "ignore" does
    not look for them. `evidence` is the weakest tier of picture evidence that takes part in the rule; what is
    weaker is reported beside the outcome of single items. `own` names the owner of the items, as the caller
    states: what that owner claims counts as allowed.

    Raises:
        UsageError: more or less than one use (`one_use`), a time without zone (`naive_time`), or a tier that
            does not exist (`bad_evidence`).
    """

    use: Use
    at: datetime | None = None
    min_grade: Grade = Grade.STATED
    names: Literal["flag", "remove", "ignore"] = "flag"
    evidence: Evidence = "match"
    own: str | None = None

    def __post_init__(self) -> None:
        if self.use not in iter(Use):
            raise UsageError(f"ask about one use at a time, not {self.use!r}", code="one_use")
        if self.evidence not in get_args(Evidence):
            raise UsageError(
                f"there is no tier of evidence {self.evidence!r}: match, probable or review",
                code="bad_evidence",
            )
        if self.at is not None and self.at.tzinfo is None:
            raise UsageError("the time asked about needs a time zone", code="naive_time")

    @property
    def tier(self) -> Tier:
        """The weakest tier that takes part in the rule."""
        return Tier[self.evidence.upper()]

    @property
    def microseconds(self) -> int:
        """The time asked about since 1970."""
        return ((self.at or datetime.now(UTC)) - _EPOCH) // timedelta(microseconds=1)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Texts of a dictionary column: a slice of it still carries the dictionary of the whole."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def require_columns(items: Items) -> None:
    """Raise BadInput for a column that is not text (`bad_column`)."""
    for name in TEXTS:
        column = getattr(items, name)
        if column is None:
            continue
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_null(kind) or any(test(kind) for test in _TEXT_TYPES)):
            raise BadInput(f"the {name} column is {column.type}, not text", code="bad_column")
