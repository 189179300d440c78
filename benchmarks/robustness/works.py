"""The pictures: works that are claimed, and others that have nothing to do with them.

All come with scikit-image: photographs, textures, scans and micrographs, each as a whole and cut into parts
that do not overlap, as works of their own. The others are its faces and,
since there are few pictures, drawn ones whose spectrum falls off as that of photographs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage
from PIL import Image

__all__ = ["Work", "others", "works"]

#: All but those that are tiny, flat, drawn in two colours, or the other half of a stereo pair.
NAMES = (
    "astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png grass.png "
    "gravel.png hubble_deep_field.jpg ihc.png moon.png motorcycle_left.png page.png "
    "retina.jpg rocket.jpg text.png"
).split()

_DATA = Path(skimage.__file__).parent / "data"
_LONGEST, _LEAST_SIDE, _LARGE = 640, 192, 1024
_DRAWN, _DRAWN_SIDE = 1500, 256


class Work(NamedTuple):
    """A picture that somebody claims; parts of one source are not strangers to each other."""

    source: int
    name: str
    image: Image.Image


def works() -> list[Work]:
    """Every picture as a whole and its parts, RGB, 640 pixels at most."""
    found = []
    for number, name in enumerate(NAMES):
        with Image.open(_DATA / name) as file:
            whole = file.convert("RGB")
        for at, box in enumerate([(0, 0, *whole.size), *_parts(*whole.size, upright=number % 2 == 1)]):
            part = whole.crop(box)
            part.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
            found.append(Work(number, f"{Path(name).stem}/{at}", part))
    return found


def _parts(width: int, height: int, *, upright: bool) -> list[tuple[int, int, int, int]]:
    """Boxes of parts: quarters, of small squares halves; none where they would be too small."""
    across, down = (2, 2) if width != height or width >= _LARGE else (2, 1) if upright else (1, 2)
    wide, high = width // across, height // down
    if min(wide, high) < _LEAST_SIDE:
        return []
    places = [(x * wide, y * high) for y in range(down) for x in range(across)]
    return [(x, y, x + wide, y + high) for x, y in places]


def others() -> Iterator[Image.Image]:
    """Pictures that nobody claims: 200 small ones of faces and walls, and drawn ones."""
    for face in np.load(_DATA / "lfw_subset.npy"):
        yield (
            Image.fromarray((face * 255).astype(np.uint8))
            .resize((200, 200), Image.Resampling.BICUBIC)
            .convert("RGB")
        )
    chance = np.random.default_rng(3)
    for _ in range(_DRAWN):
        yield _drawn(chance)


def _drawn(chance: np.random.Generator) -> Image.Image:
    """Noise of which the amplitude falls with the frequency, in three colours that go mostly together."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_DRAWN_SIDE), np.fft.fftfreq(_DRAWN_SIDE)))
    frequency[0, 0] = np.inf
    amplitude = frequency ** -chance.uniform(0.9, 1.6)
    common, own = _noise(chance, amplitude), [_noise(chance, amplitude) for _ in range(3)]
    colours = np.stack([common + 0.4 * part for part in own], axis=-1)
    colours = (colours - colours.mean()) / colours.std() * 55 + 128
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def _noise(chance: np.random.Generator, amplitude: np.ndarray) -> np.ndarray:
    spectrum = np.fft.fft2(chance.standard_normal(amplitude.shape)) * amplitude
    field = np.fft.ifft2(spectrum).real
    return np.asarray(field / field.std())
