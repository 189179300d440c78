"""Metadata of folders of pictures, as Hugging Face's image folders have it and as img2dataset writes it.

Rows of `metadata.csv`, `.jsonl` or `.parquet` are found by `file_name`, those of `../00000.parquet` by `key`.
"""

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from optout.errors import BadInput
from optout.filter.columns import KNOWN
from optout.filter.kinds import Job
from optout.filter.outputs import Outputs
from optout.filter.parquet import Source
from optout.filter.rows import copy_rows
from optout.filter.samples import ROLES, Sample
from optout.filter.settings import ColumnNames
from optout.filter.sidecar import KEY, Rows, make_rows, read_rows, rows_kept

__all__ = ["Metadata", "is_metadata", "read_metadata"]

_FILE_NAME = "file_name"
_STEM = "metadata"
_SUFFIXES = (".csv", ".jsonl", ".parquet")

Keep = npt.NDArray[np.bool_]


def is_metadata(path: Path) -> bool:
    """Whether that is the metadata of its folder."""
    return path.stem == _STEM and path.suffix in _SUFFIXES


@dataclass(frozen=True)
class _Table:
    """One file of metadata.

    Attributes:
        output: its name in the output.
        rows: what it says.
        key_of: the key of a picture's row, made of its path in the folder.
        write: writes the file again with the rows kept.
    """

    output: str
    rows: Rows
    key_of: Callable[[str], str]
    write: Callable[[Keep, str | None, Path], object]


class Metadata:
    """What is written about the pictures of a folder.

    Attributes:
        lost: sentences about rows of pictures that are not there.
        statistics: img2dataset's counts, by their names in the output.
    """

    def __init__(self, job: Job, tables: list[_Table], pictures: Iterable[str]) -> None:
        self._tables = tables
        beside = (path for path in job.shard.also if path.parent != job.shard.path)
        self.statistics = {
            path.relative_to(job.shard.root).as_posix(): path for path in beside if path.suffix == ".json"
        }
        names = list(pictures)
        self.lost = [
            f"{table.output}: {key!a} is not there: left out"
            for table in tables
            for key in _missing(table, {table.key_of(name) for name in names})
        ]

    def tell(self, sample: Sample, pictures: Iterable[str]) -> None:
        """Note in `sample` what is written about its pictures (paths in the folder)."""
        for table in self._tables:
            for name in pictures:
                key = table.key_of(name)
                if key in table.rows.doubled:
                    sample.fail_as_double()
                sample.compare(table.rows.get(key))

    def rewrite(self, stays: set[str], outputs: Outputs, codec: str | None) -> int:
        """Write every table with the rows of the pictures that stay; returns how many rows went."""
        removed = 0
        for table in self._tables:
            there = {table.key_of(name): True for name in stays}
            keep = rows_kept(table.rows, there)
            outputs.write(table.output, partial(table.write, keep, codec))
            removed += int(np.count_nonzero(~keep))
        return removed


def _missing(table: _Table, there: set[str]) -> list[str]:
    pairs = zip(table.rows.keys, table.rows.success.tolist(), strict=True)
    return [key for key, done in pairs if done and key not in there]


def read_metadata(job: Job, pictures: Iterable[str]) -> Metadata | None:
    """Read what is written about `pictures`; None where there is nothing.

    Raises:
        BadInput: a table cannot be read (`bad_metadata`), or does not say which pictures it is about
            (`missing_column`).
    """
    folder, wanted = job.shard.path, job.settings.columns
    tables = []
    for path in job.shard.also:
        output = path.relative_to(job.shard.root).as_posix()
        if path.parent == folder and is_metadata(path):
            tables.append(_READERS[path.suffix](path, output, wanted))
        elif path.parent != folder and path == folder.with_name(f"{folder.name}.parquet"):
            tables.append(_read_sidecar(path, output, wanted))
    return Metadata(job, tables, pictures) if tables else None


def _in_folder(name: str) -> str:
    return PurePosixPath(name).as_posix()


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _read_sidecar(path: Path, output: str, wanted: ColumnNames) -> _Table:
    return _Table(output, read_rows(path, output, wanted, KEY), _stem, partial(_write_parquet, path, output))


def _read_parquet(path: Path, output: str, wanted: ColumnNames) -> _Table:
    rows = read_rows(path, output, wanted, _FILE_NAME)
    return _Table(output, rows, _in_folder, partial(_write_parquet, path, output))


def _write_parquet(path: Path, name: str, keep: Keep, codec: str | None, part: Path) -> None:
    with Source(path, name) as source:
        copy_rows(source, part, codec=codec, keep=keep)


def _read_csv(path: Path, output: str, wanted: ColumnNames) -> _Table:
    lines = list(io.StringIO(_text(path), newline=""))
    reader = csv.reader(lines, strict=True)
    records, raw, first = [], [], 0
    try:
        for record in reader:
            records.append(record)
            raw.append("".join(lines[first : reader.line_num]))
            first = reader.line_num
    except csv.Error as error:
        raise BadInput(f"{output}: line {reader.line_num}: {error}", code="bad_metadata") from error
    header = [name.removeprefix("\ufeff") for name in records[0]] if records else []
    told = [dict(zip(header, record, strict=False)) for record in records[1:] if record]
    kept = [text for text, record in zip(raw[1:], records[1:], strict=True) if record]
    return _text_table(output, header, told, raw[:1], kept, wanted)


def _read_jsonl(path: Path, output: str, wanted: ColumnNames) -> _Table:
    told, raw = [], []
    for number, line in enumerate(io.StringIO(_text(path), newline="\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line.encode("utf-8", "surrogateescape"))
        except ValueError as error:
            raise BadInput(f"{output}: line {number}: {error}", code="bad_metadata") from error
        if not isinstance(row, dict):
            raise BadInput(f"{output}: line {number}: not a JSON object", code="bad_metadata")
        told.append(row)
        raw.append(line)
    names = list(dict.fromkeys(name for row in told for name in row))
    return _text_table(output, names, told, [], raw, wanted)


_READERS = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _text_table(
    output: str,
    names: list[str],
    told: list[dict[str, Any]],
    head: list[str],
    raw: list[str],
    wanted: ColumnNames,
) -> _Table:
    """A table whose rows are texts, written again as they stand."""
    if _FILE_NAME not in names and told:
        there = ", ".join(map(ascii, names))
        raise BadInput(
            f"{output}: no column {_FILE_NAME!r} to find pictures by. The columns are: {there}",
            code="missing_column",
        )
    columns = {}
    for role in ROLES:
        named = getattr(wanted, role)
        name = next((name for name in ((named,) if named else KNOWN[role]) if name in names), None)
        if name is not None:
            columns[role] = [_text_or_none(row.get(name)) for row in told]
    keys = [_in_folder(str(row.get(_FILE_NAME))) for row in told]

    def write(keep: Keep, codec: str | None, part: Path) -> None:
        chosen = [text for text, stays in zip(raw, keep.tolist(), strict=True) if stays]
        part.write_bytes("".join(head + chosen).encode("utf-8", "surrogateescape"))

    return _Table(output, make_rows(keys, columns), _in_folder, write)


def _text_or_none(value: Any) -> bytes | None:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) and value else None
