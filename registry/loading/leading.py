"""Which row of a file speaks for a claim's title and terms."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout.exchange.table import compare, grow
from optout.locators import hash_strings

__all__ = ["Leading"]

_KEY = b"optout-wording\0\0"


class Leading:
    """Remembers with which title and terms a file first names each claim that has a ref.

    Rows of one claim may be titled differently, one work each; were every one of them an amendment, sending a
    file again would never come to rest. So the first row speaks, and so do those that say the same. 32 bytes
    a claim, as in the exchange format's ledger.
    """

    def __init__(self) -> None:
        self._size = 0
        self._ids = np.zeros((1024, 2), np.uint64)
        self._wordings = np.zeros((1024, 2), np.int64)

    def rows(self, claims: pa.Table) -> npt.NDArray[np.bool_]:
        """bool[n]: which rows have the title and terms of their claim's first row in this file.

        Args:
            claims: the next rows, a table of CLAIM_SCHEMA.
        """
        held = claims["claim_id"].combine_chunks()
        numbers = np.frombuffer(held.buffers()[1], np.uint64)
        ids = numbers.reshape(-1, 2)[held.offset :][: claims.num_rows]
        self._ids, self._wordings = grow(self._ids, self._wordings, self._size + len(ids))
        differs, added = compare(self._ids, self._wordings, ids, _wordings(claims))
        self._size += added
        leads: npt.NDArray[np.bool_] = ~differs
        return leads


def _wordings(claims: pa.Table) -> npt.NDArray[np.int64]:
    """int64[n, 2]: a hash of terms and title that is never 0, and 0."""
    text = pc.binary_join_element_wise(
        claims["terms_url"], claims["title"], pa.scalar("\0", pa.large_string())
    )
    hashes = hash_strings(text, _KEY) | np.uint64(1)
    return np.stack([hashes.view(np.int64), np.zeros(len(hashes), np.int64)], axis=1)
