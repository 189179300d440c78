"""The hashes bit for bit against imagehash and pdqhash, and Pillow's resize under them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from optout.hashes import hash_picture
from optout.hashing.lanczos import Box, resize
from optout.hashing.pdq import pdq
from optout.hashing.phash import phash
from optout.hashing.views import boxes
from tests.unit.hashing_support import (
    JPEGS,
    SHIPPED,
    Luma,
    encoded,
    luma_of,
    part,
    pdq_by_pdqhash,
    phash_by_imagehash,
    whole,
)


def our_phash(luma: Luma, box: Box) -> str:
    return f"{phash(luma, box)[0]:016x}"


def our_pdq(luma: Luma, box: Box) -> tuple[str, int]:
    found = pdq(luma, box)
    return "".join(f"{int(word):016x}" for word in found.words), found.quality


def assert_exact(luma: Luma, box: Box) -> None:
    inside = part(luma, box)
    assert our_phash(luma, box) == phash_by_imagehash(inside)
    assert our_pdq(luma, box) == pdq_by_pdqhash(inside)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_view_of_shipped_pictures_has_the_hashes_of_the_libraries(path: Path) -> None:
    luma = luma_of(path)
    views = boxes(luma)
    for box in views.values():
        assert_exact(luma, box)
    # Colour files by their luma alone, as a PNG, so that the whole way from bytes is the same.
    for view in hash_picture(encoded(Image.fromarray(luma))).views:
        inside = part(luma, views[view.name])
        assert view.phash == phash_by_imagehash(inside)
        assert (view.pdq, view.quality) == pdq_by_pdqhash(inside)


@pytest.mark.parametrize("side", [5, 17, 63, 64, 65, 127, 224, 256, 512, 1024])
@pytest.mark.parametrize("shape", [(1.0, 1.0), (0.75, 1.0), (1.0, 0.5)], ids=["square", "wide", "tall"])
def test_every_size_of_a_photograph_has_the_hashes_of_the_libraries(
    side: int, shape: tuple[float, float]
) -> None:
    size = max(int(side * shape[1]), 5), max(int(side * shape[0]), 5)
    luma = np.asarray(Image.fromarray(luma_of(SHIPPED[0])).resize(size))
    assert_exact(luma, whole(luma))


@pytest.mark.parametrize("path", JPEGS, ids=lambda path: path.name)
def test_a_jpeg_is_hashed_by_its_own_luma(path: Path) -> None:
    with Image.open(path) as image:
        image.draft("L", image.size)
        luma = np.asarray(image)
    found = hash_picture(path).views[0]
    assert found.phash == phash_by_imagehash(luma)
    assert (found.pdq, found.quality) == pdq_by_pdqhash(luma)


@pytest.mark.parametrize("path", JPEGS, ids=lambda path: path.name)
def test_a_jpeg_decoded_by_way_of_rgb_is_hashed_nearly_alike(path: Path) -> None:
    found, luma = hash_picture(path).views[0], luma_of(path)
    assert (int(found.phash, 16) ^ int(phash_by_imagehash(luma), 16)).bit_count() <= 2
    assert (int(found.pdq, 16) ^ int(pdq_by_pdqhash(luma)[0], 16)).bit_count() <= 4


def noise(rows: int, columns: int, seed: int, kind: str) -> Luma:
    """Pictures of the kinds in which rounding shows: no content, symmetry, two colours, mere noise."""
    random = np.random.default_rng(seed)
    if kind == "flat":
        return np.full((rows, columns), random.integers(256), np.uint8)
    if kind == "gradient":
        return (np.arange(rows)[:, None] + np.arange(columns) * 2).astype(np.uint8)
    if kind == "symmetric":
        half = random.integers(0, 256, (rows, -(-columns // 2)), np.uint8)
        return np.ascontiguousarray(np.hstack([half, half[:, ::-1]])[:, :columns])
    if kind == "black and white":
        return random.integers(0, 2, (rows, columns), np.uint8) * np.uint8(255)
    grid = Image.fromarray(random.integers(0, 256, (6, 6), np.uint8))
    return np.asarray(grid.resize((columns, rows), Image.Resampling.BICUBIC))


KINDS = st.sampled_from(["flat", "gradient", "symmetric", "black and white", "smooth"])
SIDES = st.integers(5, 300)


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, st.integers(0, 1 << 20), KINDS)
def test_pictures_in_which_rounding_shows_are_hashed_alike(
    rows: int, columns: int, seed: int, kind: str
) -> None:
    luma = noise(rows, columns, seed, kind)
    assert_exact(luma, whole(luma))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 300), st.integers(1, 300), st.integers(0, 1 << 20), KINDS)
def test_any_part_is_resized_as_by_pillow(
    data: st.DataObject, rows: int, columns: int, seed: int, kind: str
) -> None:
    luma = noise(rows, columns, seed, kind)
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    box = top, left, data.draw(st.integers(1, rows - top)), data.draw(st.integers(1, columns - left))
    width, height = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 80))
    expected = Image.fromarray(part(luma, box)).resize((width, height), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(resize(luma, box, width, height), np.asarray(expected))


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 40), st.integers(2_000, 9_000), st.integers(0, 1 << 20), st.booleans(), KINDS)
def test_long_strips_are_hashed_alike(short: int, long: int, seed: int, tall: bool, kind: str) -> None:
    luma = noise(long, short, seed, kind) if tall else noise(short, long, seed, kind)
    assert_exact(luma, whole(luma))
