"""Rows of claims in, tables of distinct claims, statements and owners out.

A claim of a snapshot is a claim id with what it states. Millions of claims share few statements (owner,
decision, uses, grade, date, terms, title), so each statement is held once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout.snapshot.segment import EVER, Columns, Segment, find_owners

__all__ = ["ClaimCollector", "id_halves"]

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_STATEMENT = ("owner", "decision", "uses", "grade", "valid_from", "terms_url", "title")


class ClaimCollector:
    """Gathers claims batch by batch and numbers them as they come; `finish` brings them into order."""

    def __init__(self) -> None:
        self._statements: dict[tuple[Any, ...], int] = {}
        self._high: list[U64] = []
        self._low: list[U64] = []
        self._statement: list[U32] = []
        self._refs: list[pa.Array] = []
        self._count = 0

    def add(self, claims: pa.RecordBatch) -> U32:
        """Take in the claims of a batch of `CLAIM_SCHEMA`; uint32[n]: each row's provisional claim number."""
        columns = {name: claims.column(name) for name in _STATEMENT}
        columns["valid_from"] = (
            columns["valid_from"].cast(pa.timestamp("us")).cast(pa.int64()).fill_null(EVER)
        )
        group, first = _group_rows(list(columns.values()))
        statement = self._number(columns, first)[group]
        group, first = _group_rows([claims.column("claim_id"), pa.array(statement)])
        high, low = id_halves(claims.column("claim_id").take(pa.array(first)))
        self._high.append(high)
        self._low.append(low)
        self._statement.append(statement[first])
        self._refs.append(claims.column("ref").take(pa.array(first)))
        provisional = (group + self._count).astype(np.uint32)
        self._count += len(first)
        return provisional

    def _number(self, columns: Mapping[str, pa.Array], first: I64) -> U32:
        """The numbers of the statements in rows `first`, in the order in which they were met."""
        taken = [columns[name].take(pa.array(first)).to_pylist() for name in _STATEMENT]
        known = self._statements
        return np.array([known.setdefault(row, len(known)) for row in zip(*taken, strict=True)], np.uint32)

    def finish(self, earlier: Sequence[Segment]) -> tuple[dict[str, Columns], U32]:
        """The files that describe the claims, and final[provisional] as uint32.

        Claims are sorted by id, statements by content: nothing depends on the order of the rows.

        Args:
            earlier: the segments before this one, whose owners keep their numbers.
        """
        rows = sorted(self._statements)
        rank = np.empty(len(rows), np.uint32)
        rank[[self._statements[row] for row in rows]] = np.arange(len(rows), dtype=np.uint32)
        high, low = _joined(self._high, np.uint64), _joined(self._low, np.uint64)
        statement = rank[_joined(self._statement, np.uint32)]
        order = np.lexsort((statement, low, high))
        high, low, statement = high[order], low[order], statement[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1]) | (statement[1:] != statement[:-1])
        final = np.empty(len(order), np.uint32)
        final[order] = (np.cumsum(fresh) - 1).astype(np.uint32)
        files: dict[str, Columns] = {
            "claims": {"id": _ids(high[fresh], low[fresh]), "statement": statement[fresh]},
            **_statement_files(rows, earlier),
        }
        refs = pa.chunked_array(self._refs, pa.large_string())
        if pc.any(pc.not_equal(refs, "")).as_py():
            files["refs"] = {"ref": refs.combine_chunks().take(pa.array(order[fresh]))}
        return files, final


def _group_rows(columns: Sequence[pa.Array]) -> tuple[I64, I64]:
    """Which rows are equal in every column: group int64[n], and first int64[k], a row of each group."""
    rows = len(columns[0])
    group, groups = np.zeros(rows, np.int64), 1
    for column in columns:
        encoded = column.dictionary_encode()
        if len(encoded.dictionary) == 1:
            continue
        pairs = group * len(encoded.dictionary) + encoded.indices.to_numpy()
        # Numbered anew after each column, so that the product never leaves 64 bits.
        renumbered = pa.array(pairs).dictionary_encode()
        group, groups = renumbered.indices.to_numpy().astype(np.int64), len(renumbered.dictionary)
    first = np.empty(groups, np.int64)
    first[group[::-1]] = np.arange(rows - 1, -1, -1)
    return group, first[: groups if rows else 0]


def _statement_files(rows: Sequence[tuple[Any, ...]], earlier: Sequence[Segment]) -> dict[str, Columns]:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_STATEMENT)
    owners, decision, uses, grade, valid_from, terms_url, title = columns
    numbers = find_owners(earlier, sorted(set(owners)))
    fresh = [owner for owner in sorted(set(owners)) if owner not in numbers]
    first = sum(len(segment.owners) for segment in earlier)
    numbers |= {owner: first + at for at, owner in enumerate(fresh)}
    statements = {
        "owner": np.array([numbers[owner] for owner in owners], np.uint32),
        "decision": np.array(decision, np.uint8),
        "uses": np.array(uses, np.uint8),
        "grade": np.array(grade, np.uint8),
        "valid_from": np.array(valid_from, np.int64),
        "terms_url": pa.array(terms_url, pa.large_string()),
        "title": pa.array(title, pa.large_string()),
    }
    return {"statements": statements, "owners": {"owner": pa.array(fresh, pa.large_string())}}


def id_halves(ids: pa.Array) -> tuple[U64, U64]:
    """The 16-byte ids of a `binary(16)` array as two uint64[n]; their order is the order of the bytes."""
    buffer = ids.buffers()[1] if len(ids) else b""
    halves = np.frombuffer(buffer, ">u8", 2 * len(ids), 16 * ids.offset if len(ids) else 0).reshape(-1, 2)
    return halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)


def _ids(high: U64, low: U64) -> pa.Array:
    halves = np.stack([high, low], axis=1).astype(">u8")
    return pa.Array.from_buffers(pa.binary(16), len(high), [None, pa.py_buffer(halves.tobytes())])


def _joined(parts: Sequence[npt.NDArray[Any]], dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype)
