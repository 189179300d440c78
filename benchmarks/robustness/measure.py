"""Claims the works, looks every edited picture up, counts what is found: by the engine, and by the peers."""

import multiprocessing
from collections.abc import Sequence
from typing import Any, NamedTuple

import imagehash
import numpy as np
import numpy.typing as npt
import pdqhash
import pyarrow as pa
from PIL import Image

from benchmarks.robustness.edits import EDITS, encoded
from benchmarks.robustness.works import Work, others, works
from optout.engine import Items, Question
from optout.exchange import parse_claims
from optout.hashes import hash_picture, hash_probes
from optout.hashing.decode import decode_rgb
from optout.probes import PictureProbes
from optout.snapshot import Manifest, Snapshot
from optout.words import Use

__all__ = ["COUNTED", "Counts", "Hashed", "Measured", "claim", "find", "hash_file", "measure"]

#: In this order; each of ours counts the stronger tiers too.
COUNTED = ("match", "probable", "review", "imagehash", "pdqhash")

#: What imagehash's users take as similar, and Meta's recommendation for PDQ.
_PHASH_BITS, _PDQ_BITS, _PDQ_QUALITY = 8, 31, 50

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]


class Counts(NamedTuple):
    """Of one edit.

    Attributes:
        recall: share of the works found, by `COUNTED`.
        wrong: int64, pairs found of an item and a work that has nothing to do with it, by `COUNTED`.
        pairs: how many such pairs there are.
    """

    recall: npt.NDArray[np.float64]
    wrong: I64
    pairs: int


class Measured(NamedTuple):
    """Everything the report says.

    Attributes:
        works: how many are claimed.
        refused: how many could not be, as too plain.
        edits: by name.
        others: of pictures that nobody claims; no recall.
    """

    works: int
    refused: int
    edits: dict[str, Counts]
    others: Counts


class Hashed(NamedTuple):
    """One picture as ours and as the peers' see it: phash bool[64], pdq uint8[8, 32] packed, its quality."""

    probes: PictureProbes
    phash: Bools
    pdq: npt.NDArray[np.uint8]
    quality: int


def measure(processes: int) -> Measured:
    """Hash every work after every edit; takes about five minutes of one core."""
    claimed, snapshot, refused = claim(works())
    with multiprocessing.Pool(processes) as pool:
        originals = pool.map(hash_file, (encoded(work.image, "PNG") for work in claimed), chunksize=4)
        edited = pool.map(_hash_edits, [work.image for work in claimed], chunksize=2)
        strangers = pool.map(hash_file, (encoded(image, "PNG") for image in others()), chunksize=16)
    source = np.array([work.source for work in claimed])
    edits = {
        name: _count(find(snapshot, [row[at] for row in edited], originals), source, source)
        for at, name in enumerate(EDITS)
    }
    nobody = np.full(len(strangers), -1)
    return Measured(
        len(claimed), refused, edits, _count(find(snapshot, strangers, originals), nobody, source)
    )


def claim(wanted: Sequence[Work]) -> tuple[list[Work], Snapshot, int]:
    """A snapshot in memory that denies the use of every work that can be claimed by its hashes."""
    columns = {
        "selector": ["picture"] * len(wanted),
        "value": [hash_picture(encoded(work.image, "PNG")).fingerprint for work in wanted],
        "ref": [str(at) for at in range(len(wanted))],
    }
    parsed = parse_claims(pa.table(columns))
    usable = sorted(int(ref) for ref in parsed.claims["ref"].to_pylist())
    if len(usable) < len(wanted):
        return *claim([wanted[at] for at in usable])[:2], len(wanted) - len(usable)
    nothing = Snapshot(Manifest(sip_key="00" * 16, segments=(), files={}), "", ())
    return list(wanted), nothing.with_overlay(parsed.claims), 0


def _hash_edits(image: Image.Image) -> list[Hashed]:
    return [hash_file(edit(image)) for edit in EDITS.values()]


def hash_file(data: bytes) -> Hashed:
    """As optout does, and as the READMEs of imagehash and pdqhash say."""
    _, probes = hash_probes(data)
    pixels = decode_rgb(data, "the picture")
    turned, quality = pdqhash.compute_dihedral(pixels)
    packed = np.packbits(np.asarray(turned, np.uint8), axis=1)
    return Hashed(probes, imagehash.phash(Image.fromarray(pixels)).hash.reshape(-1), packed, int(quality))


def find(snapshot: Snapshot, items: Sequence[Hashed], originals: Sequence[Hashed]) -> npt.NDArray[np.bool_]:
    """bool[len(COUNTED), items, works]: what each finds."""
    found = np.zeros((len(COUNTED), len(items), len(originals)), np.bool_)
    probes = PictureProbes.joined([item.probes.of_row(row) for row, item in enumerate(items)])
    question = Question(Use.AI_TRAIN, evidence="review")
    matches = snapshot.judge(Items(length=len(items), pictures=probes), question).matches
    refs: Any = snapshot.segments[0].refs
    work = np.array([int(ref) for ref in refs.take(pa.array(matches.claim)).to_pylist()], np.int64)
    for tier in range(3):
        counts = matches.tier <= tier
        found[tier, matches.row[counts], work[counts]] = True
    found[3] = _by_imagehash(items, originals)
    found[4] = _by_pdqhash(items, originals)
    return found


def _by_imagehash(items: Sequence[Hashed], originals: Sequence[Hashed]) -> Bools:
    ours, theirs = (np.stack([item.phash for item in group]) for group in (items, originals))
    return np.asarray((ours[:, None] != theirs[None]).sum(axis=2) <= _PHASH_BITS)


def _by_pdqhash(items: Sequence[Hashed], originals: Sequence[Hashed]) -> Bools:
    """Any of the item's eight orientations near the work's upright one."""
    near = np.zeros((len(items), len(originals)), np.bool_)
    held = np.stack([original.pdq[0] for original in originals])
    usable = np.array([original.quality >= _PDQ_QUALITY for original in originals])
    for row, item in enumerate(items):
        apart = np.bitwise_count(item.pdq[:, None] ^ held[None]).sum(axis=2)
        near[row] = (apart <= _PDQ_BITS).any(axis=0) & usable & (item.quality >= _PDQ_QUALITY)
    return near


def _count(found: Bools, item_source: I64, work_source: I64) -> Counts:
    """Item i is work i after an edit, or where it has no source a stranger to all works."""
    strangers = item_source[:, None] != work_source[None]
    own = np.flatnonzero(item_source >= 0)
    recall = found[:, own, own].mean(axis=1) if len(own) else np.zeros(len(COUNTED))
    return Counts(recall, (found & strangers).sum(axis=(1, 2)), int(strangers.sum()))
