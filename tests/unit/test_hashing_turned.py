"""The hashes of every orientation that `hash_probes` gives, against those of the picture turned first."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optout.hashes import hash_picture, hash_probes, is_evidence
from optout.probes import ORIENTATIONS, VIEWS, PictureProbes, probes_of_fingerprint, read_pdq, read_phash
from tests.unit.hashing_support import SHIPPED, encoded

#: What Pillow calls the operations, by orientation code.
TURNS = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
PHOTOGRAPHS = [path for path in SHIPPED if path.stem in ("astronaut", "chelsea", "coffee", "rocket")]


def turned(path: Path, orientation: int) -> bytes:
    with Image.open(path) as image:
        turn = TURNS[orientation]
        upright = image.convert("L")
        return encoded(upright if turn is None else upright.transpose(turn))


def bits_apart(probes: PictureProbes, at: int, data: bytes) -> tuple[int, int]:
    """Of pHash and of PDQ, between a probe and the whole view of a picture."""
    view = hash_picture(data).views[0]
    first = (int(probes.phash[at]) ^ read_phash(view.phash)).bit_count()
    second = np.bitwise_count(probes.pdq[at] ^ np.array(read_pdq(view.pdq), np.uint64)).sum()
    return first, int(second)


@pytest.mark.parametrize("orientation", range(8), ids=ORIENTATIONS)
@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_probes_are_the_hashes_of_the_turned_picture(path: Path, orientation: int) -> None:
    _, probes = hash_probes(turned(path, 0))
    at = int(np.flatnonzero((probes.view == VIEWS.index("whole")) & (probes.orientation == orientation))[0])
    first, second = bits_apart(probes, at, turned(path, orientation))
    assert first <= (0 if orientation == 0 else 2)
    # Only where the rounding of pdqhash's sums decides: just the upright one is looked at a second time.
    assert second <= (0 if orientation == 0 else 2)


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_they_come_nearer_than_those_of_a_fingerprint(path: Path) -> None:
    picture, exact = hash_probes(turned(path, 0))
    derived = probes_of_fingerprint(0, picture.fingerprint)
    others = [(at, turned(path, at)) for at in range(1, 8)]
    near = sum(sum(bits_apart(exact, at, data)) for at, data in others)
    far = sum(sum(bits_apart(derived, at, data)) for at, data in others)
    assert near <= far


def test_there_are_eight_probes_a_view_for_the_row_asked_for() -> None:
    path = PHOTOGRAPHS[0]
    picture, probes = hash_probes(path, row=7)
    assert picture == hash_picture(path)
    assert len(probes.row) == 8 * len(picture.views)
    assert set(probes.row.tolist()) == {7}
    assert probes.quality.tolist() == [view.quality for view in picture.views for _ in range(8)]
    assert all(map(is_evidence, picture.views))
