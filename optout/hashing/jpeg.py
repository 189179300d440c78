"""JPEG through libjpeg-turbo (simplejpeg), where its wheel is there and the file is of a plain kind."""

import numpy as np

from optout.hashing.lanczos import Pixels

__all__ = ["MAX_SCANS", "count_scans", "decode", "has_metadata", "is_jpeg", "read_size"]

#: Progressive files have about ten. Each scan goes over the whole picture, though it may take few bytes.
MAX_SCANS = 500

_START, _SCAN, _APP1 = b"\xff\xd8\xff", 0xDA, 0xE1


def is_jpeg(data: bytes) -> bool:
    """Whether a file begins like a JPEG."""
    return data.startswith(_START)


def count_scans(data: bytes) -> int:
    """How many scans a JPEG can have at most."""
    return data.count(bytes((0xFF, _SCAN)))


def has_metadata(data: bytes) -> bool:
    """Whether a JPEG may hold EXIF or XMP, which can say that it lies on its side."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        if data[place + 1] in (_APP1, _SCAN):
            return data[place + 1] == _APP1
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return True


def read_size(data: bytes) -> tuple[int, int] | None:
    """Width and height, or None where Pillow has to look at it."""
    try:
        import simplejpeg

        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except (ImportError, ValueError):
        return None
    return (int(width), int(height)) if space in ("YCbCr", "Gray") else None


def decode(data: bytes) -> Pixels | None:
    """The Y plane, uint8[rows, columns], or None where Pillow has to judge what is wrong with it."""
    import simplejpeg

    try:
        plane = simplejpeg.decode_jpeg(data, colorspace="GRAY")
    except ValueError:
        return None
    luma: Pixels = np.ascontiguousarray(plane.reshape(plane.shape[:2]))
    return luma
