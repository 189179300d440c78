"""Why a verdict is what it is: the claims that matched, and what of the item they matched."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
import pyarrow as pa

from optout import engine
from optout.engine.pictures import pdq_text
from optout.locators import canonicalise, hash_strings, host_of, host_suffixes, origins, prefixes
from optout.names import MAX_WORDS, tokens
from optout.probes import ORIENTATIONS, VIEWS
from optout.snapshot.pictures import PICTURE_KINDS
from optout.snapshot.segment import EVER
from optout.words import CONTENT_KINDS, Decision, SelectorKind

if TYPE_CHECKING:
    from optout.snapshot.reader import Snapshot
    from optout.snapshot.segment import Segment

__all__ = ["Reason", "explain_rows"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reason(TypedDict):
    """One claim that counts for an item.

    Attributes:
        claim: the claim's id as a UUID.
        owner, ref, terms_url, title: as the claim states them; `ref` is "" where it has none.
        selector: label of the selector kind.
        matched: the locator, origin, prefix, domain, digest, hash or name of the item that met the claim.
        how: `canonical`, `variant`, `origin` or `origin-variant` for a locator; `prefix`, `domain`, `digest`,
            `name`; `origin` also for the prefix or domain of a wrapped locator; for a picture the hash that
            `matched` and `distance` are about, `pdq` or `phash`; `embedding`, where `matched` is its model.
        decision, grade, valid_from: of the claim; `valid_from` in ISO 8601, None for since ever.
        tier: `match`, `probable` or `review`: how strong the evidence is.
        view: of a picture the claimed view that was met, `unknown` for a bare hash; None for other selectors.
        orientation: of a picture what was done to the item to look like the claim, else None.
        distance, threshold: bits that differ, and may in this tier; of embeddings 1 - cosine; 0 for
            selectors that match exactly.
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
    tier: str
    view: str | None
    orientation: str | None
    distance: float
    threshold: float
    snapshot: str


class _Stated(NamedTuple):
    """What a claim says, as a reason says it."""

    claim: str
    owner: str
    ref: str
    decision: str
    grade: int
    valid_from: str | None
    terms_url: str
    title: str


class _Match(NamedTuple):
    kind: SelectorKind
    level: int
    exact: bool
    key: int
    stated: _Stated
    tier: engine.Tier
    view: int
    orientation: int
    distance: float
    threshold: float


class _Texts:
    """What the rows asked about consist of, computed together because one row at a time costs a call each."""

    def __init__(self, items: engine.Items, rows: Sequence[int]) -> None:
        self._items, self._rows = items, rows
        urls = pa.array(_taken(items.url, rows), pa.large_binary())
        self._url: list[str] = canonicalise(urls)[0].to_pylist()
        self._text = _taken(items.text, rows)
        self._digest = {
            SelectorKind.SHA256: _taken(items.sha256, rows),
            SelectorKind.MD5: _taken(items.md5, rows),
        }

    def candidates(self, at: int, match: _Match) -> list[str]:
        """The texts of the `at`th row whose hash may be the key that was found."""
        if match.kind in PICTURE_KINDS:
            exact = match.exact
            return [pdq_text(self._items, self._rows[at], match.key) if exact else f"{match.key:016x}"]
        if match.kind is SelectorKind.CLIP:
            row = self._rows[at]
            return [held.model for held in self._items.embeddings if held.present[row]]
        if match.kind in CONTENT_KINDS:
            return [(self._digest[match.kind][at] or b"").decode().lower()]
        if match.kind is SelectorKind.NAME:
            return list(_phrases(tokens(self._text[at] or b"")))
        locator = self._url[at] if match.level == 0 else origins(self._url[at])[match.level - 1]
        if match.kind is SelectorKind.PREFIX:
            return prefixes(locator)
        if match.kind is SelectorKind.DOMAIN:
            return host_suffixes(host_of(locator))
        return [locator]


def _taken(column: Any, rows: Sequence[int]) -> list[bytes | None]:
    """The bytes of some rows of a text column of any layout, UTF-8 or not."""
    scalars = [] if column is None else [column[row] for row in rows]
    plain = [scalar.value if isinstance(scalar, pa.DictionaryScalar) else scalar for scalar in scalars]
    return [scalar.as_buffer().to_pybytes() if scalar.is_valid else None for scalar in plain]


def _phrases(words: Sequence[str]) -> Iterator[str]:
    for first in range(len(words)):
        for last in range(first + 1, min(first + MAX_WORDS, len(words)) + 1):
            yield " ".join(words[first:last])


def explain_rows(
    snapshot: Snapshot, items: engine.Items, verdicts: engine.Verdicts, rows: Sequence[int]
) -> list[list[Reason]]:
    """For each of `rows` the reasons: the match that decided first, then the others that count."""
    winners = verdicts.winner[list(rows)].tolist()
    chosen = [
        _best(counting, winner)
        for counting, winner in zip(_counting(snapshot, verdicts.matches, rows), winners, strict=True)
    ]
    texts = _Texts(items, rows)
    candidates = [[texts.candidates(at, match) for match in matches] for at, matches in enumerate(chosen)]
    matched = _find_texts(snapshot.sip_key, chosen, candidates)
    return [
        [_reason(snapshot, match, text) for match, text in zip(matches, found, strict=True)]
        for matches, found in zip(chosen, matched, strict=True)
    ]


def _counting(snapshot: Snapshot, found: engine.Matches, rows: Sequence[int]) -> Iterator[dict[int, _Match]]:
    """For each row the matches that count, by their index."""
    starts, ends = (np.searchsorted(found.row, list(rows), side=side).tolist() for side in ("left", "right"))
    kinds = {int(kind): kind for kind in SelectorKind}
    stated: dict[tuple[int, int], _Stated] = {}
    for start, end in zip(starts, ends, strict=True):
        part = engine.Matches(*(column[start:end].tolist() for column in found))
        counting = {}
        for at, counts in enumerate(part.decision):
            if counts:
                place = part.segment[at], part.claim[at]
                if place not in stated:
                    stated[place] = _stated(snapshot.segments, *place)
                counting[start + at] = _Match(
                    kinds[part.kind[at]],
                    part.level[at],
                    part.exact[at],
                    part.key[at],
                    stated[place],
                    engine.Tier(part.tier[at]),
                    part.view[at],
                    part.orientation[at],
                    part.distance[at],
                    part.threshold[at],
                )
        yield counting


def _best(counting: Mapping[int, _Match], winner: int) -> list[_Match]:
    """The best match for each claim and kind, the winner first; a claim in two segments is one claim."""
    best: dict[tuple[_Stated, SelectorKind], _Match] = {}
    for match in sorted(counting.values(), key=_weakness):
        best.setdefault((match.stated, match.kind), match)
    if winner < 0:
        return list(best.values())
    decided = counting[winner]
    return [best.pop((decided.stated, decided.kind)), *best.values()]


def _weakness(match: _Match) -> tuple[float, ...]:
    return (match.kind, not match.exact, match.level, match.tier, match.distance)


def _stated(segments: Sequence[Segment], number: int, claim: int) -> _Stated:
    segment = segments[number]
    statements, statement = segment.statements, int(segment.statement[claim])
    valid_from = int(statements.valid_from[statement])
    return _Stated(
        claim=str(uuid.UUID(bytes=segment.ids[claim].as_py())),
        owner=_owner(segments, int(statements.owner[statement])),
        ref="" if segment.refs is None else segment.refs[claim].as_py(),
        decision=Decision(int(statements.decision[statement])).label,
        grade=int(statements.grade[statement]),
        valid_from=None if valid_from == EVER else (_EPOCH + timedelta(microseconds=valid_from)).isoformat(),
        terms_url=statements.terms_url[statement].as_py(),
        title=statements.title[statement].as_py(),
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
    stated, pictured = match.stated, match.kind in PICTURE_KINDS
    return {
        "claim": stated.claim,
        "owner": stated.owner,
        "ref": stated.ref,
        "selector": match.kind.label,
        "matched": matched,
        "how": _how(match),
        "decision": stated.decision,
        "grade": stated.grade,
        "valid_from": stated.valid_from,
        "terms_url": stated.terms_url,
        "title": stated.title,
        "tier": match.tier.label,
        "view": VIEWS[match.view] if pictured else None,
        "orientation": ORIENTATIONS[match.orientation] if pictured else None,
        "distance": _measure(match.kind, match.distance),
        "threshold": _measure(match.kind, match.threshold),
        "snapshot": snapshot.digest,
    }


def _measure(kind: SelectorKind, distance: float) -> float:
    return round(distance, 4) if kind is SelectorKind.CLIP else int(distance)


def _how(match: _Match) -> str:
    if match.kind in PICTURE_KINDS:
        return "pdq" if match.exact else "phash"
    if match.kind is SelectorKind.CLIP:
        return "embedding"
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
