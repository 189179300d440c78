"""The matching engine: items and a question in, verdicts out. Every caller's answers come from here.

Rows are taken in batches that fit the processor's cache. For each batch the locator kernel makes the keys,
the tables of every segment are searched, and what was found is weighed by the decision rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout.decide import decide_rows
from optout.errors import BadInput, UsageError
from optout.locators import LocatorStatus, probe_keys
from optout.names import probe_names
from optout.snapshot.segment import LOCATOR_KINDS, Segment
from optout.snapshot.selectors import digest_keys
from optout.snapshot.tables import find
from optout.words import Decision, Grade, SelectorKind, Use

if TYPE_CHECKING:
    from optout.snapshot.reader import Snapshot

__all__ = ["ItemError", "Items", "Matches", "Question", "Verdicts", "judge"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Column: TypeAlias = pa.Array | pa.ChunkedArray | None

BATCH_ROWS = 1 << 14

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGEST_CHARS = {SelectorKind.SHA256: 64, SelectorKind.MD5: 32}
_HEX = np.isin(np.arange(256), np.frombuffer(b"0123456789abcdef", np.uint8))
_SPECIFICITY = np.zeros(max(SelectorKind) + 1, np.uint8)
_SPECIFICITY[list(SelectorKind)] = [kind.specificity for kind in SelectorKind]


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

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Items:
    """What is asked about: columns of text of equal length, Arrow arrays; None for those there are none of.

    A null digest or caption is one that the item does not have. A null `url` is an error, since a data set's
    row without its URL cannot be judged, unless `url_optional` says that items have this or that identifier.
    """

    length: int
    url: Column = None
    text: Column = None
    sha256: Column = None
    md5: Column = None
    url_optional: bool = False

    def slice(self, start: int, length: int) -> Items:
        """Rows `start` to `start + length` without copying."""

        def part(column: Column) -> Column:
            return None if column is None else _plain(column.slice(start, length))

        rows = min(length, self.length - start)
        return Items(
            rows, part(self.url), part(self.text), part(self.sha256), part(self.md5), self.url_optional
        )


@dataclass(frozen=True)
class Question:
    """What is asked: one use, a time (None: now), the least grade, and what a name in a caption does.

    `names`: "flag" reports names beside the outcome, "remove" lets them take part in the rule, "ignore" does
    not look for them.

    Raises:
        UsageError: more or less than one use (`one_use`), or a time without zone (`naive_time`).
    """

    use: Use
    at: datetime | None = None
    min_grade: Grade = Grade.STATED
    names: Literal["flag", "remove", "ignore"] = "flag"

    def __post_init__(self) -> None:
        if self.use not in iter(Use):
            raise UsageError(f"ask about one use at a time, not {self.use!r}", code="one_use")
        if self.at is not None and self.at.tzinfo is None:
            raise UsageError("the time asked about needs a time zone", code="naive_time")

    @property
    def microseconds(self) -> int:
        """The time asked about since 1970."""
        return ((self.at or datetime.now(UTC)) - _EPOCH) // timedelta(microseconds=1)


class Matches(NamedTuple):
    """What met a claim, ordered by row; arrays of one length.

    Attributes:
        row: int32, the item.
        kind: uint8 `SelectorKind`.
        level: uint8, 0 the item's own locator, 1 and up the origins it wraps.
        exact: bool, False where only the variant keys of two locators agree.
        segment, claim: uint16 and uint32, the claim's place in the snapshot.
        owner: int64, a number that is the same for claims of one owner.
        decision: uint8 `Decision`, 0 where the claim does not count for this question.
        key: uint64, the hash that was found.
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


@dataclass(frozen=True)
class Verdicts:
    """The answers for n items.

    Attributes:
        outcome: uint8[n] `Outcome`.
        kind: uint8[n], kind of the selector that decided; 0 where none did.
        flagged: bool[n], a name was met that has a claim against the use (`names="flag"`).
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


class _Probes(NamedTuple):
    row: I32
    kind: U8
    level: U8
    key: U64
    check: U32


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Texts of a dictionary column: a slice of it still carries the dictionary of the whole."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _require_text(name: str, column: Column) -> None:
    if column is None:
        return
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_null(kind) or any(test(kind) for test in _TEXT_TYPES)):
        raise BadInput(f"the {name} column is {column.type}, not text", code="bad_column")


def judge(snapshot: Snapshot, items: Items, question: Question) -> Verdicts:
    """Answer `question` about each of `items`.

    Raises:
        BadInput: a column is not text (`bad_column`).
    """
    for name in ("url", "text", "sha256", "md5"):
        _require_text(name, getattr(items, name))
    at = question.microseconds
    starts = range(0, max(items.length, 1), BATCH_ROWS)
    return _joined([_judge_batch(snapshot, items.slice(start, BATCH_ROWS), question, at) for start in starts])


def _judge_batch(snapshot: Snapshot, items: Items, question: Question, at: int) -> Verdicts:
    error = np.zeros(items.length, np.uint8)
    parts: list[Matches] = []
    for probes in _probes(snapshot, items, question, error):
        parts += _search(snapshot, probes, question, at)
    matches = _ordered(parts)
    named = matches.kind == SelectorKind.NAME
    flags_only = question.names == "flag"
    counted = np.where(named, 0, matches.decision).astype(np.uint8) if flags_only else matches.decision
    outcome, winner = decide_rows(
        items.length, error, matches.row, _SPECIFICITY[matches.kind], matches.owner, counted
    )
    kind, decided = np.zeros(items.length, np.uint8), winner >= 0
    kind[decided] = matches.kind[winner[decided]]
    flagged = np.zeros(items.length, np.bool_)
    if flags_only:
        flagged[matches.row[named & (matches.decision >= Decision.TERMS)]] = True
    return Verdicts(outcome, kind, flagged, error, winner, matches)


def _probes(snapshot: Snapshot, items: Items, question: Question, error: U8) -> Iterator[_Probes]:
    """All keys to look up, from every identifier the items have; notes in `error` which cannot be judged."""
    identified = np.zeros(items.length, np.bool_)
    for kind, column in ((SelectorKind.SHA256, items.sha256), (SelectorKind.MD5, items.md5)):
        if column is not None:
            yield _digest_probes(snapshot, kind, column, identified, error)
    if items.text is not None and question.names != "ignore":
        identified |= _present(items.text)
        if snapshot.first_words is not None:
            row, key = probe_names(items.text, sip_key=snapshot.sip_key, first_words=snapshot.first_words)
            yield _simple_probes(SelectorKind.NAME, row, key)
    if items.url is None:
        error[~identified & (error == 0)] = ItemError.NULL
        return
    found = probe_keys(items.url, sip_key=snapshot.sip_key, kinds=snapshot.url_kinds)
    status = found.status
    if items.url_optional:
        status = np.where((status == LocatorStatus.NULL) & identified, 0, status)
    np.copyto(error, status, where=error == 0, casting="unsafe")
    yield _Probes(found.row, found.kind, found.level, found.key, found.check)


def _simple_probes(kind: SelectorKind, row: I32, key: U64, check: U32 | None = None) -> _Probes:
    check = np.zeros(len(row), np.uint32) if check is None else check
    level = np.zeros(len(row), np.uint8)
    return _Probes(row.astype(np.int32), np.full(len(row), kind, np.uint8), level, key, check)


def _digest_probes(
    snapshot: Snapshot, kind: SelectorKind, column: pa.Array | pa.ChunkedArray, identified: Bools, error: U8
) -> _Probes:
    texts = _lower_text(column, kind)
    present = _present(texts)
    good = present & _is_hex(texts, _DIGEST_CHARS[kind])
    identified |= good
    error[present & ~good] = ItemError.DIGEST
    rows = np.flatnonzero(good).astype(np.int32)
    return _simple_probes(kind, rows, *digest_keys(texts.take(pa.array(rows)), snapshot.sip_key))


def _lower_text(column: pa.Array | pa.ChunkedArray, kind: SelectorKind) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_string(array.type):
        # Bytes that are not UTF-8 stay what they are: no hex digits.
        array = array.cast(pa.large_binary()).cast(pa.large_string(), safe=False)
    return pc.ascii_lower(array)


def _present(column: Any) -> Bools:
    return np.asarray(column.is_valid())


def _is_hex(texts: pa.Array, width: int) -> Bools:
    """Which texts consist of `width` lower-case hex digits."""
    good = np.asarray(pc.equal(pc.binary_length(texts), width).fill_null(False)).copy()
    rows = np.flatnonzero(good)
    if len(rows):
        right_length = texts.take(pa.array(rows))
        digits = np.frombuffer(right_length.buffers()[2], np.uint8)[: width * len(rows)].reshape(-1, width)
        good[rows] = _HEX[digits].all(axis=1)
    return good


def _search(snapshot: Snapshot, probes: _Probes, question: Question, at: int) -> Iterator[Matches]:
    """What the probes meet, kind by kind; within a kind in the order of the probes, whatever the segments."""
    for kind in LOCATOR_KINDS:
        found = [
            _meet(segment, number, kind, probes, question, at)
            for number, segment in enumerate(snapshot.segments)
            if kind in segment.tables and len(probes.key)
        ]
        met = [(probe, matches) for probe, matches in found if len(probe)]
        if len(met) == 1:
            yield met[0][1]
        elif met:
            order = np.argsort(np.concatenate([probe for probe, _ in met]), kind="stable")
            yield _concatenated([matches for _, matches in met], order)


def _meet(
    segment: Segment, number: int, kind: SelectorKind, probes: _Probes, question: Question, at: int
) -> tuple[U32, Matches]:
    """The probes of one kind that meet claims of one segment, and the matches they make."""
    table = segment.tables[kind]
    probe, entry = find(probes.kind, int(kind), probes.key, table)
    if not len(probe):
        return probe, _NOTHING
    exact = np.ones(len(probe), np.bool_)
    if table.check is not None:
        exact = table.check[entry] == probes.check[probe]
        if kind is not SelectorKind.URL:
            # Half a digest is no match; half a locator is a variant of it.
            probe, entry, exact = probe[exact], entry[exact], exact[exact]
    claim = table.claim[entry]
    owner, decision = _weigh(segment, claim, question, at)
    matches = Matches(
        row=probes.row[probe],
        kind=np.full(len(probe), kind, np.uint8),
        level=probes.level[probe],
        exact=exact,
        segment=np.full(len(probe), number, np.uint16),
        claim=claim,
        owner=owner,
        decision=decision,
        key=probes.key[probe],
    )
    return probe, matches


def _weigh(segment: Segment, claim: U32, question: Question, at: int) -> tuple[npt.NDArray[np.int64], U8]:
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


def _ordered(parts: list[Matches]) -> Matches:
    """The matches by row, within a row the most specific kind first."""
    if not parts:
        return _NOTHING
    return _concatenated(parts, np.argsort(np.concatenate([part.row for part in parts]), kind="stable"))


def _concatenated(parts: list[Matches], order: npt.NDArray[np.int64]) -> Matches:
    return Matches(*(np.concatenate(columns)[order] for columns in zip(*parts, strict=True)))


_NOTHING = Matches(*(np.empty(0, dtype) for dtype in ("i4", "u1", "u1", "?", "u2", "u4", "i8", "u1", "u8")))


def _joined(parts: list[Verdicts]) -> Verdicts:
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
