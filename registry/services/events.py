"""Writing claim events, in one order for everybody."""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.db import OperationalError, connection
from django.utils import timezone
from psycopg.errors import DeadlockDetected, LockNotAvailable

from registry.errors import Conflict
from registry.models import ApiKey, Claim, ClaimEvent, Party, Selector, User

__all__ = [
    "EVENT_LOCK",
    "Stated",
    "canonical_json",
    "event_payload",
    "lock_events",
    "record_event",
    "selectors_sha256",
    "waits",
]

EVENT_LOCK = 0x6F70746F7574  # "optout" in ASCII


@contextmanager
def waits() -> Iterator[None]:
    """Turn a lock that was not had in time into an answer the caller can act on.

    Raises:
        Conflict: code `busy`, with `retry_after`.
    """
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
            raise Conflict("Somebody else is changing the same thing.", code="busy", retry_after=1) from error
        raise


def lock_events() -> None:
    """Wait for the turn to write events; the turn lasts until the transaction ends.

    Ids are drawn and committed under one lock, so that whoever has read up to an id never finds a smaller one
    later. Take it last, right before inserting.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [EVENT_LOCK])


def canonical_json(payload: Mapping[str, Any]) -> bytes:
    """The one serialisation of a payload (sorted keys, no spaces, UTF-8): what event digests are taken of."""
    return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)


def selectors_sha256(selectors: Iterable[tuple[int, bytes]]) -> str:
    """One digest (hex) for a set of selectors given as (kind, 16 bytes of digest), whatever their order."""
    return hashlib.sha256(b"".join(bytes([kind]) + digest for kind, digest in sorted(selectors))).hexdigest()


class Stated(NamedTuple):
    """What a claim says at the moment of an event, as far as events tell it."""

    claim: str
    party: str
    decision: int
    uses: int
    grade: int
    status: str
    valid_from: datetime | None
    terms_url: str

    @classmethod
    def by(cls, claim: Claim) -> "Stated":
        return cls(
            claim=str(claim.public_id),
            party=str(claim.party.public_id),
            decision=claim.decision,
            uses=claim.uses,
            grade=claim.grade,
            status=claim.status,
            valid_from=claim.valid_from,
            terms_url=claim.terms_url,
        )


def event_payload(
    stated: Stated, kind: str, *, at: datetime, selectors: Collection[tuple[int, bytes]] = ()
) -> dict[str, Any]:
    """What an event says: numbers, identifiers and digests, nothing personal.

    The nonce keeps a published digest of the payload from confirming a guess of its content.
    """
    return {
        "version": 1,
        "type": kind,
        "claim": stated.claim,
        "party": stated.party,
        "decision": stated.decision,
        "uses": stated.uses,
        "grade": stated.grade,
        "status": stated.status,
        "valid_from": stated.valid_from.isoformat() if stated.valid_from else None,
        "terms_sha256": hashlib.sha256(stated.terms_url.encode()).hexdigest() if stated.terms_url else None,
        "selectors": len(selectors),
        "selectors_sha256": selectors_sha256(selectors) if selectors else None,
        "at": at.isoformat(),
        "nonce": secrets.token_hex(16),
    }


def record_event(
    claim: Claim,
    kind: ClaimEvent.Type,
    *,
    party: Party | None = None,
    user: User | None = None,
    key: ApiKey | None = None,
    application: str = "",
    request_id: str = "",
    selectors: Iterable[Selector] = (),
) -> ClaimEvent:
    """Append one event about `claim`; belongs in the transaction of the change."""
    now = timezone.now()
    pairs = [(selector.kind, selector.digest.bytes) for selector in selectors]
    payload = event_payload(Stated.by(claim), kind.value, at=now, selectors=pairs)
    lock_events()
    return ClaimEvent.objects.create(
        claim=claim,
        type=kind,
        party=party,
        user=user,
        key=key,
        application=application[:64],
        request_id=request_id[:64],
        payload=payload,
        digest=hashlib.sha256(canonical_json(payload)).digest(),
        created_at=now,
    )
