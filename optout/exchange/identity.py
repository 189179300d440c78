"""Which rows belong to one claim, and whether they agree with each other."""

from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Ledger", "claim_ids"]

ID_BYTES = 16
_STATED = ("decision", "uses", "valid_from")
_NO_DATE = np.iinfo(np.int64).min


def claim_ids(claims: pa.Table) -> pa.FixedSizeBinaryArray:
    """16-byte ids: rows of one owner with the same ref, or else with the same statement, are one claim."""
    encoded = _identities(claims).dictionary_encode()
    texts = encoded.dictionary.cast(pa.large_binary()).to_pylist()
    digests = b"".join([sha256(b"optout-claim\0" + text).digest()[:ID_BYTES] for text in texts])
    ids = pa.Array.from_buffers(pa.binary(ID_BYTES), len(texts), [None, pa.py_buffer(digests)])
    return ids.take(encoded.indices)


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
    """Remembers what each claim with a ref stated first, so that no later row of a source contradicts it.

    A hash table of 32 bytes a claim, at most two thirds full: ten million claims take half a GB.
    """

    def __init__(self) -> None:
        self._size = 0
        self._ids = np.zeros((1024, 2), np.uint64)
        self._stated = np.zeros((1024, 2), np.int64)

    def contradictions(self, claims: pa.Table) -> npt.NDArray[np.bool_]:
        """bool[n]: which rows state a decision, uses or date other than the first row of their claim."""
        contradicts = np.zeros(claims.num_rows, bool)
        named = np.flatnonzero(pc.not_equal(claims["ref"], "").to_numpy())
        if len(named):
            from optout.exchange.table import compare, grow

            rows = claims.select(["claim_id", *_STATED]).take(pa.array(named))
            id_bytes = rows["claim_id"].combine_chunks().buffers()[1]
            ids = np.frombuffer(id_bytes, np.uint64, 2 * len(named)).reshape(-1, 2)
            self._ids, self._stated = grow(self._ids, self._stated, self._size + len(ids))
            contradicts[named], added = compare(self._ids, self._stated, ids, _statements(rows))
            self._size += added
        return contradicts


def _statements(rows: pa.Table) -> npt.NDArray[np.int64]:
    """int64[n, 2]: decision and uses in one number (never 0), and the date in microseconds."""
    decision, uses = (rows[name].to_numpy().astype(np.int64) for name in ("decision", "uses"))
    dates = rows["valid_from"].cast(pa.int64()).fill_null(_NO_DATE).to_numpy()
    return np.stack([decision << 8 | uses, dates], axis=1)
