"""Looking up what identifies an item exactly: locators, digests and names, by keyed hash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.engine.items import ItemError, Items, Question
from optout.engine.matches import NOTHING, Matches, certain, concatenated
from optout.engine.texts import is_hex, lower_text, present
from optout.engine.weighing import weigh
from optout.locators import LocatorStatus, probe_keys
from optout.names import probe_names
from optout.snapshot.segment import LOCATOR_KINDS, Segment
from optout.snapshot.selectors import digest_keys
from optout.snapshot.tables import find
from optout.words import SelectorKind

if TYPE_CHECKING:
    from optout.snapshot.reader import Snapshot

__all__ = ["exact_matches"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

_DIGEST_CHARS = {SelectorKind.SHA256: 64, SelectorKind.MD5: 32}


class _Probes(NamedTuple):
    row: I32
    kind: U8
    level: U8
    key: U64
    check: U32


def exact_matches(
    snapshot: Snapshot, items: Items, question: Question, at: int, identified: Bools, error: U8
) -> Iterator[Matches]:
    """What locators, digests and names meet.

    Args:
        snapshot: what is asked.
        items: n items.
        question: what is asked about them.
        at: the time asked about, in microseconds since 1970.
        identified: bool[n], set for items that have an identifier of some kind.
        error: uint8[n] of `ItemError`, where it is noted which items cannot be judged.
    """
    for probes in _probes(snapshot, items, question, identified, error):
        yield from _search(snapshot, probes, question, at)


def _probes(
    snapshot: Snapshot, items: Items, question: Question, identified: Bools, error: U8
) -> Iterator[_Probes]:
    """All keys to look up; the locators last, which an item may lack if it has another identifier."""
    for kind, column in (
        (SelectorKind.SHA256, items.sha256),
        (SelectorKind.SHA256, items.own_sha256),
        (SelectorKind.MD5, items.md5),
        (SelectorKind.MD5, items.own_md5),
    ):
        if column is not None:
            yield _digest_probes(snapshot, kind, column, identified, error)
    if items.text is not None and question.names != "ignore":
        identified |= present(items.text)
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
    texts = lower_text(column)
    given = present(texts)
    good = given & is_hex(texts, _DIGEST_CHARS[kind])
    identified |= good
    error[given & ~good] = ItemError.DIGEST
    rows = np.flatnonzero(good).astype(np.int32)
    return _simple_probes(kind, rows, *digest_keys(texts.take(pa.array(rows)), snapshot.sip_key))


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
            yield concatenated([matches for _, matches in met], order)


def _meet(
    segment: Segment, number: int, kind: SelectorKind, probes: _Probes, question: Question, at: int
) -> tuple[U32, Matches]:
    """The probes of one kind that meet claims of one segment, and the matches they make."""
    table = segment.tables[kind]
    probe, entry = find(probes.kind, int(kind), probes.key, table)
    if not len(probe):
        return probe, NOTHING
    exact = np.ones(len(probe), np.bool_)
    if table.check is not None:
        exact = table.check[entry] == probes.check[probe]
        if kind is not SelectorKind.URL:
            # Half a digest is no match; half a locator is a variant of it.
            probe, entry, exact = probe[exact], entry[exact], exact[exact]
    claim = table.claim[entry]
    owner, decision = weigh(segment, claim, question, at)
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
        **certain(len(probe)),
    )
    return probe, matches
