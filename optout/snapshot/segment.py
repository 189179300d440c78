"""One segment of a snapshot: its claims, and a locator table for each kind of selector."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout.embeddings.table import EmbeddingTable
from optout.errors import DoesNotHold
from optout.snapshot.embeddings import embedding_schema, embedding_tables
from optout.snapshot.files import map_batch
from optout.snapshot.pictures import PICTURE_SCHEMAS, PictureTables, picture_tables
from optout.snapshot.tables import LocatorTable
from optout.words import SelectorKind

__all__ = [
    "CHECKED_KINDS",
    "EVER",
    "LOCATOR_KINDS",
    "SCHEMAS",
    "Columns",
    "Segment",
    "Statements",
    "find_owners",
    "map_segment",
    "read_columns",
]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

#: The columns of one file of a segment, by name.
Columns = Mapping[str, Any]

#: `valid_from` of a claim without a date: before every date there is.
EVER = -(2**63)

LOCATOR_KINDS = (
    SelectorKind.SHA256,
    SelectorKind.MD5,
    SelectorKind.URL,
    SelectorKind.PREFIX,
    SelectorKind.DOMAIN,
    SelectorKind.NAME,
)
#: Kinds whose entries carry a check beside the key.
CHECKED_KINDS = frozenset({SelectorKind.URL, SelectorKind.SHA256, SelectorKind.MD5})


def _schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema(list(types.items()))


def _schemas() -> dict[str, pa.Schema]:
    schemas = {
        "claims": _schema(id=pa.binary(16), statement=pa.uint32()),
        "refs": _schema(ref=pa.large_string()),
        "owners": _schema(owner=pa.large_string()),
        "statements": _schema(
            owner=pa.uint32(),
            decision=pa.uint8(),
            uses=pa.uint8(),
            grade=pa.uint8(),
            valid_from=pa.int64(),
            terms_url=pa.large_string(),
            title=pa.large_string(),
        ),
        "first_words": _schema(word=pa.uint64(), longest=pa.uint8()),
        "withdrawn": _schema(bits=pa.uint8()),
    }
    for kind in LOCATOR_KINDS:
        check = {"check": pa.uint32()} if kind in CHECKED_KINDS else {}
        schemas[kind.label] = _schema(key=pa.uint64(), **check, claim=pa.uint32())
        schemas[f"{kind.label}.offsets"] = _schema(offset=pa.uint32())
    return schemas | PICTURE_SCHEMAS


#: The schema of every file that a segment may have, by the file's name without `.arrow`.
SCHEMAS = _schemas()


@dataclass(frozen=True)
class Statements:
    """What claims state, one row for each distinct statement; `owner` numbers run through all segments."""

    owner: U32
    decision: U8
    uses: U8
    grade: U8
    valid_from: I64
    terms_url: pa.Array
    title: pa.Array


@dataclass(frozen=True)
class Segment:
    """Claims and locator tables, memory-mapped or in memory.

    Attributes:
        name: the folder under `segments/`; empty for a segment in memory.
        ids: binary(16)[n], ascending.
        statement: uint32[n], the statement of each claim.
        refs: large_string[n], or None when no claim has one.
        owners: large_string[k], ascending: the owners that no earlier segment has.
        first_owner: the number of the first of them.
        tables: locator table by kind; kinds without entries are left out.
        first_words, longest: uint64[w] ascending and uint8[w]: SipHash of the first word of every name, and
            how many words the longest name that begins so has.
        withdrawn: uint8[ceil(n / 8)], bit `i % 8` of byte `i // 8` set when claim i is withdrawn; or None.
        pictures: the tables of perceptual hashes.
        embeddings: the tables of embeddings, by the digest of their model (`model_digest`).
    """

    name: str
    ids: pa.Array
    statement: U32
    refs: pa.Array | None
    statements: Statements
    owners: pa.Array
    first_owner: int
    tables: Mapping[SelectorKind, LocatorTable]
    first_words: U64
    longest: U8
    withdrawn: U8 | None = None
    pictures: PictureTables = field(default_factory=PictureTables)
    embeddings: Mapping[str, EmbeddingTable] = field(default_factory=dict)

    @classmethod
    def from_columns(cls, name: str, files: Mapping[str, Columns], first_owner: int) -> "Segment":
        """Put a segment together from the columns of its files, by their names without `.arrow`."""
        statements = {
            column: values if column in {"terms_url", "title"} else np.asarray(values)
            for column, values in files["statements"].items()
        }
        words = files.get("first_words", {"word": np.empty(0, np.uint64), "longest": np.empty(0, np.uint8)})
        return cls(
            name=name,
            ids=files["claims"]["id"],
            statement=files["claims"]["statement"],
            refs=files["refs"]["ref"] if "refs" in files else None,
            statements=Statements(**statements),
            owners=files["owners"]["owner"],
            first_owner=first_owner,
            tables={kind: _table(files, kind) for kind in LOCATOR_KINDS if kind.label in files},
            first_words=words["word"],
            longest=words["longest"],
            pictures=picture_tables(files),
            embeddings=embedding_tables(files),
        )

    @property
    def claims(self) -> int:
        return len(self.ids)

    def with_withdrawn(self, withdrawn: U8 | None) -> "Segment":
        return replace(self, withdrawn=withdrawn)

    def find_claims(self, claim_ids: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """The claims with any of these 16-byte ids: one for each statement made under an id."""
        held = np.frombuffer(self.ids.buffers()[1], "S16")[self.ids.offset :][: len(self.ids)]
        wanted = np.unique(np.array(claim_ids, "S16"))
        low, high = held.searchsorted(wanted, "left"), held.searchsorted(wanted, "right")
        counts = high - low
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places: npt.NDArray[np.int64] = np.repeat(low, counts) + within
        return places


def find_owners(segments: Sequence[Segment], names: Sequence[str]) -> dict[str, int]:
    """The numbers of those `names` that own something in `segments`."""
    found: dict[str, int] = {}
    for segment in segments:
        if len(names) > 256:
            places = pc.index_in(pa.array(names, pa.large_string()), segment.owners).to_pylist()
        else:
            # index_in hashes every owner there is; a handful is found sooner by bisection.
            places = [_place(segment.owners, name) for name in names]
        found |= {
            name: segment.first_owner + place
            for name, place in zip(names, places, strict=True)
            if place is not None
        }
    return found


def _place(owners: pa.Array, name: str) -> int | None:
    place = _bisect(owners, name)
    return place if place < len(owners) and owners[place].as_py() == name else None


def _bisect(ascending: pa.Array, wanted: Any) -> int:
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle].as_py() < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def _table(files: Mapping[str, Columns], kind: SelectorKind) -> LocatorTable:
    columns = files[kind.label]
    offsets = files[f"{kind.label}.offsets"]["offset"]
    buckets = len(offsets) - 1
    # The search shifts by 64 - bits; anything else than a power of two would read outside the offsets.
    if (
        buckets < 2
        or buckets & (buckets - 1)
        or int(offsets[0]) != 0
        or int(offsets[-1]) != len(columns["key"])
    ):
        raise DoesNotHold(f"{kind.label}.offsets.arrow does not fit {kind.label}.arrow", code="bad_file")
    columns = {name: _read_only(values) for name, values in columns.items()}
    return LocatorTable(columns["key"], columns.get("check"), columns["claim"], _read_only(offsets))


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers, not to be written: as mapped files are, so that one compiled search serves both."""
    view = values.view()
    view.flags.writeable = False
    return view


def map_segment(folder: Path, files: Mapping[str, int], first_owner: int) -> Segment:
    """Memory-map the segment in `folder`.

    Args:
        folder: `segments/<name>`.
        files: rows of each file, by its name without `.arrow`.
        first_owner: how many owners the segments before it have.

    Raises:
        DoesNotHold: a file is missing, not readable or not as long as the manifest says.
    """
    columns: dict[str, Columns] = {}
    for stem, rows in files.items():
        path = folder / f"{stem}.arrow"
        if stem not in SCHEMAS and embedding_schema(stem) is None:
            raise DoesNotHold(f"{path} is not a file of a segment", code="extra_file")
        columns[stem] = read_columns(path, rows, stem)
    for stem in ("claims", "statements", "owners"):
        if stem not in columns:
            raise DoesNotHold(f"{folder / stem}.arrow is missing", code="missing_file")
    for kind in LOCATOR_KINDS:
        if kind.label in columns and f"{kind.label}.offsets" not in columns:
            raise DoesNotHold(f"{folder / kind.label}.offsets.arrow is missing", code="missing_file")
    return Segment.from_columns(folder.name, columns, first_owner)


def read_columns(path: Path, rows: int, stem: str) -> dict[str, Any]:
    """The columns of a memory-mapped file: numpy views of numbers, Arrow arrays of texts and ids."""
    batch = map_batch(path, embedding_schema(stem) or SCHEMAS[stem])
    if batch.num_rows != rows:
        raise DoesNotHold(f"{path} has {batch.num_rows} rows, not {rows}", code="bad_file")
    if any(column.null_count for column in batch.columns):
        raise DoesNotHold(f"{path} has nulls", code="bad_file")
    return {
        name: _plain(column, path) for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }


def _plain(column: pa.Array, path: Path) -> Any:
    if pa.types.is_fixed_size_list(column.type):
        words = column.values
        if words.null_count or len(words) != len(column) * column.type.list_size:
            raise DoesNotHold(f"{path} has nulls", code="bad_file")
        return words.to_numpy(zero_copy_only=True).reshape(len(column), column.type.list_size)
    return column.to_numpy(zero_copy_only=True) if _is_number(column.type) else column


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
