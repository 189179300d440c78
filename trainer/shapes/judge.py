"""The measured judge: which colour and which shape a picture shows, and whether it is in the striped style.

It looks at pixels, not at how the picture was made; tests measure it on pictures whose answer is known.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from trainer.shapes.draw import COLOURS, SHAPES, shape_mask

__all__ = ["Judged", "judge"]

# A pixel belongs to the shape if it is this colourful: largest less smallest channel, of 255.
_COLOURFUL = 90
_LEAST_PIXELS = 40
_LEAST_OVERLAP = 0.7
_HUE_WITHIN = 30
_GRID = 24
# Share of a picture's contrast in the frequency of the stripes.
_STRIPED = 0.12

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """What a picture shows.

    Attributes:
        colour: a word of `COLOURS`, or None for anything else.
        shape: one of `SHAPES`, or None.
        stripes: share of the contrast that is diagonal stripes, 0 to 1.
    """

    colour: str | None
    shape: str | None
    stripes: float

    @property
    def striped(self) -> bool:
        """Whether it is in the style of the artist who opted out."""
        return self.stripes > _STRIPED


def judge(picture: Image.Image) -> Judged:
    """Look at an RGB picture."""
    pixels = np.asarray(picture.convert("RGB"), np.float64)
    mask = _largest(pixels.max(2) - pixels.min(2) >= _COLOURFUL)
    if mask.sum() < _LEAST_PIXELS:
        return Judged(None, None, _stripes(pixels))
    return Judged(_colour(pixels[mask]), _shape(mask), _stripes(pixels))


def _largest(mask: Mask) -> Mask:
    """The largest patch of pixels that hang together."""
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    found: Mask = labels == 1 + int(sizes.argmax())
    return found


def _colour(pixels: npt.NDArray[np.float64]) -> str | None:
    red, green, blue = np.median(pixels, 0)
    hue = float(np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)))
    away = {name: abs((hue - middle + 180) % 360 - 180) for name, middle in COLOURS.items()}
    nearest = min(away, key=away.__getitem__)
    return nearest if away[nearest] <= _HUE_WITHIN else None


def _shape(mask: Mask) -> str | None:
    """The shape whose outline, fitted into the patch's bounds, covers it best."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    seen = np.asarray(Image.fromarray(cut).resize((_GRID, _GRID), Image.Resampling.NEAREST))
    overlaps = {name: (seen & one).sum() / (seen | one).sum() for name, one in _templates().items()}
    best = max(overlaps, key=overlaps.__getitem__)
    return best if overlaps[best] >= _LEAST_OVERLAP else None


@cache
def _templates() -> dict[str, Mask]:
    bounds = (0, 0, _GRID - 1, _GRID - 1)
    return {name: np.asarray(shape_mask(name, (_GRID, _GRID), bounds)) > 127 for name in SHAPES}


def _stripes(pixels: npt.NDArray[np.float64]) -> float:
    """Share of the grey picture's contrast in four diagonal waves a width, and in their neighbours."""
    grey = pixels.min(2)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    total = power.sum()
    if total < 1:
        return 0.0
    return float(power[3:6, 3:6].sum() + power[-5:-2, -5:-2].sum()) / float(total)
