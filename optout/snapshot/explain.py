"""Why a verdict is what it is: the claims that matched, and what of the item they matched."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
import pyarrow as pa

from optout import engine
from optout.errors import BadInput
from optout.locators import canonicalise, hash_strings, host_of, host_suffixes, origins, prefixes
from optout.names import tokens
from optout.snapshot.segment import EVER
from optout.words import CONTENT_KINDS, Decision, Outcome, SelectorKind

if TYPE_CHECKING:
    from optout.snapshot.reader import Snapshot
    from optout.snapshot.segment import Segment

__all__ = ["Reason", "check_items", "explain_rows"]

FIELDS = ("url", "text", "sha256", "md5")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reason(TypedDict):
    """One claim that counts for an item.

    Attributes:
        claim: the claim's id as a UUID.
        owner, ref, terms_url, title: as the claim states them; `ref` is "" where it has none.
        selector: label of the selector kind.
        matched: the locator, origin, prefix, domain, digest or name that met the claim.
        how: `canonical`, `variant`, `origin` or `origin-variant` for a locator; `prefix`, `domain`, `digest`,
            `name`; `origin` also for the prefix or domain of a wrapped locator.
        decision, grade, valid_from: of the claim; `valid_from` in ISO 8601, None for since ever.
        distance, threshold: 0 for selectors that match exactly.
        snapshot: digest of the snapshot that answered.
    """

    claim: str
    owner: str
    ref: str
    selector: str
    matched: str
    how: str
    decision: str
    grade: int
    valid_from: str | None
    terms_url: str
    title: str
    distance: int
    threshold: int
    snapshot: str


class _Match(NamedTuple):
    kind: SelectorKind
    level: int
    exact: bool
    key: int
    stated: tuple[Any, ...]


class _Texts:
    """What the rows asked about consist of, computed together because one row at a time costs a call each."""

    def __init__(self, items: engine.Items, rows: Sequence[int]) -> None:
        wanted = pa.array(rows, pa.int64())
        self._url = _taken(items.url, wanted, locators=True)
        self._text = _taken(items.text, wanted)
        self._digest = {
            SelectorKind.SHA256: _taken(items.sha256, wanted),
            SelectorKind.MD5: _taken(items.md5, wanted),
        }

    def candidates(self, at: int, match: _Match) -> list[str]:
        """The texts of the `at`th row whose hash may be the key that was found."""
        if match.kind in CONTENT_KINDS:
            return [self._digest[match.kind][at].lower()]
        if match.kind is SelectorKind.NAME:
            return list(_phrases(tokens(self._text[at])))
        locator = self._url[at] if match.level == 0 else origins(self._url[at])[match.level - 1]
        if match.kind is SelectorKind.PREFIX:
            return prefixes(locator)
        if match.kind is SelectorKind.DOMAIN:
            return host_suffixes(host_of(locator))
        return [locator]


def _taken(column: Any, rows: pa.Array, *, locators: bool = False) -> list[Any]:
    if column is None:
        return []
    taken = column.take(rows)
    if locators:
        taken = canonicalise(taken)[0]
    elif pa.types.is_dictionary(taken.type):
        taken = taken.cast(pa.large_string())
    values: list[Any] = taken.to_pylist()
    return values


def _phrases(words: Sequence[str]) -> Iterator[str]:
    for first in range(len(words)):
        for last in range(first + 1, min(first + 255, len(words)) + 1):
            yield " ".join(words[first:last])


def explain_rows(
    snapshot: Snapshot, items: engine.Items, verdicts: engine.Verdicts, rows: Sequence[int]
) -> list[list[Reason]]:
    """For each of `rows` the reasons: the match that decided first, then the others that count."""
    chosen = [_counting(snapshot, verdicts, row) for row in rows]
    texts = _Texts(items, rows)
    candidates = [[texts.candidates(at, match) for match in matches] for at, matches in enumerate(chosen)]
    matched = _find_texts(snapshot.sip_key, chosen, candidates)
    return [
        [_reason(snapshot, match, text) for match, text in zip(matches, found, strict=True)]
        for matches, found in zip(chosen, matched, strict=True)
    ]


def _counting(snapshot: Snapshot, verdicts: engine.Verdicts, row: int) -> list[_Match]:
    """The matches of a row that count, the best one for each claim and kind; the winner's claim first.

    A claim that two segments hold is one claim.
    """
    found = verdicts.matches
    start, end = (int(bound) for bound in np.searchsorted(found.row, [row, row + 1]))
    counting = {
        at: _Match(
            SelectorKind(int(found.kind[at])),
            int(found.level[at]),
            bool(found.exact[at]),
            int(found.key[at]),
            _stated(snapshot.segments, int(found.segment[at]), int(found.claim[at])),
        )
        for at in range(start, end)
        if found.decision[at]
    }
    winner = counting.get(int(verdicts.winner[row]))
    best: dict[tuple[Any, ...], _Match] = {}
    for match in sorted(counting.values(), key=lambda match: (match.kind, not match.exact, match.level)):
        best.setdefault((match.stated, match.kind), match)
    if winner is None:
        return list(best.values())
    return [best.pop((winner.stated, winner.kind)), *best.values()]


def _stated(segments: Sequence[Segment], number: int, claim: int) -> tuple[Any, ...]:
    """Id, owner, ref, decision, grade, valid_from, terms_url and title of a claim."""
    segment = segments[number]
    statements, statement = segment.statements, int(segment.statement[claim])
    return (
        segment.ids[claim].as_py(),
        _owner(segments, int(statements.owner[statement])),
        "" if segment.refs is None else segment.refs[claim].as_py(),
        int(statements.decision[statement]),
        int(statements.grade[statement]),
        int(statements.valid_from[statement]),
        statements.terms_url[statement].as_py(),
        statements.title[statement].as_py(),
    )


def _find_texts(
    sip_key: bytes, chosen: Sequence[Sequence[_Match]], candidates: Sequence[Sequence[Sequence[str]]]
) -> list[list[str]]:
    """Of each match's candidates the one whose hash was found; a single candidate needs no hash."""
    unsure = [text for row in candidates for texts in row if len(texts) > 1 for text in texts]
    hashes = iter(hash_strings(pa.array(unsure, pa.large_string()), sip_key).tolist())
    matched = []
    for matches, row in zip(chosen, candidates, strict=True):
        found = []
        for match, texts in zip(matches, row, strict=True):
            hashed = [next(hashes) for _ in texts] if len(texts) > 1 else [match.key]
            found.append(texts[hashed.index(match.key)])
        matched.append(found)
    return matched


def _reason(snapshot: Snapshot, match: _Match, matched: str) -> Reason:
    claim_id, owner, ref, decision, grade, valid_from, terms_url, title = match.stated
    return {
        "claim": str(uuid.UUID(bytes=claim_id)),
        "owner": owner,
        "ref": ref,
        "selector": match.kind.label,
        "matched": matched,
        "how": _how(match),
        "decision": Decision(decision).label,
        "grade": grade,
        "valid_from": None
        if valid_from == EVER
        else (_EPOCH + timedelta(microseconds=valid_from)).isoformat(),
        "terms_url": terms_url,
        "title": title,
        "distance": 0,
        "threshold": 0,
        "snapshot": snapshot.digest,
    }


def _how(match: _Match) -> str:
    if match.kind in CONTENT_KINDS:
        return "digest"
    if match.kind is SelectorKind.URL and match.level == 0:
        return "canonical" if match.exact else "variant"
    if match.level:
        return "origin" if match.exact else "origin-variant"
    return match.kind.label


def _owner(segments: Sequence[Segment], number: int) -> str:
    for segment in reversed(segments):
        if number >= segment.first_owner:
            name: str = segment.owners[number - segment.first_owner].as_py()
            return name
    raise AssertionError("the first segment's owners begin at 0")


def check_items(
    snapshot: Snapshot, items: Sequence[Mapping[str, Any]], question: engine.Question
) -> list[dict[str, Any]]:
    """Judge and explain single items; see `Snapshot.check`."""
    asked = _as_columns(items)
    verdicts = snapshot.judge(asked, question)
    rows = np.unique(verdicts.matches.row[verdicts.matches.decision > 0]).tolist()
    reasons = dict(zip(rows, explain_rows(snapshot, asked, verdicts, rows), strict=True)) if rows else {}
    apart = SelectorKind.NAME.label if question.names == "flag" else ""
    outcomes = [Outcome(number).label for number in range(len(Outcome))]
    return [
        {
            "outcome": outcomes[outcome],
            "error": engine.ItemError(error).label if error else None,
            "flags": [reason for reason in reasons.get(row, ()) if reason["selector"] == apart],
            "reasons": [reason for reason in reasons.get(row, ()) if reason["selector"] != apart],
        }
        for row, (outcome, error) in enumerate(
            zip(verdicts.outcome.tolist(), verdicts.error.tolist(), strict=True)
        )
    ]


def _as_columns(items: Sequence[Mapping[str, Any]]) -> engine.Items:
    for number, item in enumerate(items):
        for field, value in item.items():
            if field not in FIELDS:
                known = ", ".join(FIELDS)
                raise BadInput(
                    f"item {number} has an unknown field {field!r}; known: {known}", code="bad_item"
                )
            if value is not None and not isinstance(value, str):
                raise BadInput(f"item {number}: {field} is {type(value).__name__}, not text", code="bad_item")
    columns = {field: _text_column([item.get(field) for item in items]) for field in FIELDS}
    return engine.Items(len(items), **columns, url_optional=True)


def _text_column(values: Sequence[str | None]) -> pa.Array | None:
    if all(value is None for value in values):
        return None
    try:
        return pa.array(values, pa.large_string())
    except UnicodeEncodeError:
        # JSON can hold half of a surrogate pair: kept as bytes that are not UTF-8, and so the item's error.
        encoded = [None if value is None else value.encode("utf-8", "surrogatepass") for value in values]
        return pa.array(encoded, pa.large_binary())
