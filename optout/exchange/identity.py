"""Which rows belong to one claim, and whether they agree with each other."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Ledger", "claim_ids"]

_STATED = ("decision", "uses", "valid_from")


def claim_ids(claims: pa.Table) -> pa.FixedSizeBinaryArray:
    """16-byte ids: rows of one owner with the same ref, or else with the same statement, are one claim."""
    identity = _identities(claims)
    encoded = identity.dictionary_encode()
    digests = [
        hashlib.sha256(b"optout-claim\0" + text).digest()[:16]
        for text in encoded.dictionary.cast(pa.large_binary()).to_pylist()
    ]
    return pa.array(digests, pa.binary(16)).take(encoded.indices)


def _identities(claims: pa.Table) -> pa.LargeStringArray:
    """The text whose digest names the claim; its parts are joined by NUL, which none of them contains."""
    owner, ref = claims["owner"], claims["ref"]
    nul = pa.scalar("\0", pa.large_string())
    named = pc.binary_join_element_wise(owner, pa.scalar("ref", pa.large_string()), ref, nul)
    stated = [claims[name].cast(pa.int64()).cast(pa.large_string()).fill_null("") for name in _STATED]
    stated += [claims["terms_url"], claims["title"]]
    unnamed = pc.binary_join_element_wise(owner, *stated, nul)
    return pc.if_else(pc.equal(ref, ""), unnamed, named).combine_chunks()


class Ledger:
    """Remembers what each claim of a source stated first, so that a later row cannot contradict it."""

    def __init__(self) -> None:
        self._stated: dict[bytes, tuple[object, ...]] = {}

    def contradictions(self, claims: pa.Table) -> np.ndarray:
        """bool[n]: which rows state a decision, uses or date other than the first row of their claim."""
        contradicts = np.zeros(claims.num_rows, bool)
        named = np.flatnonzero(pc.not_equal(claims["ref"], "").to_numpy())
        rows = claims.select(["claim_id", *_STATED]).take(pa.array(named))
        for at, (claim_id, *stated) in zip(named, zip(*rows.to_pydict().values(), strict=True), strict=True):
            contradicts[at] = self._stated.setdefault(claim_id, tuple(stated)) != tuple(stated)
        return contradicts
