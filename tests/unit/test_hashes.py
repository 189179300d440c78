import hashlib
import sys
from pathlib import Path

import imagehash
import numpy as np
import numpy.typing as npt
import pdqhash
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from optout.errors import BadInput, InvalidSelector
from optout.hashes import Picture, View, format_fingerprint, hash_picture, parse_fingerprint
from tests.unit.hashing_support import encoded


def scene(width: int = 240, height: int = 160, seed: int = 0) -> Image.Image:
    """Smooth blotches of colour, which perceptual hashes like."""
    grid = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8)
    return Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)


def view(picture: Picture, name: str) -> View:
    return next(found for found in picture.views if found.name == name)


def bits_apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_it_gives_the_digests_of_the_bytes_and_the_hashes_of_the_libraries(tmp_path: Path) -> None:
    image = scene()
    data = encoded(image)
    (tmp_path / "a.png").write_bytes(data)
    picture = hash_picture(tmp_path / "a.png")
    assert picture == hash_picture(data)
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.md5 == hashlib.md5(data).hexdigest()
    whole = view(picture, "whole")
    bits, quality = pdqhash.compute(np.asarray(image.convert("L").convert("RGB")))
    assert whole.phash == str(imagehash.phash(image))
    assert whole.pdq == f"{int(''.join(map(str, bits)), 2):064x}"
    assert whole.quality == quality > 50


def test_the_views_of_a_copy_meet_those_of_the_original() -> None:
    original = hash_picture(encoded(scene()))
    cropped = hash_picture(encoded(ImageOps.fit(scene(), (160, 160))))
    padded = hash_picture(encoded(ImageOps.pad(scene(), (256, 256), color="black"), "JPEG", quality=90))
    assert view(cropped, "whole")[1:] == view(original, "centre")[1:]
    assert bits_apart(view(padded, "stripped").phash, view(original, "whole").phash) <= 8
    assert bits_apart(view(padded, "stripped").pdq, view(original, "whole").pdq) <= 31
    assert bits_apart(view(padded, "whole").pdq, view(original, "whole").pdq) > 52


def test_equal_views_are_kept_once() -> None:
    assert [found.name for found in hash_picture(encoded(scene(200, 200))).views] == ["whole"]
    assert [found.name for found in hash_picture(encoded(scene())).views] == ["whole", "centre"]
    assert [found.name for found in hash_picture(encoded(Image.new("RGB", (64, 64), "red"))).views] == [
        "whole"
    ]


def test_a_border_of_two_colours_is_stripped_and_nothing_but_border_stays() -> None:
    framed = ImageOps.expand(ImageOps.expand(scene(), 10, "white"), 7, "navy")
    assert (
        view(hash_picture(encoded(framed)), "stripped")[1:]
        == view(hash_picture(encoded(scene())), "whole")[1:]
    )
    dot = Image.new("RGB", (64, 64), "white")
    dot.putpixel((30, 30), (0, 0, 0))
    assert "stripped" not in [found.name for found in hash_picture(encoded(dot)).views]


def test_orientation_is_honoured() -> None:
    turned = scene().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert hash_picture(encoded(turned, exif=exif)).views == hash_picture(encoded(scene())).views


def test_transparency_is_seen_on_white() -> None:
    mask = Image.new("L", scene().size, 0)
    mask.paste(255, (60, 40, 180, 120))
    clear = scene().convert("RGBA")
    clear.putalpha(mask)
    flat = Image.composite(scene(), Image.new("RGB", scene().size, "white"), mask)
    assert hash_picture(encoded(clear)).views == hash_picture(encoded(flat)).views


def sixteen_bits(gray: npt.NDArray[np.uint8]) -> bytes:
    return encoded(Image.fromarray(gray.astype(np.uint16) * 257))


@pytest.mark.parametrize("form", ["16 bits", "CMYK", "palette", "GIF", "float"])
def test_every_pixel_format_looks_alike(form: str) -> None:
    gray = scene().convert("L")
    data = {
        "16 bits": lambda: sixteen_bits(np.asarray(gray)),
        "CMYK": lambda: encoded(gray.convert("RGB").convert("CMYK"), "JPEG", quality=95),
        "palette": lambda: encoded(gray.convert("P")),
        "GIF": lambda: encoded(gray, "GIF", save_all=True, append_images=[scene(seed=5).convert("L")]),
        "float": lambda: encoded(Image.fromarray(np.asarray(gray, np.float32) / 255), "TIFF"),
    }[form]()
    found, expected = view(hash_picture(data), "whole"), view(hash_picture(encoded(gray)), "whole")
    assert bits_apart(found.phash, expected.phash) <= 2
    assert bits_apart(found.pdq, expected.pdq) <= 8


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(BadInput, match=r"a\.jpg.*pip install optout\[pictures\]") as caught:
        hash_picture(b"x", name="a.jpg")
    assert caught.value.code == "pictures_not_installed"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2), (17, 16)])
def test_tiny_pictures_have_hashes_too(size: tuple[int, int]) -> None:
    assert view(hash_picture(encoded(scene(*size))), "whole").quality <= 100


digits = "0123456789abcdef"
view_hashes = st.tuples(
    st.text(digits, min_size=16, max_size=16), st.text(digits, min_size=64, max_size=64), st.integers(0, 100)
)


@given(st.dictionaries(st.sampled_from(["whole", "centre", "stripped"]), view_hashes, min_size=1))
def test_a_fingerprint_reads_back(views: dict[str, tuple[str, str, int]]) -> None:
    given_views = tuple(View(name, *values) for name, values in views.items())
    assert parse_fingerprint(f" {format_fingerprint(given_views)}\n") == given_views


GOOD = format_fingerprint((View("whole", "0" * 16, "f" * 64, 100),))


@pytest.mark.parametrize(
    "text",
    ["", "ofp1:", "ofp2" + GOOD[4:], GOOD + "~", GOOD + GOOD[4:], GOOD.replace(":w", ":x"), GOOD + "1",
     GOOD.upper(), f"{GOOD}~{GOOD[5:]}"],
)  # fmt: skip
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(InvalidSelector) as caught:
        parse_fingerprint(text)
    assert caught.value.code == "invalid_fingerprint"
