"""The table of one model's claimed embeddings: arrays that can be mapped from files, and the search in them.

The search is approximate and says by how much: a claim at the least cosine or above it is found with the
probability RECALL at least, whatever the embeddings look like, since the codes' planes are drawn at random.
docs/adr/0008-embeddings.md has what was measured.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.embeddings.kernel import FIRST_WORDS, SECOND_WORDS, search_codes
from optout.embeddings.radius import greatest_angles, radii
from optout.embeddings.rotation import clip_codes
from optout.embeddings.value import check_vectors
from optout.errors import BadInput, DoesNotHold

__all__ = ["RECALL", "EmbeddingTable", "Found", "check_queries", "make_embedding_table", "unit_queries"]

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

#: Of pairs right at the least cosine asked for, the share that is found; of closer ones more are.
RECALL = 0.998

_CHUNK = 2048
_LOOKS = 3


class Found(NamedTuple):
    """Pairs of items and claims, ordered by row, then entry.

    Attributes:
        row: int32[k], the item.
        entry: uint32[k], the row of the table.
        cosine: float32[k].
    """

    row: npt.NDArray[np.int32]
    entry: U32
    cosine: F32


def make_embedding_table(
    vectors: npt.NDArray[np.floating], claim: U32, centre: F32 | None = None
) -> dict[str, npt.NDArray[Any]]:
    """The columns of a table; the same for the same claims in whatever order they come.

    Args:
        vectors: float16[n, D] of unit length.
        claim: uint32[n], the claim of each.
        centre: float32[D] subtracted before codes are made; the mean of the vectors when left out.

    Returns:
        `claim` uint32[n]; `code` uint64[max(4, D / 64), n], word by word; `vector` float16[n, D], scaled to
        unit length; `centre` float32[D]; `norm` float32[2], lengths of the shortest and the longest centred
        vector. Everything is C order and may be stored flat.

    Raises:
        BadInput: the vectors are not of unit length, or not as many as claims (`bad_embeddings`).
    """
    _check_all(vectors, "the claimed embeddings")
    if len(vectors) != len(claim):
        raise BadInput(f"{len(vectors)} embeddings for {len(claim)} claims", code="bad_embeddings")
    unit = _unit_length(vectors)
    centre = _mean(unit) if centre is None else centre.astype(np.float32)
    codes = clip_codes(unit, centre)
    order = np.lexsort((_digests(unit), *codes.T[1::-1], claim))
    unit, codes = unit[order], codes[order]
    norms = [length for part in _chunks(unit) for length in _extremes(_lengths(part - centre))]
    # Rounded outwards: a claim just outside would be looked for at too small an angle.
    norm = np.array([min(norms, default=0) * (1 - 1e-6), max(norms, default=0) * (1 + 1e-6)], np.float32)
    padding = max(SECOND_WORDS - codes.shape[1], 0)
    return {
        "claim": claim[order].astype(np.uint32),
        "code": np.ascontiguousarray(np.pad(codes, ((0, 0), (0, padding))).T),
        "vector": unit,
        "centre": centre,
        "norm": norm,
    }


@dataclass(frozen=True)
class EmbeddingTable:
    """Claimed embeddings of one model.

    Attributes:
        claim: uint32[n].
        code: uint64[W, n].
        vector: float16[n, D].
        centre: float32[D].
        norm: float32[2].
    """

    claim: U32
    code: U64
    vector: F16
    centre: F32
    norm: F32

    @classmethod
    def from_columns(cls, columns: Mapping[str, npt.NDArray[Any]]) -> "EmbeddingTable":
        """The table of the columns of `make_embedding_table`, flat or not, float16 also as uint16.

        Raises:
            DoesNotHold: the columns do not fit each other (`bad_file`).
        """
        claim, centre = columns["claim"], columns["centre"]
        words = max(SECOND_WORDS, len(centre) // 64)
        vector = columns["vector"].view(np.float16)
        if (
            columns["code"].size != words * len(claim)
            or vector.size != len(centre) * len(claim)
            or len(columns["norm"]) != 2
        ):
            raise DoesNotHold("the columns of an embedding table do not fit each other", code="bad_file")
        return cls(
            _read_only(claim),
            _read_only(columns["code"].reshape(words, len(claim))),
            _read_only(vector.reshape(len(claim), len(centre))),
            centre,
            columns["norm"],
        )

    @property
    def dimension(self) -> int:
        return len(self.centre)

    def search(self, vectors: npt.NDArray[np.floating], least: float) -> Found:
        """The claims whose cosine with an item's embedding is at least `least`.

        Args:
            vectors: float16[m, D] or float32[m, D] of unit length, of the table's model.
            least: the least cosine, above 0; that of the weakest tier wanted.

        Raises:
            BadInput: a vector is not of unit length, or of another dimension (`bad_embeddings`).
        """
        check_queries(vectors, self.dimension)
        parts = [
            self._search_chunk(vectors[at : at + _CHUNK], at, least) for at in range(0, len(vectors), _CHUNK)
        ]
        nothing = Found(np.empty(0, np.int32), np.empty(0, np.uint32), np.empty(0, np.float32))
        return Found(*(np.concatenate(column) for column in zip(nothing, *parts, strict=True)))

    def _search_chunk(self, vectors: npt.NDArray[np.floating], first: int, least: float) -> Found:
        queries = unit_queries(vectors)
        codes = np.zeros((len(queries), len(self.code)), np.uint64)
        codes[:, : self.dimension // 64] = clip_codes(queries, self.centre)
        row, entry, cosine = search_codes(
            self.code,
            self.vector.view(np.uint16),
            queries,
            codes,
            self._limits(queries, least),
            np.float32(least),
        )
        order = np.lexsort((entry, row))
        return Found(row[order] + np.int32(first), entry[order], cosine[order])

    def _limits(self, queries: npt.NDArray[np.floating], least: float) -> U64:
        shortest, longest = (float(length) for length in self.norm)
        angles = greatest_angles(least, _lengths(queries - self.centre), shortest, longest)
        miss = (1 - RECALL) / _LOOKS
        looked_at = (FIRST_WORDS * 64, SECOND_WORDS * 64, self.dimension)
        return np.stack(
            [radii(min(bits, self.dimension), angles, miss) for bits in looked_at], axis=1
        ).astype(np.uint64)


def check_queries(vectors: npt.NDArray[np.floating], dimension: int) -> None:
    """Refuse what a table of that dimension cannot be asked.

    Raises:
        BadInput: a vector is not of unit length, or of another dimension (`bad_embeddings`).
    """
    if vectors.ndim == 2 and vectors.shape[1] != dimension:
        raise BadInput(
            f"embeddings of {vectors.shape[1]} dimensions cannot be compared with a model's of {dimension}",
            code="bad_embeddings",
        )
    _check_all(vectors, "the embeddings asked about")


def unit_queries(vectors: npt.NDArray[np.floating]) -> F32:
    """float32 of unit length, as every search compares them."""
    return np.asarray(vectors.astype(np.float64) / _lengths(vectors)[:, None], np.float32)


def _check_all(vectors: npt.NDArray[np.floating], name: str) -> None:
    usable = check_vectors(vectors, name)
    if not usable.all():
        raise BadInput(
            f"{name}: row {int(np.argmin(usable))} is not finite or not of unit length", code="bad_embeddings"
        )


def _chunks(vectors: npt.NDArray[np.floating]) -> Iterator[F64]:
    for start in range(0, len(vectors), _CHUNK):
        yield vectors[start : start + _CHUNK].astype(np.float64)


def _lengths(vectors: npt.NDArray[np.floating]) -> F64:
    exact = vectors.astype(np.float64)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", exact, exact)))


def _unit_length(vectors: npt.NDArray[np.floating]) -> F16:
    """Scaled to unit length; squares of float16 add up without rounding, so every machine gets the same."""
    unit = np.empty(vectors.shape, np.float16)
    for at, part in enumerate(_chunks(vectors.astype(np.float16, copy=False))):
        unit[at * _CHUNK : (at + 1) * _CHUNK] = part / _lengths(part)[:, None]
    return unit


def _mean(unit: F16) -> F32:
    """Their mean, whatever the order: so few float16 add up in float64 without rounding."""
    total = np.zeros(unit.shape[1])
    for part in _chunks(unit):
        total += part.sum(axis=0)
    return (total / max(len(unit), 1)).astype(np.float32)


def _extremes(lengths: F64) -> tuple[float, float]:
    return float(lengths.min()), float(lengths.max())


def _digests(unit: F16) -> U64:
    """uint64[n] to tell apart different vectors of one claim whose codes begin alike."""
    words = unit.view("<u8")
    odd = np.random.default_rng(0).integers(0, 2**63, words.shape[1], dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    return np.asarray((words * odd).sum(axis=1, dtype=np.uint64))


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Not to be written, as mapped files are, so that one compiled search serves both."""
    view = values.view()
    view.flags.writeable = False
    return view
