"""Captions: what is written about a picture beside it, in the forms that the filter reads too."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.files import CoveredFiles

__all__ = ["TEXTS", "BadSample", "Captions", "caption_in", "read_json"]

#: Endings of files that are captions.
TEXTS = (".txt", ".caption", ".text")
_KEYS = ("caption", "text", "TEXT")
_FILE_NAME = "file_name"


class BadSample(Exception):
    """A sample that cannot be used: it is skipped, counted and named."""


def read_json(content: bytes, name: str) -> Any:
    """What is in a JSON file.

    Raises:
        BadSample: it cannot be read; the message calls it `name`.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise BadSample(f"{name}: its JSON cannot be read") from None


def caption_in(metadata: Any) -> str:
    """The caption that metadata holds; "" if it holds none."""
    found = (metadata.get(key) for key in _KEYS) if isinstance(metadata, Mapping) else ()
    return next((text for text in found if isinstance(text, str)), "")


class Captions:
    """Captions of a folder of pictures.

    `name.txt` or `name.json` beside the picture, or its row in the `metadata.jsonl`, `.csv` or `.parquet` of
    its directory.
    """

    def __init__(self, files: CoveredFiles) -> None:
        self._files = files
        self._tables: dict[PurePosixPath, dict[str, str] | BadSample] = {}

    def of(self, name: str) -> str:
        """The caption of the picture `name`; "" if it has none.

        Raises:
            BadSample: it cannot be read.
        """
        path = PurePosixPath(name)
        for suffix in TEXTS:
            if (beside := str(path.with_suffix(suffix))) in self._files.digests:
                return self._files.read(beside).decode("utf-8", "replace")
        beside = str(path.with_suffix(".json"))
        told = read_json(self._files.read(beside), beside) if beside in self._files.digests else None
        return caption_in(told) or self._table(path.parent).get(path.name, "")

    def _table(self, folder: PurePosixPath) -> dict[str, str]:
        found = self._tables.get(folder)
        if found is None:
            # Put there when it is whole: other threads read at the same time.
            self._tables[folder] = found = self._read_tables(folder)
        if isinstance(found, BadSample):
            raise found
        return found

    def _read_tables(self, folder: PurePosixPath) -> dict[str, str] | BadSample:
        captions: dict[str, str] = {}
        for ending, read in ((".jsonl", _lines), (".csv", _csv), (".parquet", _parquet)):
            name = str(folder / f"metadata{ending}")
            if name in self._files.digests:
                try:
                    rows = [row for row in read(self._files.read(name), name) if _named(row)]
                except BadSample as error:
                    return error
                captions |= {row[_FILE_NAME]: caption_in(row) for row in rows}
        return captions


def _named(row: Any) -> bool:
    return isinstance(row, Mapping) and isinstance(row.get(_FILE_NAME), str)


def _lines(content: bytes, name: str) -> Iterator[Any]:
    return (read_json(line, name) for line in content.splitlines() if line.strip())


def _csv(content: bytes, name: str) -> Iterator[Any]:
    try:
        yield from csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
    except csv.Error as error:
        raise BadSample(f"{name} cannot be read: {error}") from None


def _parquet(content: bytes, name: str) -> Iterator[Any]:
    try:
        table = pq.ParquetFile(pa.BufferReader(content))
        wanted = [key for key in (_FILE_NAME, *_KEYS) if key in table.schema_arrow.names]
        for batch in table.iter_batches(columns=wanted):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise BadSample(f"{name} cannot be read: {error}") from None
