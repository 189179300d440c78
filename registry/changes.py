"""What has changed since an event, read alike by the live overlay and by the builder of deltas."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from django.db import connection

from registry.stream import stream_claims

__all__ = ["Changes", "changes_after"]


@dataclass(frozen=True)
class Changes:
    """The claims that a run of events is about.

    Attributes:
        newest: id of the last of the events.
        claims: primary keys of the claims.
        outdated: 16-byte public ids of those that something older may hold in an earlier form.
    """

    newest: int
    claims: Sequence[int]
    outdated: Sequence[bytes]

    def tables(self) -> list[pa.Table]:
        """What the claims say now: tables of CLAIM_SCHEMA with those that still speak."""
        return list(stream_claims(self.claims))


def changes_after(checkpoint: int, *, most: int | None = None) -> Changes | None:
    """What the events after `checkpoint` changed, at most the next `most` events; None when there are none.

    Whatever happened to a claim that was registered before (amended, extended, withdrawn, held, released),
    its older form no longer counts, and what it says now, if it still speaks, is given anew.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH next AS (
                SELECT id, claim_id, type FROM registry_claimevent WHERE id > %s ORDER BY id LIMIT %s
            )
            SELECT next.claim_id, uuid_send(claim.public_id), bool_or(next.type = 'registered'), max(next.id)
            FROM next JOIN registry_claim AS claim ON claim.id = next.claim_id
            GROUP BY next.claim_id, claim.public_id
            """,
            [checkpoint, most],
        )
        rows = cursor.fetchall()
    if not rows:
        return None
    return Changes(
        newest=max(newest for *_, newest in rows),
        claims=[claim for claim, *_ in rows],
        outdated=[bytes(public_id) for _, public_id, is_new, _ in rows if not is_new],
    )
