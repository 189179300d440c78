"""Picture tables of a segment: the perceptual hashes of claimed pictures, searched by Hamming distance.

A `picture` claim has an entry for each usable view, ascending by pHash; a pair that pHash proposes is
compared by PDQ at once, since that stands in the same row. Bare hashes have tables of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.codes import PDQ_DIGITS, PHASH_DIGITS, read_digits, read_fingerprints
from optout.errors import BadInput, DoesNotHold
from optout.evidence import Evidence
from optout.hamming import long, short
from optout.probes import VIEWS
from optout.words import SelectorKind

__all__ = [
    "PICTURE_KINDS",
    "PICTURE_SCHEMAS",
    "PdqTable",
    "PhashTable",
    "PictureCollector",
    "PictureTable",
    "PictureTables",
    "phash_files",
    "picture_faults",
    "picture_tables",
]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

PICTURE_KINDS = (SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ)

_PDQ = pa.list_(pa.uint64(), 4)
_TURNED = ("second", "third")
_ENTRIES = tuple(f"entry{number}" for number in range(len(long.CHUNKS)))
_OFFSETS = pa.schema({"offset": pa.uint32()})

#: The schema of each file, by its name without `.arrow`.
PICTURE_SCHEMAS = {
    "picture": pa.schema({"phash": pa.uint64(), "pdq": _PDQ, "view": pa.uint8(), "claim": pa.uint32()}),
    "picture.turned": pa.schema({name: pa.uint64() for name in _TURNED}),
    "picture.offsets": _OFFSETS,
    "phash": pa.schema({"phash": pa.uint64(), "claim": pa.uint32()}),
    "phash.turned": pa.schema({name: pa.uint64() for name in _TURNED}),
    "phash.offsets": _OFFSETS,
    "pdq": pa.schema({"pdq": _PDQ, "claim": pa.uint32()}),
    "pdq.tables": pa.schema({name: pa.uint32() for name in _ENTRIES}),
    "pdq.offsets": _OFFSETS,
}


class PictureTable(NamedTuple):
    """Views of claimed pictures.

    `lookup` finds them by their pHashes; pdq uint64[n, 4], view uint8[n], claim uint32[n].
    """

    lookup: short.ShortIndex
    pdq: U64
    view: U8
    claim: U32


class PhashTable(NamedTuple):
    """Claimed bare pHashes: `lookup`, and claim uint32[n]."""

    lookup: short.ShortIndex
    claim: U32


class PdqTable(NamedTuple):
    """Claimed bare PDQ hashes: `lookup`, and claim uint32[n]."""

    lookup: long.LongIndex
    claim: U32


class PictureTables(NamedTuple):
    """The picture tables of a segment; None where it has no such selectors."""

    picture: PictureTable | None = None
    phash: PhashTable | None = None
    pdq: PdqTable | None = None

    def entries(self, kind: SelectorKind) -> tuple[U32, U8]:
        """Claim and view of each entry of a kind."""
        table = getattr(self, kind.label)
        unknown = np.zeros(len(table.claim), np.uint8)
        return table.claim, table.view if kind is SelectorKind.PICTURE else unknown


class _Entries(NamedTuple):
    phash: U64
    pdq: U64
    view: U8
    claim: U32


class PictureCollector:
    """Gathers picture selectors batch by batch; what is no evidence is left out."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._parts: dict[SelectorKind, list[_Entries]] = {}

    def add(self, kind: SelectorKind, texts: pa.Array, claim: U32) -> None:
        """Take in the canonical values of selectors of one kind, and the claim of each.

        Raises:
            BadInput: a value is not canonical (`bad_claims`).
        """
        match kind:
            case SelectorKind.PICTURE:
                entries = self._views(texts, claim)
            case SelectorKind.PHASH:
                phash = _digits(texts, PHASH_DIGITS)[:, 0]
                kept = self._evidence.usable_phash(phash)
                entries = _bare(phash[kept], np.empty((int(kept.sum()), 0), np.uint64), claim[kept])
            case _:
                pdq = _digits(texts, PDQ_DIGITS)
                kept = self._evidence.usable_pdq(pdq)
                entries = _bare(np.empty(int(kept.sum()), np.uint64), pdq[kept], claim[kept])
        if len(entries.claim):
            self._parts.setdefault(kind, []).append(entries)

    def _views(self, texts: pa.Array, claim: U32) -> _Entries:
        views, good = read_fingerprints(texts)
        if not good.all():
            value = texts[int(np.argmin(good))].as_py()
            raise BadInput(f"{value[:100]!r} is not a fingerprint", code="bad_claims")
        kept = self._evidence.usable_views(views.phash, views.pdq, views.quality)
        return _Entries(views.phash[kept], views.pdq[kept], views.view[kept], claim[views.row[kept]])

    def finish(self, final: U32) -> dict[str, Mapping[str, Any]]:
        """The files, with provisional claim numbers replaced by `final[provisional]`."""
        files: dict[str, Mapping[str, Any]] = {}
        for kind, make in _MAKERS.items():
            parts = self._parts.pop(kind, None)
            if parts:
                entries = _Entries(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
                parts.clear()
                files |= make(entries._replace(claim=final[entries.claim]))
        return files


def _digits(texts: pa.Array, digits: int) -> U64:
    if len(texts) and not np.asarray(pa.compute.equal(pa.compute.binary_length(texts), digits)).all():
        raise BadInput(f"a hash does not have {digits} digits", code="bad_claims")
    return read_digits(texts, digits)


def _bare(phash: U64, pdq: U64, claim: U32) -> _Entries:
    return _Entries(phash, pdq, np.zeros(len(claim), np.uint8), claim)


def _picture_files(entries: _Entries) -> dict[str, Mapping[str, Any]]:
    held = _distinct([entries.phash, *entries.pdq.T, entries.view, entries.claim], entries)
    columns = {"phash": held.phash, "pdq": held.pdq, "view": held.view, "claim": held.claim}
    return {"picture": columns, **_short_files("picture", held.phash)}


def phash_files(phash: U64, claim: U32) -> dict[str, Mapping[str, Any]]:
    """The files of claimed bare pHashes uint64[n], each of the claim uint32[n] beside it."""
    entries = _bare(phash, np.empty((len(phash), 0), np.uint64), claim)
    held = _distinct([entries.phash, entries.claim], entries)
    return {"phash": {"phash": held.phash, "claim": held.claim}, **_short_files("phash", held.phash)}


def _pdq_files(entries: _Entries) -> dict[str, Mapping[str, Any]]:
    held = _distinct([*entries.pdq.T, entries.claim], entries)
    index = long.make_index(held.pdq)
    return {
        "pdq": {"pdq": held.pdq, "claim": held.claim},
        "pdq.tables": dict(zip(_ENTRIES, index.entries, strict=True)),
        "pdq.offsets": {"offset": np.concatenate(index.offsets)},
    }


_MAKERS = {
    SelectorKind.PICTURE: _picture_files,
    SelectorKind.PHASH: lambda entries: phash_files(entries.phash, entries.claim),
    SelectorKind.PDQ: _pdq_files,
}


def _short_files(stem: str, phash: U64) -> dict[str, Mapping[str, Any]]:
    index = short.make_index(phash)
    return {
        f"{stem}.turned": dict(zip(_TURNED, index.turned, strict=True)),
        f"{stem}.offsets": {"offset": np.concatenate(index.offsets)},
    }


def _distinct(keys: Sequence[npt.NDArray[Any]], entries: _Entries) -> _Entries:
    """The entries ascending by `keys`, the first of which counts most, each once."""
    order = np.lexsort(tuple(keys)[::-1])
    fresh = np.zeros(len(order), np.bool_)
    fresh[:1] = True
    for key in keys:
        sorted_key = key[order]
        fresh[1:] |= sorted_key[1:] != sorted_key[:-1]
    kept = order[fresh]
    return _Entries(entries.phash[kept], entries.pdq[kept], entries.view[kept], entries.claim[kept])


def picture_tables(files: Mapping[str, Mapping[str, Any]]) -> PictureTables:
    """The tables of the columns of a segment's files, by their names without `.arrow`.

    Raises:
        DoesNotHold: a file is missing (`missing_file`), or files do not fit each other (`bad_file`).
    """
    for stem in files:
        for needed in (name for name in PICTURE_SCHEMAS if name.partition(".")[0] == stem.partition(".")[0]):
            if stem in PICTURE_SCHEMAS and needed not in files:
                raise DoesNotHold(f"{needed}.arrow is missing", code="missing_file")
    picture = phash = pdq = None
    if "picture" in files:
        held = {name: _read_only(values) for name, values in files["picture"].items()}
        index = _short_index(files, "picture", held["phash"])
        picture = PictureTable(index, held["pdq"], held["view"], held["claim"])
    if "phash" in files:
        held = {name: _read_only(values) for name, values in files["phash"].items()}
        phash = PhashTable(_short_index(files, "phash", held["phash"]), held["claim"])
    if "pdq" in files:
        held = {name: _read_only(values) for name, values in files["pdq"].items()}
        entries = tuple(_read_only(values) for values in files["pdq.tables"].values())
        offsets = _split(files, "pdq", long.offset_counts(len(held["pdq"])))
        if len(entries[0]) != len(held["pdq"]):
            raise DoesNotHold("pdq.tables.arrow does not fit pdq.arrow", code="bad_file")
        pdq = PdqTable(long.LongIndex(held["pdq"], entries, offsets), held["claim"])
    return PictureTables(picture, phash, pdq)


def _short_index(files: Mapping[str, Mapping[str, Any]], stem: str, phash: U64) -> short.ShortIndex:
    turned = tuple(_read_only(values) for values in files[f"{stem}.turned"].values())
    if len(turned[0]) > len(phash):
        raise DoesNotHold(f"{stem}.turned.arrow does not fit {stem}.arrow", code="bad_file")
    return short.ShortIndex(phash, turned, _split(files, stem, short.offset_counts(len(turned[0]))))


def _split(files: Mapping[str, Mapping[str, Any]], stem: str, counts: Sequence[int]) -> tuple[U32, ...]:
    """The offsets of each table; how many there are follows from the number of codes."""
    offsets, ends = _read_only(files[f"{stem}.offsets"]["offset"]), np.cumsum(counts)
    if len(offsets) != ends[-1]:
        raise DoesNotHold(f"{stem}.offsets.arrow does not fit {stem}.arrow", code="bad_file")
    return tuple(np.split(offsets, ends[:-1]))


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers, not to be written: as mapped files are, so that one compiled search serves both."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def picture_faults(tables: PictureTables, claims: int) -> Iterator[str]:
    """What is wrong with the picture tables of a segment of `claims` claims."""
    for kind, table in zip(PICTURE_KINDS, tables, strict=True):
        found = "" if table is None else _fault(table, claims)
        if found:
            yield f"{kind.label}.arrow has {found}"


def _fault(table: PictureTable | PhashTable | PdqTable, claims: int) -> str:
    keys: list[npt.NDArray[Any]]
    if isinstance(table, PdqTable):
        found, keys = long.fault(table.lookup), [*table.lookup.code.T]
    else:
        found, keys = short.fault(table.lookup), [table.lookup.code]
    if isinstance(table, PictureTable):
        keys += [*table.pdq.T, table.view]
        if table.view.min() < 1 or table.view.max() >= len(VIEWS):
            return "a view that does not exist"
    if table.claim.max() >= claims:
        return "a claim that does not exist"
    return found or ("" if _ascending([*keys, table.claim]) else "entries out of order")


def _ascending(keys: Sequence[npt.NDArray[Any]]) -> bool:
    """Whether each row is above the one before, by the first key that differs."""
    undecided = np.ones(len(keys[0]) - 1, np.bool_)
    for key in keys:
        if (undecided & (key[1:] < key[:-1])).any():
            return False
        undecided &= key[1:] == key[:-1]
    return not undecided.any()
