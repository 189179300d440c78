"""What `optout hash` says about a picture: digests of its bytes, perceptual hashes of three views of it.

The plain implementation on Pillow, imagehash and pdqhash, which the extra `optout[pictures]` installs.
"""

import hashlib
import io
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.errors import BadInput, InvalidSelector

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "Picture",
    "View",
    "format_fingerprint",
    "hash_picture",
    "parse_fingerprint",
]

MAX_BYTES = 100_000_000
MAX_PIXELS = 100_000_000

#: What is decoded: formats that pictures on the web have, none that runs programs or fetches files.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000")
#: Channel values that differ by no more than this count as one colour, or JPEG noise would hide a border.
_BORDER_TOLERANCE = 12
_LEAST_SIDE = 16
#: Rows of a JPEG that are coded together when colour is sampled at half resolution.
_BLOCK = 16

_VERSION = "ofp1"
_LETTERS = {"whole": "w", "centre": "c", "stripped": "s"}
_VIEW = re.compile(r"([wcs])\.([0-9a-f]{16})\.([0-9a-f]{64})\.(\d{1,3})")

Pixels = npt.NDArray[np.uint8]


class View(NamedTuple):
    """One view of a picture.

    Attributes:
        name: `whole`, `centre` (the centre square) or `stripped` (without uniform borders).
        phash: 64 bits as 16 hexadecimal digits, as `imagehash.phash` prints them.
        pdq: 256 bits as 64 hexadecimal digits, first bit first.
        quality: PDQ's quality, 0 to 100; under 50 the hash is no evidence.
    """

    name: str
    phash: str
    pdq: str
    quality: int


class Picture(NamedTuple):
    """A picture's digests (of the bytes as they are) and its views; equal views are kept once."""

    sha256: str
    md5: str
    fingerprint: str
    views: tuple[View, ...]


def hash_picture(source: str | Path | bytes, *, name: str = "") -> Picture:
    """Digests and perceptual hashes of one picture.

    Args:
        source: a path, or the bytes of the file.
        name: what errors call the picture; the path when left out.

    Raises:
        BadInput: the picture cannot be read, is too large or is none (codes `unreadable_file`, `empty_file`,
            `picture_too_large`, `not_a_picture`), or the extra is not installed (`pictures_not_installed`).
    """
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else _read(Path(source))
    if not data:
        raise BadInput(f"{name} is empty", code="empty_file")
    if len(data) > MAX_BYTES:
        raise BadInput(f"{name} has more than {MAX_BYTES:,} bytes", code="picture_too_large")
    views = _views(_decode(data, name))
    return Picture(
        hashlib.sha256(data).hexdigest(),
        hashlib.md5(data, usedforsecurity=False).hexdigest(),
        format_fingerprint(views),
        views,
    )


def format_fingerprint(views: tuple[View, ...]) -> str:
    """The views as one line of text, the value of a `picture` selector."""
    parts = (f"{_LETTERS[view.name]}.{view.phash}.{view.pdq}.{view.quality}" for view in views)
    return f"{_VERSION}:{'~'.join(parts)}"


def parse_fingerprint(text: str) -> tuple[View, ...]:
    """The views that a fingerprint holds.

    Raises:
        InvalidSelector: it is not a fingerprint of a version known here (code `invalid_fingerprint`).
    """
    version, _, body = text.strip().partition(":")
    if version != _VERSION:
        raise InvalidSelector(f"a fingerprint begins with {_VERSION}:", code="invalid_fingerprint")
    names = {letter: name for name, letter in _LETTERS.items()}
    views = []
    for part in body.split("~"):
        match = _VIEW.fullmatch(part)
        if match is None or int(match[4]) > 100:
            raise InvalidSelector(
                f"{part[:100]!r} is not a view of a fingerprint", code="invalid_fingerprint"
            )
        views.append(View(names[match[1]], match[2], match[3], int(match[4])))
    if len({view.name for view in views}) < len(views):
        raise InvalidSelector("the fingerprint holds a view twice", code="invalid_fingerprint")
    return tuple(views)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}", code="unreadable_file") from error


def _libraries(name: str) -> tuple[ModuleType, ModuleType, ModuleType]:
    """Pillow's Image module, imagehash and pdqhash."""
    try:
        import imagehash
        import pdqhash
        from PIL import Image
    except ImportError as error:
        sentence = f"to hash {name}, install what decodes pictures: pip install optout[pictures]"
        raise BadInput(sentence, code="pictures_not_installed") from error
    return Image, imagehash, pdqhash


def _decode(data: bytes, name: str) -> Pixels:
    """uint8[height, width, 3]: the first frame, upright, on white."""
    image_module, _, _ = _libraries(name)
    image_module.init()
    formats = [form for form in _FORMATS if form in image_module.OPEN]
    try:
        with image_module.open(io.BytesIO(data), formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadInput(f"{name} has more than {MAX_PIXELS:,} pixels", code="picture_too_large")
            return _upright_rgb(image)
    except BadInput:
        raise
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning) as error:
        raise BadInput(f"{name} has more than {MAX_PIXELS:,} pixels", code="picture_too_large") from error
    except Exception as error:  # decoders fail in every way there is on hostile bytes
        raise BadInput(
            f"{name} is not a picture that can be decoded: {error}", code="not_a_picture"
        ) from error


def _upright_rgb(image: "Image") -> Pixels:
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode[0] in "IF":
        return np.repeat(_eight_bits(np.asarray(upright))[:, :, None], 3, axis=2)
    if upright.has_transparency_data:
        seen = upright.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        upright = Image.alpha_composite(paper, seen)
    return np.asarray(upright.convert("RGB"))


def _eight_bits(gray: npt.NDArray[Any]) -> Pixels:
    """Integers of more than 8 bits scaled by their range, floats from 0 to 1."""
    if gray.dtype.kind == "f":
        return np.asarray(np.clip(np.nan_to_num(gray) * 255 + 0.5, 0, 255), np.uint8)
    return np.asarray(np.clip(gray.astype(np.int64) >> 8, 0, 255), np.uint8)


def _views(pixels: Pixels) -> tuple[View, ...]:
    image_module, imagehash, pdqhash = _libraries("it")
    views: list[View] = []
    for name, part in (("whole", pixels), ("centre", _centre(pixels)), ("stripped", _stripped(pixels))):
        part = np.ascontiguousarray(part)
        bits, quality = pdqhash.compute(part)
        pdq = np.packbits(np.asarray(bits, np.uint8)).tobytes().hex()
        view = View(name, str(imagehash.phash(image_module.fromarray(part))), pdq, int(quality))
        if all(view[1:] != other[1:] for other in views):
            views.append(view)
    return tuple(views)


def _centre(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _stripped(pixels: Pixels) -> Pixels:
    """Without uniform borders, whose colour may differ by side; whole when little would be left."""
    before, part = 0, pixels
    while part.size and part.size != before:
        before = part.size
        part = part[_border(part) : len(part) - _border(part[::-1])]
        columns = part.swapaxes(0, 1)
        part = part[:, _border(columns) : len(columns) - _border(columns[::-1])]
    return part if min(part.shape[:2]) >= _LEAST_SIDE else pixels


def _border(rows: Pixels) -> int:
    """How many rows from the first on have all the colour of its first pixel; 0 when all of them have."""
    if not rows.size:
        return 0
    colour = rows[0, 0].astype(np.int16)
    for count, row in enumerate(rows):
        if np.abs(row.astype(np.int16) - colour).max() > _BORDER_TOLERANCE:
            return count + _blurred(rows[count : count + _BLOCK], colour) if count else 0
    return 0


def _blurred(rows: Pixels, colour: npt.NDArray[np.int16]) -> int:
    """How many rows past a border are more border than picture: JPEG smears the edge within its blocks."""
    differences = np.abs(rows.astype(np.int16) - colour).mean(axis=(1, 2))
    return int(np.argmax(differences > differences.max() / 2))
