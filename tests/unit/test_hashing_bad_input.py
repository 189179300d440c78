"""Pictures that are broken, hostile or none: each gets an error that names it, soon and in little memory."""

import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from optout.errors import BadInput
from optout.evidence import current_evidence
from optout.hashes import MAX_PIXELS, TOO_PLAIN, View, hash_picture, hash_probes, is_evidence
from optout.hashing import decode, jpeg
from tests.unit.hashing_support import JPEGS, SHIPPED, encoded

ROCKET = next(path for path in JPEGS if path.stem == "rocket")
PHOTOGRAPH = ROCKET.read_bytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def png_bomb(side: int, kilobytes: int) -> bytes:
    """A PNG of one bit a pixel, all of it zeros, whose compressed data stop after so many kilobytes."""
    header = side.to_bytes(4, "big") * 2 + bytes((1, 0, 0, 0, 0))
    data = zlib.compress(bytes(min(side * (side // 8 + 1), kilobytes << 20)), 9)[: kilobytes << 10]
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gif_of(width: int, height: int, frame: tuple[int, int] = (8, 8), frames: int = 1) -> bytes:
    """A GIF that says it is that large, with frames of another size."""
    small = encoded(Image.new("P", frame), "GIF")
    # Up to its first frame a GIF has six bytes of name, seven of screen, and its table of colours.
    begins = small.index(b",")
    head = small[:6] + width.to_bytes(2, "little") + height.to_bytes(2, "little") + small[10:begins]
    return head + small[begins:-1] * frames + b";"


def heic() -> bytes:
    """How files of telephones begin that save HEIC."""
    box = b"ftypheic\0\0\0\0mif1heic"
    return (len(box) + 4).to_bytes(4, "big") + box + bytes(1000)


def refused(data: bytes, name: str = "some/picture.jpg") -> BadInput:
    with pytest.raises(BadInput) as caught:
        hash_picture(data, name=name)
    assert name in str(caught.value)
    return caught.value


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_a_file_cut_short_is_no_picture(form: str, kept: float) -> None:
    with Image.open(ROCKET) as image:
        data = encoded(image.resize((160, 120)), form)
    assert hash_picture(data).views
    assert refused(data[: int(len(data) * kept)]).code == "not_a_picture"


def test_a_truncated_jpeg_says_what_is_wrong() -> None:
    assert "truncated" in str(refused(PHOTOGRAPH[: len(PHOTOGRAPH) // 2]))


def test_no_bytes_are_no_picture(tmp_path: Path) -> None:
    assert refused(b"").code == "empty_file"
    (tmp_path / "nothing.jpg").touch()
    with pytest.raises(BadInput, match=r"nothing\.jpg is empty"):
        hash_probes(tmp_path / "nothing.jpg")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"This is a text, whatever its name says.\n", "no picture format that is read here"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf \n<svg width="9" height="9"/>', "SVG"),
        (heic(), "HEIC.*save it as JPEG or PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture format"),
        (b"PK\x03\x04" + bytes(100), "no picture format"),
        (bytes(5000), "no picture format"),
    ],
    ids=["text", "svg", "svg with mark", "heic", "postscript", "zip", "zeros"],
)
def test_what_is_no_picture_says_what_it_may_be(data: bytes, sentence: str) -> None:
    error = refused(data)
    assert error.code == "not_a_picture"
    with pytest.raises(BadInput, match=sentence):
        raise error


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG that says it is that large, with the data of a small one."""
    sizes = PHOTOGRAPH.index(b"\xff\xc0") + 5
    said = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return PHOTOGRAPH[:sizes] + said + PHOTOGRAPH[sizes + 4 :]


@pytest.mark.parametrize(
    "data",
    [
        png_bomb(60_000, 50),
        jpeg_of(65_500, 65_500),
        gif_of(65_535, 65_535),
        gif_of(10, 10, frame=(20_000, 6_000)),
        encoded(Image.new("1", (70_000, 3))),
    ],
    ids=["png of 60,000 by 60,000", "jpeg", "screen of a gif", "frame of a gif", "long line"],
)
def test_a_bomb_is_refused_before_it_is_decoded(data: bytes) -> None:
    assert len(data) < 150_000
    started = time.process_time()
    assert refused(data).code == "picture_too_large"
    assert time.process_time() - started < 0.2


def with_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG that repeats its last scan, which costs it some hundred bytes each."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + data[-2:]


def test_a_jpeg_of_many_scans_is_refused_where_they_are_much_work() -> None:
    assert refused(with_scans(4_000, 200)).code == "picture_too_large"
    assert hash_picture(with_scans(64, 200)).views


def test_a_second_scan_of_all_components_ends_the_reading() -> None:
    data = encoded(Image.new("L", (3_000, 3_000), 128), "JPEG")
    scan = data[data.index(b"\xff\xda") : -2]
    started = time.process_time()
    assert refused(data[:-2] + scan * 400 + data[-2:]).code == "not_a_picture"
    assert time.process_time() - started < 0.5


def test_what_a_camera_appends_is_not_taken_for_scans() -> None:
    data = encoded(Image.new("L", (4_000, 4_000), 128), "JPEG", progressive=True)
    assert hash_picture(data + b"\xff\xda" * 500).views == hash_picture(data).views
    # In a segment of its own, as thumbnails are; the last two bytes of the file are its end.
    comment = b"\xff\xfe" + (1002).to_bytes(2, "big") + b"\xff\xda" * 500
    assert hash_picture(data[:2] + comment + data[2:]).views == hash_picture(data).views


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\x01", b"\xff\xda\x00\x02", b"\xff\xfe\x00\x00"])
def test_counting_scans_takes_as_long_as_reading(filler: bytes) -> None:
    begun = encoded(Image.new("L", (9, 9)), "JPEG", progressive=True)[:-2]
    data = begun + filler * (20_000_000 // len(filler)) + b"\xff\xda" * 9
    assert jpeg.scans_too_much(data, 1 << 40)
    started = time.process_time()
    assert jpeg.scans_too_much(data, 1 << 40)
    assert time.process_time() - started < 1


def test_of_a_moving_picture_only_the_first_frame_costs_anything() -> None:
    data = gif_of(500, 400, frame=(500, 400), frames=20_000)
    started = time.process_time()
    assert hash_picture(data).views == hash_picture(gif_of(500, 400, frame=(500, 400))).views
    assert time.process_time() - started < 0.5


def test_the_largest_picture_fits_in_two_gibibytes(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5)
    path = tmp_path / "large.png"
    path.write_bytes(encoded(Image.new("RGBA", (side, side), (10, 20, 30, 128)), compress_level=1))
    script = "import resource, sys; from optout.hashes import hash_picture; hash_picture(sys.argv[1]); "
    script += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    ran = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 2 << 20


def test_too_many_bytes_are_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "long.jpg"
    with path.open("wb") as file:
        file.truncate(decode.MAX_BYTES * 50)
    with pytest.raises(BadInput, match=r"long\.jpg has more than 100,000,000 bytes") as caught:
        hash_picture(path)
    assert caught.value.code == "picture_too_large"


def test_a_folder_and_a_missing_file_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.jpg"):
        with pytest.raises(BadInput, match=path.name) as caught:
            hash_picture(path)
        assert caught.value.code == "unreadable_file"


def test_broken_metadata_do_not_spoil_a_picture() -> None:
    broken = b"\xff\xe1" + (40).to_bytes(2, "big") + b"Exif\0\0II*\0" + b"\xff" * 28
    assert hash_picture(PHOTOGRAPH[:2] + broken + PHOTOGRAPH[2:]).views == hash_picture(PHOTOGRAPH).views


def test_any_bytes_changed_give_hashes_or_the_error() -> None:
    random = np.random.default_rng(4)
    codes: Counter[str] = Counter()
    for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        with Image.open(ROCKET) as image:
            data = encoded(image.resize((64, 48)), form)
        codes.update(code_of(changed(data, random)) for _ in range(60))
    assert codes.keys() == {"", "not_a_picture"}


def changed(data: bytes, random: np.random.Generator) -> bytes:
    """With three other bytes somewhere."""
    octets = np.frombuffer(data, np.uint8).copy()
    octets[random.integers(0, len(octets), 3)] = random.integers(0, 256, 3)
    return octets.tobytes()


def code_of(data: bytes) -> str:
    """Of the error that the picture meets; empty when it has hashes."""
    try:
        return "" if hash_picture(data).views else "no views"
    except BadInput as error:
        return error.code


def plain(kind: str) -> Image.Image:
    steps = np.linspace(0, 255, 256).astype(np.uint8)
    return {
        "white": lambda: Image.new("RGB", (600, 400), "white"),
        "black": lambda: Image.new("L", (64, 64)),
        "transparent": lambda: Image.new("RGBA", (90, 90), (0, 0, 0, 0)),
        "gradient": lambda: Image.fromarray(np.tile(steps, (200, 1))),
        "stripes": lambda: Image.fromarray(np.tile(steps // 32 % 2 * 255, (256, 1)).T.copy()),
        "dot": lambda: ImageOps.expand(Image.new("L", (3, 3)), 200, 255),
    }[kind]()


@pytest.mark.parametrize("kind", ["white", "black", "transparent", "gradient", "stripes", "dot"])
def test_a_plain_picture_is_no_evidence(kind: str) -> None:
    views = hash_picture(encoded(plain(kind))).views
    assert not any(map(is_evidence, views))


#: One of them is a photograph of little but blur.
CLEAR = [path for path in SHIPPED if path.stem != "clock_motion"]


@pytest.mark.parametrize("path", CLEAR, ids=lambda path: path.name)
def test_a_picture_with_something_in_it_is_evidence(path: Path) -> None:
    assert any(map(is_evidence, hash_picture(path).views))


@pytest.mark.parametrize("code", [0, (1 << 64) - 1, 1 << 63, 0xFF << 56, 0x8080808080808080])
def test_codes_without_content_are_plain(code: int) -> None:
    assert not current_evidence().usable_phash(np.array([code], np.uint64))[0]
    assert not is_evidence(View("whole", f"{code:016x}", "a5" * 32, 100))


def test_the_creator_is_told_what_to_do_instead() -> None:
    assert "too plain" in TOO_PLAIN
    assert "address" in TOO_PLAIN
