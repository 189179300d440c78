"""Embedding tables of a segment: claimed embeddings, one table for each model they come from.

Models are told apart by a digest of their id and dimension: an id cannot be part of a file's name, and a
claim that misstates its model must not get in the way of others.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.embeddings.identity import Thresholds, default_thresholds
from optout.embeddings.rotation import clip_codes
from optout.embeddings.table import EmbeddingTable, make_embedding_table
from optout.embeddings.value import check_vectors, parse_embedding
from optout.errors import BadInput, DoesNotHold, InvalidSelector
from optout.probes import Embeddings

__all__ = [
    "MOST_MODELS",
    "EmbeddingCollector",
    "embedding_faults",
    "embedding_schema",
    "embedding_tables",
    "is_embeddings",
    "model_digest",
    "model_records",
    "read_embeddings",
    "thresholds_of",
]

U32 = npt.NDArray[np.uint32]
F16 = npt.NDArray[np.float16]

#: By how many models the items of one question may have embeddings.
MOST_MODELS = 8

_STEM = re.compile(r"clip\.[0-9a-f]{16}")
#: The schema of each file of a model, by what follows `clip.<digest>` in its name.
_PARTS = {
    "": pa.schema({"claim": pa.uint32()}),
    ".codes": pa.schema({"code": pa.uint64()}),
    ".vectors": pa.schema({"vector": pa.uint16()}),
    ".centre": pa.schema({"centre": pa.float32()}),
    ".norm": pa.schema({"norm": pa.float32()}),
}


def model_digest(model: str, dimension: int) -> str:
    """What stands for a model in the names of files: 16 hexadecimal digits."""
    return hashlib.sha256(f"{model} {dimension}".encode()).hexdigest()[:16]


def is_embeddings(stem: str) -> bool:
    """Whether a file, by its name without `.arrow`, lists the claims of a model's embeddings."""
    return _STEM.fullmatch(stem) is not None


def embedding_schema(stem: str) -> pa.Schema | None:
    """The schema of a file of embeddings, by its name without `.arrow`; None for another file."""
    match = _STEM.match(stem)
    return _PARTS.get(stem[match.end() :]) if match else None


class EmbeddingCollector:
    """Gathers `clip` selectors batch by batch."""

    def __init__(self) -> None:
        self.models: set[str] = set()
        self._claims: dict[str, list[int]] = {}
        self._vectors: dict[str, list[F16]] = {}

    def add(self, texts: pa.Array, claim: U32) -> None:
        """Take in the canonical values of selectors, and the claim of each.

        Raises:
            BadInput: a value is no embedding (`bad_claims`).
        """
        for text, number in zip(texts.to_pylist(), claim.tolist(), strict=True):
            try:
                model, vector = parse_embedding(text)
            except InvalidSelector as error:
                raise BadInput(f"{text[:100]!r} is not an embedding: {error}", code="bad_claims") from None
            self.models.add(model)
            digest = model_digest(model, len(vector))
            self._vectors.setdefault(digest, []).append(vector)
            self._claims.setdefault(digest, []).append(number)

    def finish(self, final: U32) -> dict[str, Mapping[str, Any]]:
        """The files, with provisional claim numbers replaced by `final[provisional]`."""
        files: dict[str, Mapping[str, Any]] = {}
        for digest in sorted(self._vectors):
            vectors, claim = np.stack(self._vectors[digest]), final[self._claims[digest]]
            columns = make_embedding_table(*_distinct(vectors, claim))
            stem = f"clip.{digest}"
            files[stem] = {"claim": columns["claim"]}
            files[f"{stem}.codes"] = {"code": columns["code"].reshape(-1)}
            files[f"{stem}.vectors"] = {"vector": columns["vector"].view(np.uint16).reshape(-1)}
            files[f"{stem}.centre"] = {"centre": columns["centre"]}
            files[f"{stem}.norm"] = {"norm": columns["norm"]}
        return files


def _distinct(vectors: F16, claim: U32) -> tuple[F16, U32]:
    """Each embedding of a claim once."""
    rows = np.ascontiguousarray(
        np.concatenate([claim[:, None].view(np.uint16), vectors.view(np.uint16)], axis=1)
    )
    _, first = np.unique(rows.view(np.dtype((np.void, rows.shape[1] * 2)))[:, 0], return_index=True)
    return vectors[first], claim[first]


def embedding_tables(files: Mapping[str, Mapping[str, Any]]) -> dict[str, EmbeddingTable]:
    """The tables of the columns of a segment's files, by the digest of the model.

    Raises:
        DoesNotHold: a file is missing (`missing_file`), or files do not fit each other (`bad_file`).
    """
    tables = {}
    for stem in sorted({match[0] for match in map(_STEM.match, files) if match}):
        for part in _PARTS:
            if stem + part not in files:
                raise DoesNotHold(f"{stem}{part}.arrow is missing", code="missing_file")
        columns = {
            "claim": files[stem]["claim"],
            "code": files[f"{stem}.codes"]["code"],
            "vector": files[f"{stem}.vectors"]["vector"],
            "centre": files[f"{stem}.centre"]["centre"],
            "norm": files[f"{stem}.norm"]["norm"],
        }
        tables[stem.removeprefix("clip.")] = EmbeddingTable.from_columns(columns)
    return tables


def embedding_faults(tables: Mapping[str, EmbeddingTable], claims: int) -> Iterator[str]:
    """What is wrong with the embedding tables of a segment of `claims` claims."""
    for digest, table in tables.items():
        found = _fault(table, claims)
        if found:
            yield f"clip.{digest}.arrow has {found}"


def _fault(table: EmbeddingTable, claims: int) -> str:
    if len(table.claim) and table.claim.max() >= claims:
        return "a claim that does not exist"
    if not np.isfinite(table.centre).all() or not np.isfinite(table.norm).all():
        return "a centre or norm that is no number"
    if not check_vectors(table.vector, "the claimed embeddings").all():
        return "a vector that is not of unit length"
    codes = clip_codes(table.vector, table.centre).T
    if not np.array_equal(codes, table.code[: len(codes)]) or table.code[len(codes) :].any():
        return "codes of other vectors"
    return ""


def model_records(known: Sequence[Mapping[str, Any]], met: Iterable[str]) -> tuple[Mapping[str, Any], ...]:
    """The records of all models: the known as they are, the others with default thresholds."""
    records = {str(record["id"]): dict(record) for record in known}
    for model in met:
        records.setdefault(model, {"id": model, "thresholds": default_thresholds(model)._asdict()})
    return tuple(records[model] for model in sorted(records))


def thresholds_of(records: Sequence[Mapping[str, Any]]) -> dict[str, Thresholds]:
    """The least cosines of each model that a manifest has a record of.

    Raises:
        DoesNotHold: a record is none (`bad_manifest`).
    """
    found = {}
    for record in records:
        try:
            model, (match, review) = record["id"], (record["thresholds"][name] for name in Thresholds._fields)
            if not 0 < review <= match <= 1:
                raise ValueError(f"thresholds {match} and {review}")
        except (KeyError, TypeError, ValueError) as error:
            raise DoesNotHold(
                f"manifest.json has a model's record that does not hold: {error}", code="bad_manifest"
            ) from None
        found[model] = Thresholds(match, review)
    return found


def read_embeddings(
    texts: Sequence[str | None],
) -> tuple[tuple[Embeddings, ...], npt.NDArray[np.bool_]]:
    """The embeddings of items by each model, None where an item has none, and bool[n]: which texts are none.

    Raises:
        BadInput: they are by more than `MOST_MODELS` models, each of which takes memory (`several_models`).
    """
    malformed = np.zeros(len(texts), np.bool_)
    found: dict[tuple[str, int], dict[int, npt.NDArray[np.float16]]] = {}
    for row, text in enumerate(texts):
        if text is not None:
            try:
                value = parse_embedding(text)
            except InvalidSelector:
                malformed[row] = True
            else:
                found.setdefault((value.model, len(value.vector)), {})[row] = value.vector
    if len(found) > MOST_MODELS:
        raise BadInput(
            f"ask about embeddings by {MOST_MODELS} models at a time, not {len(found)}", code="several_models"
        )
    return tuple(_embeddings(len(texts), *model, held) for model, held in found.items()), malformed


def _embeddings(
    items: int, model: str, dimension: int, held: Mapping[int, npt.NDArray[np.float16]]
) -> Embeddings:
    vectors, present = np.zeros((items, dimension), np.float16), np.zeros(items, np.bool_)
    for row, vector in held.items():
        vectors[row], present[row] = vector, True
    return Embeddings(model, vectors, present)
