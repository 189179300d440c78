"""The flood guard over the rows of one chunk."""

import pyarrow as pa
import pyarrow.compute as pc

from optout.words import SelectorKind
from registry.models import Claim, Party
from registry.services import flood
from registry.services.claims import hold_for_flood

__all__ = ["hold_flooding"]

_GUARDED = pa.array([int(kind) for kind in flood.GUARDED], pa.uint8())


def hold_flooding(
    party: Party, selectors: pa.Table, claims: list[int], added: dict[int, list[tuple[int, bytes]]]
) -> None:
    """Hold the claims whose new hashes match too many unrelated pictures; belongs in the chunk's transaction.

    Args:
        party: who sent the chunk.
        selectors: of the chunk, as `rows.Split` has them.
        claims: primary key of each claim, by its number in the chunk.
        added: kind and digest of the selectors that are new, by claim.
    """
    rows = selectors.filter(pc.is_in(selectors["kind"], _GUARDED))
    fresh = [
        (claims[n], (SelectorKind(kind), value))
        for n, kind, digest, value in zip(
            *(rows[name].to_pylist() for name in ("n", "kind", "digest", "value")), strict=True
        )
        if (kind, bytes.fromhex(digest)) in added.get(claims[n], ())
    ]
    reasons: dict[int, str] = {}
    for at, reason in flood.reasons([pair for _, pair in fresh], party):
        reasons.setdefault(fresh[at][0], reason)
    for claim in Claim.objects.select_for_update().filter(pk__in=reasons).order_by("pk"):
        hold_for_flood(claim, reasons[claim.pk])
