"""Layers of newer claims over a snapshot, merged so that each addition costs little."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from optout.exchange import CLAIM_SCHEMA
from optout.snapshot import Snapshot

__all__ = ["Layer", "stack"]


@dataclass(frozen=True)
class Layer:
    """Claims laid over everything below.

    Attributes:
        claims: table of CLAIM_SCHEMA.
        changed: 16-byte ids of claims that something below may hold in an older form.
        snapshot: everything below and this.
    """

    claims: pa.Table
    changed: frozenset[bytes]
    snapshot: Snapshot

    @property
    def weight(self) -> int:
        return int(self.claims.num_rows) + len(self.changed)


def stack(base: Snapshot, layers: list[Layer], tables: Sequence[pa.Table], changed: Sequence[bytes]) -> None:
    """Lay new claims and changes on top of `layers`, in place.

    A layer that is less than twice as heavy as what comes over it is merged into it, so there are about log n
    layers, and each row is handled about log n times.
    """
    claims = pa.concat_tables(tables) if tables else CLAIM_SCHEMA.empty_table()
    gone = frozenset(changed)
    while layers and layers[-1].weight < 2 * (claims.num_rows + len(gone)):
        below = layers.pop()
        claims = pa.concat_tables([_without(below.claims, gone), claims])
        gone |= below.changed
    under = layers[-1].snapshot if layers else base
    layers.append(Layer(claims, gone, under.with_overlay(claims.combine_chunks(), sorted(gone))))


def _without(claims: pa.Table, ids: frozenset[bytes]) -> pa.Table:
    if not ids:
        return claims
    gone = pc.is_in(claims["claim_id"], pa.array(sorted(ids), pa.binary(16)))
    return claims.filter(pc.invert(gone))
