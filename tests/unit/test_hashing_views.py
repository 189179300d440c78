"""Which parts of a picture are its views."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from optout.hashing.lanczos import Box, Pixels
from optout.hashing.views import boxes
from tests.unit.hashing_support import DATA, encoded, part, whole

SIDES = st.integers(16, 90)
WIDTHS = st.integers(0, 40)
GRAYS = st.integers(0, 255)


def rough(rows: int, columns: int, seed: int) -> Pixels:
    """A picture that is nowhere of one colour: each pixel differs much from its neighbours."""
    random = np.random.default_rng(seed)
    board = np.add.outer(np.arange(rows), np.arange(columns)) % 2
    return (board * 200 + random.integers(0, 50, (rows, columns))).astype(np.uint8)


def bordered(inside: Pixels, widths: tuple[int, int, int, int], grays: tuple[int, int, int, int]) -> Pixels:
    """With borders on top, left, bottom and right, one after the other, each in a gray of its own."""
    for side, (width, gray) in enumerate(zip(widths, grays, strict=True)):
        inside = np.rot90(inside, -side)
        inside = np.vstack([np.full((width, inside.shape[1]), gray, np.uint8), inside])
        inside = np.rot90(inside, side)
    return np.ascontiguousarray(inside)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(0, 9), st.tuples(*[WIDTHS] * 4), st.tuples(*[GRAYS] * 4))
def test_any_uniform_border_is_stripped_to_the_pixel(
    rows: int,
    columns: int,
    seed: int,
    widths: tuple[int, int, int, int],
    grays: tuple[int, int, int, int],
) -> None:
    inside = rough(rows, columns, seed)
    found = boxes(bordered(inside, widths, grays))
    # Sides were put on in turn: top, left, bottom, right, so the box is where the inside went.
    expected: Box = (widths[0], widths[1], rows, columns)
    assert expected in found.values()
    assert found.get("stripped", expected) == expected


@settings(deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.integers(0, 1 << 20), st.integers(1, 6))
def test_views_lie_within_the_picture_and_stripping_again_finds_nothing(
    rows: int, columns: int, seed: int, grains: int
) -> None:
    random = np.random.default_rng(seed)
    grid = Image.fromarray(random.integers(0, 256, (grains, grains), np.uint8))
    luma = np.asarray(grid.resize((columns, rows), Image.Resampling.NEAREST))
    views = boxes(luma)
    assert next(iter(views)) == "whole"
    assert len(set(views.values())) == len(views)
    for top, left, height, width in views.values():
        assert min(top, left) >= 0
        assert top + height <= rows
        assert left + width <= columns
    if "stripped" in views:
        inside = part(luma, views["stripped"])
        assert min(inside.shape) >= 16
        assert "stripped" not in boxes(inside)


@pytest.mark.parametrize(
    ("shape", "box"), [((30, 40), (0, 5, 30, 30)), ((41, 30), (5, 0, 30, 30)), ((30, 30), None)]
)
def test_the_centre_is_a_square(shape: tuple[int, int], box: Box | None) -> None:
    luma = rough(*shape, 1)
    assert boxes(luma).get("centre") == box
    assert boxes(luma)["whole"] == whole(luma)


@pytest.mark.parametrize(
    ("shape", "widths", "centre"),
    [
        ((30, 40), (5, 0, 5, 0), (5, 5, 30, 30)),
        ((41, 30), (0, 5, 0, 6), (5, 5, 30, 30)),
        # Square within its borders: that is the stripped view.
        ((30, 30), (5, 5, 5, 5), None),
        # Not square with them: the centre is that of the whole.
        ((30, 40), (0, 0, 0, 5), (0, 7, 30, 30)),
    ],
)
def test_what_was_padded_to_a_square_keeps_its_centre(
    shape: tuple[int, int], widths: tuple[int, int, int, int], centre: Box | None
) -> None:
    padded = bordered(rough(*shape, 1), widths, (0, 0, 0, 0))
    found = boxes(padded)
    assert found["whole"] == whole(padded)
    assert found["stripped"] == (widths[0], widths[1], *shape)
    assert found.get("centre") == centre


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("colour", ["black", "white", "gray"])
def test_what_jpeg_smears_into_a_border_goes_with_it(colour: str, quality: int) -> None:
    with Image.open(DATA / "coffee.png") as image:
        inside = image.convert("RGB").resize((300, 200))
    padded = ImageOps.pad(inside, (300, 300), color=colour)
    with Image.open(io.BytesIO(encoded(padded, "JPEG", quality=quality))) as image:
        top, left, rows, columns = boxes(np.asarray(image.convert("L")))["stripped"]
    assert (left, columns) == (0, 300)
    assert abs(top - 50) <= 3
    assert abs(top + rows - 250) <= 3
