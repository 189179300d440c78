"""Pictures for the tests: drawn here, so that nothing has to be fetched."""

import io
import zlib
from typing import IO

import numpy as np
from PIL import Image

__all__ = ["jpeg", "named", "png_bomb", "white"]


def jpeg(seed: int = 1, side: int = 160, *, quality: int = 90, form: str = "JPEG") -> bytes:
    """A picture with enough in it to be told from others: soft noise of several scales."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((side, side, 3))
    for cells in (3, 5, 9, 17):
        coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), float) / 4
    return _encoded(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), form, quality)


def white(side: int = 120) -> bytes:
    """A picture of nothing."""
    return _encoded(Image.new("RGB", (side, side), "white"), "PNG", 90)


def png_bomb() -> bytes:
    """60,000 x 60,000 pixels in a few kilobytes: the header promises them, the data need not be there."""
    image = io.BytesIO(_encoded(Image.new("1", (8, 8)), "PNG", 90))
    data = bytearray(image.getvalue())
    data[16:24] = (60_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    return bytes(data)


def named(data: bytes, name: str) -> IO[bytes]:
    """The bytes as a file that a form sends."""
    file = io.BytesIO(data)
    file.name = name
    return file


def _encoded(image: Image.Image, form: str, quality: int) -> bytes:
    target = io.BytesIO()
    image.save(target, form, quality=quality)
    return target.getvalue()
