"""Bytes of every format to upright luma and colours."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optout.hashing.decode import decode_luma, decode_rgb
from optout.hashing.lanczos import Pixels
from tests.unit.hashing_support import DATA, encoded

#: What Pillow calls the way back from each EXIF orientation.
UPRIGHT: tuple[Any, ...] = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
FORMS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95},
    "TIFF": {},
}


def photograph(size: tuple[int, int] = (96, 64)) -> Image.Image:
    with Image.open(DATA / "coffee.png") as image:
        return image.convert("RGB").resize(size)


def colours_of(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def luma_of(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB").convert("L"))


def largest_difference(one: Pixels, other: Pixels) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(np.int16) - other).max())


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("form", FORMS)
def test_a_picture_is_turned_upright_as_its_exif_says(form: str, code: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = code
    data = encoded(photograph(), form, exif=exif, **FORMS[form])
    turn = UPRIGHT[code - 1]
    upright = photograph() if turn is None else photograph().transpose(turn)
    assert largest_difference(decode_luma(data, "it"), luma_of(upright)) <= 60
    assert largest_difference(decode_rgb(data, "it"), colours_of(upright)) <= 90
    assert np.abs(decode_rgb(data, "it").astype(np.int16) - colours_of(upright)).mean() < 4


@pytest.mark.parametrize("code", [0, 9, 255])
def test_an_orientation_that_there_is_not_leaves_it_as_it_lies(code: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = code
    np.testing.assert_array_equal(decode_luma(encoded(photograph(), exif=exif), "it"), luma_of(photograph()))


def drafted(data: bytes) -> Pixels:
    """The luma as Pillow reads it out of a JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", image.size)
        return np.asarray(image)


JPEG_OPTIONS: list[dict[str, Any]] = [
    {},
    {"subsampling": 2},
    {"progressive": True},
    {"restart_marker_rows": 1},
    {"keep_rgb": True},
    {"comment": b"by nobody"},
]


@pytest.mark.parametrize("options", JPEG_OPTIONS, ids=lambda options: " ".join(options) or "plain")
@pytest.mark.parametrize("size", [(96, 64), (97, 61), (1, 1), (3, 200)])
def test_a_jpeg_gives_the_luma_that_pillow_drafts(size: tuple[int, int], options: dict[str, Any]) -> None:
    data = encoded(photograph(size), "JPEG", **options)
    np.testing.assert_array_equal(decode_luma(data, "it"), drafted(data))


def test_without_the_fast_decoder_the_luma_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(photograph(), "JPEG")
    fast = decode_luma(data, "it")
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    np.testing.assert_array_equal(decode_luma(data, "it"), fast)


def test_four_colours_of_ink_are_seen_as_pillow_shows_them() -> None:
    data = encoded(photograph().convert("CMYK"), "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode_luma(data, "it"), luma_of(image))
        np.testing.assert_array_equal(decode_rgb(data, "it"), colours_of(image))


def test_what_is_clear_is_white() -> None:
    clear = photograph().convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    paper = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    for form in ("PNG", "WEBP", "TIFF"):
        data = encoded(clear, form, **({"lossless": True, "exact": True} if form == "WEBP" else {}))
        assert largest_difference(decode_luma(data, "it"), luma_of(paper)) <= 1
        assert largest_difference(decode_rgb(data, "it"), colours_of(paper)) <= 1


def test_more_than_eight_bits_are_scaled() -> None:
    gray = luma_of(photograph())
    sixteen = encoded(Image.fromarray(gray.astype(np.uint16) * 257))
    floats = encoded(Image.fromarray(gray.astype(np.float32) / 255), "TIFF")
    broken = encoded(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF")
    np.testing.assert_array_equal(decode_luma(sixteen, "it"), gray)
    np.testing.assert_array_equal(decode_luma(floats, "it"), gray)
    np.testing.assert_array_equal(decode_rgb(sixteen, "it"), np.repeat(gray[:, :, None], 3, axis=2))
    assert not decode_luma(broken, "it").any()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_many_frames_the_first_is_seen(form: str) -> None:
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    first, second = photograph().convert("L"), photograph().convert("L").transpose(UPRIGHT[2])
    data = encoded(first, form, save_all=True, append_images=[second], **options)
    assert largest_difference(decode_luma(data, "it"), np.asarray(first)) <= 2
