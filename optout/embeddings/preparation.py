"""From a picture to what a model is given: a square of pixels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Preparation", "clip_preparation", "copy_detection_preparation"]

Pixels = npt.NDArray[np.uint8]
Triple = tuple[float, float, float]

#: Times the short side, of which the model sees the middle one.
_LONGEST = 16


@dataclass(frozen=True)
class Preparation:
    """How pictures become squares, and what the model subtracts and divides by.

    Attributes:
        side: of the square, in pixels.
        crop: whether the short side is made `side` and the centre cut out (CLIP), or the picture squeezed.
        filter: Pillow's name of the filter, `BICUBIC` or `BILINEAR`.
        mean: by channel, of values from 0 to 1.
        deviation: by channel.
    """

    side: int
    crop: bool
    filter: str
    mean: Triple
    deviation: Triple

    def __str__(self) -> str:
        shape = f"short side {self.side} and centre square" if self.crop else f"{self.side} x {self.side}"
        return f"{shape}, {self.filter.lower()}; mean {self.mean}, deviation {self.deviation}"

    def square(self, pixels: Pixels) -> Pixels:
        """What the model sees of a picture.

        Args:
            pixels: uint8[rows, columns, 3], upright.

        Returns:
            uint8[side, side, 3]; of CLIP bit by bit what clip's own `preprocess` takes.
        """
        from PIL import Image

        image, chosen = Image.fromarray(pixels), Image.Resampling[self.filter]
        if not self.crop:
            return np.asarray(image.resize((self.side, self.side), chosen))
        image = _not_too_long(image)
        short = min(image.size)
        # As torchvision does: the long side rounded down, the place of the square rounded half to even.
        width, height = (self.side * side // short for side in image.size)
        resized = image.resize((width, height), chosen)
        left, top = round((width - self.side) / 2), round((height - self.side) / 2)
        return np.asarray(resized.crop((left, top, left + self.side, top + self.side)))


def _not_too_long(image: "Image") -> "Image":
    """The middle of a strip: a line of pixels as high as the model's square would be gigabytes."""
    longest = _LONGEST * min(image.size)
    width, height = min(image.width, longest), min(image.height, longest)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def clip_preparation(side: int) -> Preparation:
    """That of OpenAI's CLIP models."""
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    return Preparation(side, True, "BICUBIC", mean, deviation)


def copy_detection_preparation(side: int) -> Preparation:
    """That which SSCD's authors give for batches: squeezed, ImageNet's mean and deviation."""
    return Preparation(side, False, "BILINEAR", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
