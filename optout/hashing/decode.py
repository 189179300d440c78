"""Bytes of any picture to its pixels, within limits that are checked before anything is decoded.

The luma is what every hash is about: the Y plane that a colour JPEG holds, of anything else Pillow's mode `L`
(ITU-R 601), of the first frame, upright, on white. Embeddings are made of the colours.
"""

import io
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from optout.errors import BadInput
from optout.hashing import jpeg
from optout.hashing.lanczos import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MAX_BYTES", "MAX_PIXELS", "MAX_SIDE", "decode_luma", "decode_rgb", "read_picture"]

MAX_BYTES = 100_000_000
#: A little below what Pillow warns of.
MAX_PIXELS = 89_000_000
#: The longest side that JPEG has. Lines of millions of pixels make tables that large.
MAX_SIDE = 65_535

#: What is decoded: formats that pictures on the web have, none that runs programs or fetches files.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000")
_ORIENTATION = 0x0112

_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def read_picture(path: Path) -> bytes:
    """The bytes of a file, no more than one above the limit.

    Raises:
        BadInput: it cannot be read (`unreadable_file`).
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}", code="unreadable_file") from error


def decode_luma(data: bytes, name: str) -> Pixels:
    """The picture as uint8[rows, columns], C order.

    Args:
        data: the bytes of the file.
        name: what errors call the picture.

    Raises:
        BadInput: empty (`empty_file`), beyond a limit (`picture_too_large`), no picture or a broken one
            (`not_a_picture`), or Pillow is missing (`pictures_not_installed`).
    """
    image_module = _check(data, name)
    if jpeg.is_jpeg(data):
        luma = _decode_jpeg(data, name)
        if luma is not None:
            return _turned(luma, _jpeg_orientation(data, image_module))
    return _decode_by_pillow(data, name, image_module, "L")


def decode_rgb(data: bytes, name: str) -> Pixels:
    """The picture as uint8[rows, columns, 3], C order, decoded by Pillow.

    Args and errors as of `decode_luma`.
    """
    return _decode_by_pillow(data, name, _check(data, name), "RGB")


def _check(data: bytes, name: str) -> ModuleType:
    """What of a picture's limits is known before it is opened; Pillow's module `Image` once they are kept."""
    if not data:
        raise BadInput(f"{name} is empty", code="empty_file")
    if len(data) > MAX_BYTES:
        raise BadInput(f"{name} has more than {MAX_BYTES:,} bytes", code="picture_too_large")
    return _pillow(name)


def _decode_jpeg(data: bytes, name: str) -> Pixels | None:
    """The luma, or None where Pillow has to see to the file."""
    size = jpeg.read_size(data)
    if size is None:
        return None
    _check_size(*size, name)
    _check_scans(data, *size, name)
    return jpeg.decode(data)


def _pillow(name: str) -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        sentence = f"to hash {name}, install what decodes pictures: pip install optout[pictures]"
        raise BadInput(sentence, code="pictures_not_installed") from error
    return Image


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise BadInput(f"{name} has more than {MAX_PIXELS:,} pixels", code="picture_too_large")
    if max(width, height) > MAX_SIDE:
        raise BadInput(f"{name} has a side of more than {MAX_SIDE:,} pixels", code="picture_too_large")


def _check_scans(data: bytes, width: int, height: int, name: str) -> None:
    if jpeg.scans_too_much(data, width * height):
        raise BadInput(f"{name} goes over its pixels too many times in scans", code="picture_too_large")


def _decode_by_pillow(data: bytes, name: str, image_module: ModuleType, mode: Literal["L", "RGB"]) -> Pixels:
    image_module.init()
    formats = [form for form in _FORMATS if form in image_module.OPEN]
    try:
        with image_module.open(io.BytesIO(data), formats=formats) as image:
            _check_size(image.width, image.height, name)
            if image.format in ("JPEG", "MPO"):
                _check_scans(data, image.width, image.height, name)
                image.draft(mode, image.size)
            image.load()
            pixels = _luma(image, image_module) if mode == "L" else _rgb(image, image_module)
            return _turned(pixels, _orientation(image))
    except BadInput:
        raise
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning) as error:
        raise BadInput(f"{name} has more than {MAX_PIXELS:,} pixels", code="picture_too_large") from error
    except Exception as error:  # decoders fail in every way there is on hostile bytes
        raise BadInput(f"{name} is not a picture that can be decoded: {_reason(data, error)}",
                       code="not_a_picture") from error  # fmt: skip


def _reason(data: bytes, error: Exception) -> str:
    """What is wrong, in words that help."""
    from PIL import UnidentifiedImageError

    if not isinstance(error, UnidentifiedImageError):
        return str(error) or type(error).__name__
    start = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
        return "it is HEIC, which is not read here; save it as JPEG or PNG"
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        return "it is a drawing in SVG or other XML; save it as PNG"
    return "no picture format that is read here begins like this"


def _luma(image: "Image", image_module: ModuleType) -> Pixels:
    """uint8[rows, columns], on white where it is transparent."""
    if image.mode[0] in "IF":
        return _eight_bits(np.asarray(image))
    if not image.has_transparency_data:
        gray = image if image.mode in ("L", "RGB") else image.convert("RGB")
        return np.asarray(gray.convert("L"))
    seen = image.convert("RGBA")
    paper = image_module.new("L", seen.size, 255)
    return np.asarray(image_module.composite(seen.convert("L"), paper, seen.getchannel("A")))


def _rgb(image: "Image", image_module: ModuleType) -> Pixels:
    """uint8[rows, columns, 3], on white where it is transparent."""
    if image.mode[0] in "IF":
        return np.repeat(_eight_bits(np.asarray(image))[:, :, None], 3, axis=2)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    seen = image.convert("RGBA")
    paper = image_module.new("RGB", seen.size, "white")
    return np.asarray(image_module.composite(seen.convert("RGB"), paper, seen.getchannel("A")))


def _eight_bits(gray: npt.NDArray[Any]) -> Pixels:
    """Integers of more than 8 bits scaled by their range, floats from 0 to 1."""
    if gray.dtype.kind == "f":
        return np.asarray(np.clip(np.nan_to_num(gray) * 255 + 0.5, 0, 255), np.uint8)
    return np.asarray(np.clip(gray.astype(np.int64) >> 8, 0, 255), np.uint8)


def _jpeg_orientation(data: bytes, image_module: ModuleType) -> int:
    if not jpeg.has_metadata(data):
        return 0
    try:
        with image_module.open(io.BytesIO(data), formats=("JPEG", "MPO")) as image:
            return _orientation(image)
    except Exception:  # noqa: BLE001 -- only the metadata is broken: the picture was decoded
        return 0


def _orientation(image: "Image") -> int:
    """The orientation's code in `optout.probes`, one less than EXIF's; upright where the EXIF is broken."""
    try:
        code = image.getexif().get(_ORIENTATION, 1)
        return code - 1 if code in range(1, 9) else 0
    except Exception:  # noqa: BLE001 -- browsers show such a picture as it lies, so do we
        return 0


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    if orientation & 4:
        pixels = pixels.swapaxes(0, 1)
    turned = (pixels, pixels[:, ::-1], pixels[::-1, ::-1], pixels[::-1])[orientation & 3]
    return np.ascontiguousarray(turned)
