"""How often unrelated pictures are taken for one another, by tier; printed as optout/evidence.toml has it.

    python -m benchmarks.evidence [TILES]

The pictures are tiles cut at random, of many sizes and shapes, from the photographs that scikit-image ships;
two tiles are unrelated when they come from different scenes. A pair is an item and a claimed picture: it
counts when any view of the one, in any of the eight orientations, meets any view of the other. Tiles are
harder than photographs: many show a texture or a bit of sky and little else.
"""

import argparse
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image
from scipy.stats import chi2

from optout.evidence import Evidence, current_evidence
from optout.hamming import long, short
from optout.hashes import hash_probes
from optout.probes import PictureProbes

#: Photographs by scene: those in one group show the same.
SCENES = (
    ("astronaut.png",),
    ("brick.png",),
    ("camera.png",),
    ("cell.png",),
    ("chelsea.png",),
    ("clock_motion.png",),
    ("coffee.png",),
    ("coins.png",),
    ("grass.png",),
    ("gravel.png",),
    ("hubble_deep_field.jpg",),
    ("ihc.png",),
    ("moon.png",),
    ("motorcycle_left.png", "motorcycle_right.png"),
    ("retina.jpg", "microaneurysms.png"),
    ("rocket.jpg",),
)
ENTRIES = (1_000_000, 10_000_000, 100_000_000)
_LEAST_SIDE = 64
_BLOCK = 4096

I32 = npt.NDArray[np.int32]
#: A rule, and the pairs that it joins: items and claims of one length.
_Joined = tuple[str, I32, I32]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tiles", nargs="?", type=int, default=20_000)
    tiles = parser.parse_args().tiles
    probes, scene = hashed_tiles(tiles)
    pairs, seen = count_pairs(probes, scene, current_evidence())
    print(as_toml(tiles, pairs, seen))


def hashed_tiles(count: int) -> tuple[PictureProbes, npt.NDArray[np.int64]]:
    """Probes of the tiles in all orientations, and the scene of each tile, int64[count]."""
    rng = np.random.default_rng(1)
    folder = Path(skimage.__file__).parent / "data"
    photographs = [[Image.open(folder / name).convert("RGB") for name in names] for names in SCENES]
    parts, scene = [], np.arange(count) % len(SCENES)
    for number in range(count):
        held = photographs[scene[number]]
        tile = _tile(held[int(rng.integers(len(held)))], rng)
        parts.append(hash_probes(tile, name=f"tile {number}", row=number)[1])
    return PictureProbes.joined(parts), scene


def _tile(image: Image.Image, rng: np.random.Generator) -> bytes:
    """A window of the picture: sides from 64 pixels to all of it, small ones as likely as large ones."""
    width, height = (int(_LEAST_SIDE * (side / _LEAST_SIDE) ** rng.random()) for side in image.size)
    left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    file = io.BytesIO()
    image.crop((left, top, left + width, top + height)).save(file, "BMP")
    return file.getvalue()


def count_pairs(
    probes: PictureProbes, scene: npt.NDArray[np.int64], evidence: Evidence
) -> tuple[int, dict[str, int]]:
    """How many unrelated pairs there are, of pictures that are evidence, and how many each rule joins."""
    usable = probes.quality >= evidence.quality
    queries = probes.where(usable)
    upright = queries.orientation == 0
    sound = np.zeros(len(upright), np.bool_)
    sound[upright] = evidence.usable_views(
        queries.phash[upright], queries.pdq[upright], queries.quality[upright]
    )
    claims = queries.where(np.flatnonzero(sound)[np.argsort(queries.phash[sound], kind="stable")])
    items, held = np.unique(queries.row), np.unique(claims.row)
    shared = sum(int((scene[items] == s).sum()) * int((scene[held] == s).sum()) for s in range(len(SCENES)))
    found: dict[str, set[tuple[int, int]]] = {}
    for name, item, claim in itertools.chain(
        _proposed(queries, claims, evidence), _by_pdq(queries, claims, evidence)
    ):
        unrelated = scene[item] != scene[claim]
        found.setdefault(name, set()).update(
            zip(item[unrelated].tolist(), claim[unrelated].tolist(), strict=True)
        )
    return len(items) * len(held) - shared, {name: len(joined) for name, joined in found.items()}


def _proposed(queries: PictureProbes, claims: PictureProbes, evidence: Evidence) -> Iterator[_Joined]:
    """Pairs that pHash joins, and those of them that PDQ confirms in each tier."""
    index = short.make_index(claims.phash)
    for start in range(0, len(queries.row), _BLOCK):
        part = queries.where(np.arange(start, min(start + _BLOCK, len(queries.row))))
        near = short.search(index, part.phash, evidence.phash)
        item, claim = part.row[near.query], claims.row[near.entry]
        apart = np.bitwise_count(part.pdq[near.query] ^ claims.pdq[near.entry]).sum(axis=1)
        yield "phash", item, claim
        for tier, bound in zip(("match", "probable", "review"), evidence.bounds(), strict=True):
            yield tier, item[apart <= bound], claim[apart <= bound]


def _by_pdq(queries: PictureProbes, claims: PictureProbes, evidence: Evidence) -> Iterator[_Joined]:
    """Pairs that PDQ alone joins in each tier."""
    scan = long.LongIndex(claims.pdq, (), ())
    for start in range(0, len(queries.row), _BLOCK):
        part = queries.where(np.arange(start, min(start + _BLOCK, len(queries.row))))
        near = long.search(scan, part.pdq, evidence.review)
        for tier, bound in zip(("match", "probable", "review"), evidence.bounds(), strict=True):
            kept = near.distance <= bound
            yield f"pdq_{tier}", part.row[near.query[kept]], claims.row[near.entry[kept]]


def as_toml(tiles: int, pairs: int, seen: dict[str, int]) -> str:
    """The rates: most that is likely (19 times out of 20) a pair, and for a picture against so many."""
    lines = ["[rates]", f"pictures = {tiles}", f"photographs = {sum(map(len, SCENES))}", f"pairs = {pairs}"]
    for rule in ("match", "probable", "review", "phash", "pdq_match", "pdq_probable", "pdq_review"):
        count = seen.get(rule, 0)
        pair = float(chi2.ppf(0.95, 2 * count + 2)) / 2 / pairs
        queries = [1 - (1 - pair) ** entries for entries in ENTRIES]
        lines += ["", f"[rates.{rule}]", f"seen = {count}", f"pair = {pair:.1e}"]
        lines += [
            f"query_{entries // 1_000_000}m = {rate:.1e}"
            for entries, rate in zip(ENTRIES, queries, strict=True)
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
