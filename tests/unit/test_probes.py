"""The hashes of every orientation, against what the libraries say of the turned picture."""

import io
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from optout.errors import InvalidSelector
from optout.hashes import hash_picture
from optout.probes import ORIENTATIONS, PictureProbes, probes_of_fingerprint, read_pdq, read_phash

PICTURE = Path(skimage.__file__).parent / "data" / "rocket.jpg"
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


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def probes() -> PictureProbes:
    return probes_of_fingerprint(0, hash_picture(PICTURE).fingerprint)


@pytest.mark.parametrize("orientation", range(8), ids=ORIENTATIONS)
def test_turned_hashes_are_near_those_of_the_turned_picture(probes: PictureProbes, orientation: int) -> None:
    image, turn = Image.open(PICTURE), TURNS[orientation]
    turned = hash_picture(png(image if turn is None else image.transpose(turn))).views[0]
    at = int(np.flatnonzero((probes.view == 1) & (probes.orientation == orientation))[0])
    assert (int(probes.phash[at]) ^ read_phash(turned.phash)).bit_count() <= 8
    apart = probes.pdq[at] ^ np.array(read_pdq(turned.pdq), np.uint64)
    assert np.bitwise_count(apart).sum() <= 24
    if orientation == 0:
        assert int(probes.phash[at]) == read_phash(turned.phash)
        assert not apart.any()


def test_every_orientation_differs(probes: PictureProbes) -> None:
    whole = probes.phash[probes.view == 1]
    assert len(set(whole.tolist())) == 8


def test_a_part_counts_its_items_from_nought(probes: PictureProbes) -> None:
    three = PictureProbes.joined([probes.of_row(row) for row in (1, 2, 4)])
    part = three.part(2, 3)
    assert sorted(set(part.row.tolist())) == [0, 2]
    assert len(part.row) == 2 * len(probes.row)
    assert part.pdq.shape == (len(part.row), 4)


def test_no_probes_can_be_joined_and_taken_apart() -> None:
    assert len(PictureProbes.joined([]).part(0, 5).row) == 0


def test_what_is_no_fingerprint_is_refused() -> None:
    with pytest.raises(InvalidSelector, match="ofp1"):
        probes_of_fingerprint(0, "ofp9:w")
