"""JPEG through libjpeg-turbo (simplejpeg), where its wheel is there and the file is of a plain kind."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from optout.compiled import compiled
from optout.hashing.lanczos import Pixels

__all__ = ["MAX_SCANNED", "decode", "has_metadata", "is_jpeg", "read_size", "scans_too_much"]

#: Pixels times scans. Each scan of a progressive file goes over the whole picture, though it may take few
#: bytes of the file; as a rule there are ten. This many take some three seconds.
MAX_SCANNED = 3_000_000_000

_SEQUENTIAL = (0xC0, 0xC1)
_START, _SCAN, _END, _APP1 = b"\xff\xd8\xff", 0xDA, 0xD9, 0xE1
#: What after 0xFF begins no segment: 0 says that it is data, 0xFF that more comes, the others stand alone.
_ALONE = np.isin(np.arange(256), [0x00, 0x01, *range(0xD0, 0xD8), 0xFF])


def is_jpeg(data: bytes) -> bool:
    """Whether a file begins like a JPEG."""
    return data.startswith(_START)


def scans_too_much(data: bytes, pixels: int) -> bool:
    """Whether the scans of a picture of so many pixels are more work than `MAX_SCANNED`."""
    if _is_one_scan(data):
        return False
    # Thumbnails, and whatever cameras append, may look like more scans, but never like fewer.
    if data.count(bytes((0xFF, _SCAN))) * pixels <= MAX_SCANNED:
        return False
    return int(_count_scans(np.frombuffer(data, np.uint8), _ALONE)) * pixels > MAX_SCANNED


def _is_one_scan(data: bytes) -> bool:
    """Whether the first scan is the last one that decoders read: sequential, with all components in it."""
    components = b""
    for marker, start in _segments(data):
        if marker in _SEQUENTIAL:
            components = data[start + 5 : start + 6]
        elif marker == _SCAN:
            return data[start : start + 1] == components != b""
    return False


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and place of the content of each segment up to the first scan."""
    marker, place = 0, 2
    while marker != _SCAN and place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        yield marker, place + 4
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")


@compiled
def _count_scans(octets: Any, alone: Any) -> int:
    """Scans up to the end of the picture, without those in segments that hold something else."""
    scans = 0
    place: Any = 2
    while place + 3 < len(octets):
        marker = octets[place + 1]
        if octets[place] != 0xFF or alone[marker]:
            place += 1
        elif marker == _END:
            break
        else:
            scans += marker == _SCAN
            place += 2 + (np.int64(octets[place + 2]) << 8 | np.int64(octets[place + 3]))
    return scans


def has_metadata(data: bytes) -> bool:
    """Whether a JPEG may hold EXIF or XMP, which can say that it lies on its side."""
    for marker, _ in _segments(data):
        if marker in (_APP1, _SCAN):
            return marker == _APP1
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
