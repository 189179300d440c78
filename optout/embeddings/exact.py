"""Every claim against every item on a GPU: nothing is missed, and the cosines are those of `EmbeddingTable`.

The device multiplies in half precision and proposes what could reach the least cosine; the few pairs that it
proposes are decided by the same code as the search by CLIP codes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from optout.embeddings.kernel import pair_cosines
from optout.embeddings.table import EmbeddingTable, Found, check_queries, unit_queries
from optout.embeddings.torch_network import choose_device, import_torch

__all__ = ["ExactSearch"]

#: Rounding to float16 moves a cosine by 0.0005, for the query and for the product; the rest is room.
_SLACK = 0.004
_QUERIES = 1024
_CLAIMS = 2**18


class ExactSearch:
    """A table's vectors on a device.

    Args:
        table: the claims; its vectors take 2 D bytes each on the device.
        device: as torch names it; the GPU where there is one when left out.
    """

    def __init__(self, table: EmbeddingTable, *, device: str | None = None) -> None:
        self.torch, self.table = import_torch(), table
        self.device, _ = choose_device(device, None)
        # Copied: torch says so loudly when it is lent memory that may not be written.
        self.vectors = self.torch.from_numpy(table.vector.copy()).to(self.device)

    def search(self, vectors: npt.NDArray[np.floating], least: float) -> Found:
        """As `EmbeddingTable.search`, without a pair missed.

        Args:
            vectors: float16[m, D] or float32[m, D] of unit length, of the table's model.
            least: the least cosine, above 0.

        Raises:
            BadInput: a vector is not of unit length, or of another dimension (`bad_embeddings`).
        """
        check_queries(vectors, self.table.dimension)
        parts = [
            self._search(vectors[at : at + _QUERIES], at, least) for at in range(0, len(vectors), _QUERIES)
        ]
        nothing = Found(np.empty(0, np.int32), np.empty(0, np.uint32), np.empty(0, np.float32))
        return Found(*(np.concatenate(column) for column in zip(nothing, *parts, strict=True)))

    def _search(self, vectors: npt.NDArray[np.floating], first: int, least: float) -> Found:
        queries = unit_queries(vectors)
        row, entry = self._propose(queries, least - _SLACK)
        cosine = pair_cosines(self.table.vector.view(np.uint16), entry, queries, row)
        held = np.flatnonzero(cosine >= np.float32(least))
        order = held[np.lexsort((entry[held], row[held]))]
        return Found(
            row[order].astype(np.int32) + np.int32(first), entry[order].astype(np.uint32), cosine[order]
        )

    def _propose(self, queries: npt.NDArray[np.float32], least: float) -> Any:
        """int64[k] row, int64[k] entry: all pairs of at least that cosine, and some below."""
        pairs = []
        with self.torch.inference_mode():
            half = self.torch.from_numpy(queries).to(self.device).half()
            for start in range(0, len(self.vectors), _CLAIMS):
                products = half @ self.vectors[start : start + _CLAIMS].T
                found = (products >= least).nonzero()
                found[:, 1] += start
                pairs.append(found)
            together = self.torch.cat(pairs) if pairs else self.torch.empty((0, 2), dtype=self.torch.int64)
            return np.ascontiguousarray(together.cpu().numpy().T)
