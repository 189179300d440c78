"""A bounded view of claims' selectors: an imported claim may have millions."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from optout.words import SelectorKind
from registry.models import Claim, Selector

__all__ = ["ShownSelectors", "shown_selectors"]


@dataclass(frozen=True)
class ShownSelectors:
    """The first selectors of a claim in the table's order.

    Attributes:
        pairs: kind and canonical value.
        count: how many the claim has in all.
    """

    pairs: Sequence[tuple[SelectorKind, str]]
    count: int


def shown_selectors(claims: Sequence[Claim], *, most: int) -> dict[int, ShownSelectors]:
    """For each claim, by primary key, at most `most` of its selectors; reads no more than that.

    Only claims that have more are counted.
    """
    pairs: dict[int, list[tuple[SelectorKind, str]]] = {claim.pk: [] for claim in claims}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT claim, kind, value
            FROM unnest(%s::bigint[]) AS claim CROSS JOIN LATERAL (
                SELECT kind, digest, value FROM registry_selector
                WHERE claim_id = claim ORDER BY kind, digest LIMIT %s
            ) AS first
            ORDER BY claim, kind, digest
            """,
            [list(pairs), most + 1],
        )
        for claim, kind, value in cursor:
            pairs[claim].append((SelectorKind(kind), value))
    return {claim: ShownSelectors(found[:most], _count(claim, found, most)) for claim, found in pairs.items()}


def _count(claim: int, found: Sequence[object], most: int) -> int:
    return len(found) if len(found) <= most else Selector.objects.filter(claim_id=claim).count()
