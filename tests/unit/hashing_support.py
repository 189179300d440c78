"""Pictures that packages ship, and what the peers' libraries say about pixels."""

import io
from pathlib import Path

import imagehash
import numpy as np
import numpy.typing as npt
import pdqhash
import skimage
from PIL import Image

from optout.hashing.lanczos import Box

Luma = npt.NDArray[np.uint8]

DATA = Path(skimage.__file__).parent / "data"
#: Photographs, drawings, scans and microscopy, 128 to 1,411 pixels wide.
SHIPPED = sorted(path for path in DATA.iterdir() if path.suffix in (".jpg", ".png", ".gif"))
JPEGS = [path for path in SHIPPED if path.suffix == ".jpg"]


def luma_of(path: Path) -> Luma:
    """The picture in gray as Pillow makes it."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").convert("L"))


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def whole(luma: Luma) -> Box:
    """The box of all of it."""
    return 0, 0, luma.shape[0], luma.shape[1]


def part(luma: Luma, box: Box) -> Luma:
    """What a box holds."""
    top, left, rows, columns = box
    return np.ascontiguousarray(luma[top : top + rows, left : left + columns])


def phash_by_imagehash(luma: Luma) -> str:
    """16 hexadecimal digits."""
    return str(imagehash.phash(Image.fromarray(luma)))


def pdq_by_pdqhash(luma: Luma) -> tuple[str, int]:
    """64 hexadecimal digits, and the quality."""
    bits, quality = pdqhash.compute(np.repeat(luma[:, :, None], 3, axis=2))
    return np.packbits(np.asarray(bits, np.uint8)).tobytes().hex(), int(quality)
