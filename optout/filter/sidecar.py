"""The files that img2dataset puts beside a tar: `00000.parquet`, `00000_stats.json`; and indices of tars.

Rows of the Parquet stand in the order of completion, and there are rows of downloads that failed, so a row is
found by its `key`, never by its position.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.errors import BadInput
from optout.filter.columns import KNOWN
from optout.filter.parquet import Source
from optout.filter.settings import ColumnNames

__all__ = [
    "KEY",
    "Rows",
    "make_rows",
    "read_rows",
    "rewrite_stats",
    "rewritten_index",
    "rows_kept",
    "successes",
]

KEY = "key"
_STATUS, _SUCCESS = "status", "success"
_ROLES = ("url", "text", "sha256", "md5")


class Rows(NamedTuple):
    """What a sidecar says, row by row.

    Attributes:
        keys: the key of each row.
        place: the row of each key.
        doubled: keys of several rows.
        columns: the values of each role that there is a column for.
        success: bool[n], whether the row's picture was downloaded.
    """

    keys: list[str]
    place: dict[str, int]
    doubled: frozenset[str]
    columns: dict[str, list[Any]]
    success: npt.NDArray[np.bool_]

    def get(self, key: str) -> dict[str, Any] | None:
        """What the row of `key` says by role; None where there is none."""
        row = self.place.get(key)
        return None if row is None else {role: values[row] for role, values in self.columns.items()}


def read_rows(path: Path, name: str, wanted: ColumnNames, key: str = KEY) -> Rows:
    """Read the columns that samples are judged by.

    Raises:
        BadInput: it cannot be read, or has no column `key` that rows are found by (`missing_column`).
    """
    with Source(path, name) as source:
        schema = source.schema
        if key not in schema.names:
            raise BadInput(
                f"{name}: no column {key!r} to find the rows of samples by. "
                f"The columns are: {', '.join(schema.names)}",
                code="missing_column",
            )
        roles = {role: found for role in _ROLES if (found := _column(schema, role, wanted)) is not None}
        names = [key, *roles.values()] + [_STATUS] * (_STATUS in schema.names)
        names = list(dict.fromkeys(names))
        parts = [batch for group in range(source.groups) for batch in source.batches(group, names)]
    lists: dict[str, list[Any]] = {column: [] for column in names}
    for batch in parts:
        for column in names:
            lists[column] += batch.column(column).to_pylist()
    success = [status == _SUCCESS for status in lists[_STATUS]] if _STATUS in lists else None
    return make_rows(
        [str(value) for value in lists[key]],
        {role: lists[column] for role, column in roles.items()},
        success,
    )


def make_rows(keys: list[str], columns: dict[str, list[Any]], success: list[bool] | None = None) -> Rows:
    """The rows of a table, of which all are successful if nothing is said."""
    place = {key: row for row, key in enumerate(keys)}
    doubled = frozenset(key for row, key in enumerate(keys) if place[key] != row)
    done = np.ones(len(keys), np.bool_) if success is None else np.array(success, np.bool_)
    return Rows(keys, place, doubled, columns, done)


def _column(schema: pa.Schema, role: str, wanted: ColumnNames) -> str | None:
    names = (getattr(wanted, role),) if getattr(wanted, role) else KNOWN[role]
    return next((name for name in names if len(schema.get_all_field_indices(name)) == 1), None)


def rewrite_stats(content: bytes, name: str, kept: int, removed: int) -> bytes:
    """The statistics of a shard from which rows were removed: counts agree with what is left.

    Args:
        content: the JSON file.
        name: what messages call it.
        kept: samples in the tar that is written.
        removed: rows taken out of the shard's metadata.

    Raises:
        BadInput: it is not a JSON object (`bad_stats`).
    """
    try:
        stats: dict[str, Any] = dict(json.loads(content))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name}: not a JSON object: {error}", code="bad_stats") from error
    if isinstance(stats.get("count"), int):
        stats["count"] = max(0, stats["count"] - removed)
    if "successes" in stats:
        stats["successes"] = kept
    if isinstance(stats.get("status_dict"), dict) and _SUCCESS in stats["status_dict"]:
        stats["status_dict"][_SUCCESS] = kept
    return json.dumps(stats, indent=4).encode()


def successes(content: bytes) -> int | None:
    """How many samples the statistics of a shard speak of; None where they do not."""
    try:
        return int(json.loads(content)["successes"])
    except (ValueError, TypeError, KeyError):
        return None


class Entry(NamedTuple):
    """One file of a sample in an index: extension, position and size of its content, name."""

    extension: str
    data: int
    size: int
    name: str


def rewritten_index(content: bytes, name: str, samples: Sequence[Sequence[Entry]]) -> bytes:
    """An index as DALI's `wds2idx` writes it, of the samples that are left.

    Args:
        content: the index there was, whose version is kept.
        name: what messages call it.
        samples: the files of each sample kept, where they now are.

    Raises:
        BadInput: it is an index of another kind (`unknown_index`).
    """
    version = content.split(None, 1)[0].decode("ascii", "replace") if content.strip() else ""
    if version not in {"v1.1", "v1.2"}:
        raise BadInput(f"{name}: an index of an unknown kind ({version[:20]!r})", code="unknown_index")
    lines = [f"{version} {len(samples)}"]
    for entries in samples:
        parts = [
            f"{entry.extension} {entry.data} {entry.size}" + (f" {entry.name}" if version == "v1.2" else "")
            for entry in entries
        ]
        lines.append(" ".join(parts))
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def rows_kept(rows: Rows, keep: Mapping[str, bool]) -> npt.NDArray[np.bool_]:
    """bool[n]: rows whose sample stays, and rows of failed downloads, which have none."""
    return np.array(
        [keep.get(key, not done) for key, done in zip(rows.keys, rows.success.tolist(), strict=True)],
        np.bool_,
    )
