"""pHash, bit for bit as `imagehash.phash` gives it for a gray picture."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled
from optout.hashing.lanczos import Box, Pixels, resize

__all__ = ["SIDE", "coefficients", "phash", "threshold"]

#: The hash is about the lowest 8 by 8 frequencies of 32 by 32 pixels.
SIDE = 8
_SIZE = 32
#: Coefficients closer to the median than this, of values up to a million, are computed again as scipy does.
_CLOSE = 1e-6

Coefficients = npt.NDArray[np.float64]


def phash(luma: Pixels, box: Box) -> tuple[int, Coefficients]:
    """The 64 bits, first bit highest, and the coefficients they come from.

    Args:
        luma: uint8[rows, columns], C order.
        box: top, left, height and width of the part that is hashed.

    Returns:
        The bits, and float64[8, 8], vertical frequency first.
    """
    pixels = resize(luma, box, _SIZE, _SIZE)
    values = _project(pixels, _BASIS)
    bits, gap = threshold(values)
    if gap < _CLOSE:
        values = coefficients(pixels)
        bits, _ = threshold(values)
    return int(bits), values


def coefficients(pixels: Pixels) -> Coefficients:
    """float64[8, 8], to the last bit what `scipy.fftpack.dct` gives along both axes of uint8[32, 32].

    Of a flat or symmetric picture most coefficients are zero but for rounding, and imagehash compares exactly
    that rounding with a median that is rounding too: then every operation has to be done in scipy's order.
    """
    along_columns = _transform(pixels.T.astype(np.float64)).T
    return np.ascontiguousarray(_transform(along_columns[:SIDE])[:, :SIDE])


def _transform(lines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """DCT-II of every line of 32, as pocketfft has it: by a real FFT, which numpy shares with scipy."""
    sums = lines[:, 2:-1:2] + lines[:, 1:-2:2]
    differences = lines[:, 2:-1:2] - lines[:, 1:-2:2]
    spectrum = np.zeros((len(lines), _SIZE // 2 + 1), np.complex128)
    spectrum[:, 0], spectrum[:, -1] = 2 * lines[:, 0], 2 * lines[:, -1]
    spectrum[:, 1:-1] = sums + 1j * differences
    real = np.fft.irfft(spectrum, _SIZE, norm="forward")
    result = real.copy()
    low, high = np.arange(1, _SIZE // 2), np.arange(_SIZE - 1, _SIZE // 2, -1)
    one = _TURNS[low] * real[:, high] + _TURNS[high] * real[:, low]
    other = _TURNS[low] * real[:, low] - _TURNS[high] * real[:, high]
    result[:, low], result[:, high] = 0.5 * (one + other), 0.5 * (one - other)
    result[:, _SIZE // 2] = real[:, _SIZE // 2] * _TURNS[_SIZE // 2]
    return result


def _cosines() -> npt.NDArray[np.float64]:
    """cos(k pi / 64), the upper half from the lower one by the rule for sums, as pocketfft rounds it."""
    half = _SIZE // 2
    step = math.pi / (2 * _SIZE)
    low = [math.cos(k * step) for k in range(half)]
    right = math.sin(math.pi / 4), math.cos(math.pi / 4)
    high = [math.cos(k * step) * right[0] - math.sin(k * step) * right[1] for k in range(half)]
    return np.array(low + high)


_TURNS = _cosines()
_BASIS = np.array(
    [
        [2 * math.cos(math.pi * frequency * (2 * pixel + 1) / (2 * _SIZE)) for pixel in range(_SIZE)]
        for frequency in range(SIDE)
    ]
)


@compiled
def _project(pixels: Any, basis: Any) -> Any:
    """float64[8, 8]: the lowest coefficients of uint8[32, 32]."""
    count, size = basis.shape
    rows = np.zeros((count, size), np.float64)
    for frequency in range(count):
        for row in range(size):
            by = basis[frequency, row]
            for column in range(size):
                rows[frequency, column] += by * pixels[row, column]
    values = np.zeros((count, count), np.float64)
    for vertical in range(count):
        for horizontal in range(count):
            for column in range(size):
                values[vertical, horizontal] += rows[vertical, column] * basis[horizontal, column]
    return values


@compiled
def threshold(values: Any) -> Any:
    """Which coefficients lie above their median, first bit highest, and how wide the gap there is."""
    flat = values.ravel()
    half = len(flat) // 2
    parted = np.partition(flat, half)
    below = parted[:half].max()
    median = (below + parted[half]) / 2
    bits = np.uint64(0)
    for place in range(len(flat)):
        bits = (bits << np.uint64(1)) | np.uint64(flat[place] > median)
    return bits, parted[half] - below
