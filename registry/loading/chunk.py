"""One chunk of an import: one transaction, which may be repeated."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from django.db import connection
from django.utils import timezone

from optout.exchange import ClaimBatch, Rejected
from registry.loading import statements
from registry.loading.copying import copy_table
from registry.loading.guard import hold_flooding
from registry.loading.rows import Split, permitted, split
from registry.models import Claim, ClaimEvent, Import
from registry.services.events import Stated, canonical_json, event_payload, lock_events

__all__ = ["ChunkResult", "load_chunk"]

_REFUSALS = {
    "withdrawn": "The claim was withdrawn; register it anew under another ref.",
    "held": "An operator holds this claim; it cannot be changed until the case is closed.",
}
Selectors = dict[int, list[tuple[int, bytes]]]


class ChunkResult(NamedTuple):
    """What became of a chunk's rows: every row is good, unchanged or in `rejected`."""

    good: int
    unchanged: int
    created: int
    amended: int
    rejected: list[Rejected]


class _Outcome(NamedTuple):
    n: int
    id: int
    public_id: str
    fresh: bool
    amended: bool
    refused: str
    grade: int
    terms_url: str


def load_chunk(source: Import, batch: ClaimBatch) -> ChunkResult:
    """Load the rows of one batch; belongs in a transaction that also moves the import's position.

    Claims that are there already are left alone, extended by new selectors, or amended when they state
    something else; so a chunk that is loaded twice changes nothing the second time.

    Args:
        source: whose rows they are.
        batch: rows whose claims have one more column, `leads`: whether the row speaks for title and terms.
    """
    rows, proven, rejected = permitted(batch.claims, source.party)
    rejected = [*batch.rejected, *rejected]
    if not rows.num_rows:
        return ChunkResult(0, 0, 0, 0, sorted(rejected))
    parts = split(rows, proven, source.party)
    outcomes, added, refused = _write(source, parts)
    rejected += [Rejected(row, code, _REFUSALS[code], value) for row, code, value in refused]
    _write_events(source, parts.claims, outcomes, added)
    hold_flooding(source.party, parts.selectors, [outcome.id for outcome in outcomes], added)
    good = _good_rows(parts.selectors, outcomes, added)
    return ChunkResult(
        good=good,
        unchanged=rows.num_rows - good - len(refused),
        created=sum(outcome.fresh for outcome in outcomes),
        amended=sum(outcome.amended and not outcome.refused for outcome in outcomes),
        rejected=sorted(rejected),
    )


def _write(source: Import, parts: Split) -> tuple[list[_Outcome], Selectors, list[tuple[int, str, str]]]:
    """Fill the tables; what became of each claim, its new selectors, the refused rows."""
    names = {"party": source.party_id, "import": source.pk}
    with connection.cursor() as cursor:
        cursor.execute(statements.TABLES)
        copy_table(parts.claims, "incoming_claim")
        copy_table(parts.selectors, "incoming_selector")
        cursor.execute("ANALYZE incoming_claim (n, id, owner, ref, content_key), incoming_selector (n)")
        created = 0
        for statement in (statements.CREATE_BY_REF, statements.CREATE_BY_CONTENT):
            cursor.execute(statement, names)
            created += cursor.rowcount
        refused: list[tuple[int, str, str]] = []
        if created < parts.claims.num_rows:
            for statement in (statements.MARK_EXISTING, statements.FIND_BY_REF, statements.FIND_BY_CONTENT):
                cursor.execute(statement, names)
            cursor.execute(statements.REFUSE)
            cursor.execute(statements.REFUSED_ROWS)
            refused = cursor.fetchall()
            cursor.execute(statements.AMEND)
        cursor.execute(statements.ADD_SELECTORS)
        added: Selectors = defaultdict(list)
        for claim, kind, digest in cursor.fetchall():
            added[claim].append((kind, digest))
        cursor.execute(statements.OUTCOMES)
        return [_Outcome(*row) for row in cursor.fetchall()], added, refused


def _good_rows(selectors: pa.Table, outcomes: list[_Outcome], added: Selectors) -> int:
    """Rows that changed something: new selectors, and every row of a claim that was amended."""
    rows = np.bincount(selectors["n"].to_numpy(), minlength=len(outcomes))
    return sum(
        int(rows[outcome.n]) if outcome.amended else len(added.get(outcome.id, ()))
        for outcome in outcomes
        if not outcome.refused
    )


def _write_events(source: Import, claims: pa.Table, outcomes: Iterable[_Outcome], added: Selectors) -> None:
    now = timezone.now()
    columns = {name: claims[name].to_pylist() for name in ("decision", "uses", "valid_from")}
    party = str(source.party.public_id)
    events: dict[str, list[Any]] = {"claim_id": [], "type": [], "payload": [], "digest": []}
    for outcome in outcomes:
        kind = _event_type(outcome, bool(added.get(outcome.id)))
        if kind is None:
            continue
        stated = Stated(
            claim=outcome.public_id,
            party=party,
            grade=outcome.grade,
            terms_url=outcome.terms_url,
            status=Claim.Status.ACTIVE,
            **{name: values[outcome.n] for name, values in columns.items()},
        )
        payload = canonical_json(event_payload(stated, kind, at=now, selectors=added.get(outcome.id, ())))
        events["claim_id"].append(outcome.id)
        events["type"].append(kind)
        events["payload"].append(payload.decode())
        events["digest"].append("\\x" + hashlib.sha256(payload).hexdigest())
    if events["type"]:
        _append(source, events, now)


def _event_type(outcome: _Outcome, has_new_selectors: bool) -> str | None:
    if outcome.refused:
        return None
    if outcome.fresh:
        return ClaimEvent.Type.REGISTERED.value
    if outcome.amended:
        return ClaimEvent.Type.AMENDED.value
    return ClaimEvent.Type.EXTENDED.value if has_new_selectors else None


def _append(source: Import, events: dict[str, list[Any]], now: datetime) -> None:
    count = len(events["type"])
    table = pa.table(
        {
            **events,
            "party_id": pa.repeat(source.party_id, count),
            "user_id": pa.repeat(pa.scalar(source.user_id, pa.int64()), count),
            "key_id": pa.repeat(pa.scalar(source.key_id, pa.int64()), count),
            "application": pa.repeat(source.application, count),
            "request_id": pa.repeat(source.request_id, count),
            "created_at": pa.repeat(pa.scalar(now, pa.timestamp("us", tz="UTC")), count),
        }
    )
    lock_events()
    copy_table(table, "registry_claimevent")
