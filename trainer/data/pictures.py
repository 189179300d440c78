"""Decoding: hostile bytes to RGB pixels of the size that is trained."""

import io
import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from trainer.data.shards import BadSample

__all__ = ["Size", "buckets_of", "decode", "nearest_bucket", "open_picture"]

# What Pillow raises for broken content.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, MemoryError)
_MOST_STRETCHED = 2.0
_ORIENTATION = 0x0112
# As the filter reads them.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000")


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def buckets_of(resolution: int, step: int) -> list[Size]:
    """Sizes about as large as a square of `resolution`, from 1:2 to 2:1, sides multiples of `step`."""
    area, sizes = resolution * resolution, set()
    for width in range(step, int(resolution * math.sqrt(_MOST_STRETCHED)) + step, step):
        height = max(step, int(area / width) // step * step)
        if 1 / _MOST_STRETCHED <= width / height <= _MOST_STRETCHED:
            sizes.add(Size(width, height))
    square = resolution // step * step
    return sorted(sizes | {Size(square, square)})


def nearest_bucket(size: Size, buckets: list[Size]) -> Size:
    """The bucket whose aspect ratio is nearest; of equal ones the larger."""
    wanted = math.log(size.width / size.height)

    def rank(bucket: Size) -> tuple[float, int]:
        return abs(math.log(bucket.width / bucket.height) - wanted), -bucket.width * bucket.height

    return min(buckets, key=rank)


def open_picture(content: bytes) -> Image.Image:
    """A picture in a format that is read here, not decoded yet; raises what Pillow raises.

    Formats for which Pillow starts other programs, such as PostScript, are none of them.
    """
    Image.init()
    return Image.open(io.BytesIO(content), formats=[form for form in _FORMATS if form in Image.OPEN])


def decode(content: bytes, buckets: list[Size], *, max_pixels: int) -> npt.NDArray[np.uint8]:
    """A picture in the bucket nearest to its shape: uint8[height, width, 3].

    Turned upright by its EXIF orientation, transparency on white, scaled to cover the bucket, cut in the
    middle.

    Raises:
        BadSample: it is no picture, broken, or has more than `max_pixels` pixels.
    """
    try:
        # Pillow's warning about large pictures: the bound is ours.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = open_picture(content)
            if picture.width * picture.height > max_pixels:
                raise BadSample(
                    f"{picture.width}x{picture.height} pixels are more than data.max_pixels allows"
                )
            return _fit(picture, buckets)
    except Image.DecompressionBombError:
        raise BadSample("more pixels than can be decoded safely") from None
    except _BROKEN as error:
        raise BadSample(f"not a readable picture ({type(error).__name__})") from None


def _fit(picture: Image.Image, buckets: list[Size]) -> npt.NDArray[np.uint8]:
    if picture.getexif().get(_ORIENTATION, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    bucket = nearest_bucket(Size(*picture.size), buckets)
    # JPEG can be decoded at an eighth, a quarter or a half: twice what is needed keeps it sharp.
    picture.draft("RGB", (2 * bucket.width, 2 * bucket.height))
    return np.asarray(ImageOps.fit(_flatten(picture), bucket, Image.Resampling.BICUBIC))


def _eight_bits(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Greys of 16 bits, or from 0 to 1, as Pillow would cut off and not scale them."""
    scaled = np.nan_to_num(grey) * 255 if grey.dtype.kind == "f" else grey.astype(np.int64) >> 8
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def _flatten(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode[0] in "IF":
        picture = Image.fromarray(_eight_bits(np.asarray(picture)))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    return picture.convert("RGB")
