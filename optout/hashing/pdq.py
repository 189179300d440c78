"""PDQ of a gray picture, bit for bit as `pdqhash.compute` gives it, with its quality.

PDQ blurs the whole picture four times and then looks at 64 by 64 of its pixels. Each of these is a weighted
sum of the pixels around it, so only those are computed. pdqhash adds up in 32-bit floats along every row and
column; where its rounding could show in a bit or in the quality, the picture is filtered as pdqhash does it.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled
from optout.hashing.box import filter_as_pdqhash
from optout.hashing.lanczos import Box, Pixels

__all__ = ["Pdq", "mirrored", "pdq", "threshold"]

#: Frequencies kept along each axis; the constant is not among them.
SIDE = 16
_GRID = 64
#: pdqhash gives nothing for pictures smaller than this.
_LEAST_SIDE = 5
_GOOD_ENOUGH = 90

#: How far pdqhash's sums in 32 bits may be from ours, times the square root of the longer side: about twice
#: the largest seen in 8,000 pictures (docs/adr/0010-picture-hashing.md).
_PIXEL_ERROR = 1e-4
_LONGEST_MEASURED = 10_000

Coefficients = npt.NDArray[np.float32]


class Pdq(NamedTuple):
    """A hash with where it comes from.

    Attributes:
        words: uint64[4], the hash as a big-endian number: its first 16 hexadecimal digits are the first word.
        quality: 0 to 100.
        coefficients: float32[16, 16], vertical frequency first; all zero for pictures under 5 pixels.
    """

    words: npt.NDArray[np.uint64]
    quality: int
    coefficients: Coefficients


class _Taps(NamedTuple):
    """Each of 64 grid lines is a sum of `counts` lines from `starts` on by `weights` (float32[64, most])."""

    starts: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


def pdq(luma: Pixels, box: Box) -> Pdq:
    """The hash of a part of a gray picture.

    Args:
        luma: uint8[rows, columns], C order.
        box: top, left, height and width of the part that is hashed.
    """
    _, _, rows, columns = box
    if min(rows, columns) < _LEAST_SIDE:
        return Pdq(np.zeros(4, np.uint64), 0, np.zeros((SIDE, SIDE), np.float32))
    longer = max(rows, columns)
    if longer <= _LONGEST_MEASURED:
        grid = _filter_by_taps(luma, box, _taps(rows), _taps(columns))
        least, most = _quality(grid, _PIXEL_ERROR * math.sqrt(longer))
        coefficients = _project(grid, _BASIS)
        words, median = threshold(coefficients)
        if least == most and _is_certain(coefficients, median, _ERRORS, math.sqrt(longer)):
            return Pdq(words, int(most), coefficients)
    grid = filter_as_pdqhash(luma, box, _GRID)
    coefficients = _project(grid, _BASIS)
    return Pdq(threshold(coefficients)[0], int(_quality(grid, 0.0)[0]), coefficients)


def mirrored(luma: Pixels, box: Box) -> Coefficients:
    """The coefficients of a part of a gray picture mirrored, rotated by 180 degrees, and flipped.

    PDQ does not look at the same pixels from the other side, so these are not those of the picture with other
    signs: of small pictures with fine detail more than 31 bits differ. They are not looked at a second time;
    where pdqhash's rounding decides they may be a bit or two off.

    Args:
        luma: uint8[rows, columns], C order.
        box: top, left, height and width of the part.

    Returns:
        float32[3, 16, 16], as of `Pdq`.
    """
    _, _, rows, columns = box
    if min(rows, columns) < _LEAST_SIDE:
        return np.zeros((3, SIDE, SIDE), np.float32)
    down, across, up, back = _taps(rows), _taps(columns), _taps_backwards(rows), _taps_backwards(columns)
    turns = ((down, back), (up, back), (up, across))
    return np.stack([_project(_filter_by_taps(luma, box, *taps), _BASIS) for taps in turns])


@lru_cache(maxsize=128)
def _taps_backwards(size: int) -> _Taps:
    """As `_taps`, with the lines in the opposite order."""
    taps = _taps(size)
    weights = np.zeros_like(taps.weights)
    for place, count in enumerate(taps.counts):
        weights[place, :count] = taps.weights[place, :count][::-1]
    return _Taps((size - taps.starts - taps.counts).astype(np.int32), taps.counts, weights)


@lru_cache(maxsize=128)
def _taps(size: int) -> _Taps:
    """The weights by which two box filters and the choice of every `size / 64`th line bring `size` to 64."""
    window = -(-size // (2 * _GRID))
    weights = np.zeros((_GRID, 2 * window - 1), np.float32)
    starts, counts = np.zeros(_GRID, np.int32), np.zeros(_GRID, np.int32)
    _fill(size, window, starts, counts, weights)
    return _Taps(starts, counts, weights)


@compiled
def _fill(size: int, window: int, starts: Any, counts: Any, weights: Any) -> None:
    after = (window + 2) // 2
    before = window - after
    for place in range(_GRID):
        middle = int((place + 0.5) * size / _GRID)
        low, high = max(middle - before, 0), min(middle + after, size)
        first = max(low - before, 0)
        exact = np.zeros(weights.shape[1], np.float64)
        for line in range(low, high):
            begin, end = max(line - before, 0), min(line + after, size)
            exact[begin - first : end - first] += 1.0 / ((end - begin) * (high - low))
        starts[place], counts[place] = first, min(high - 1 + after, size) - first
        weights[place] = exact


@compiled
def _filter_by_taps(luma: Any, box: Box, down: _Taps, across: _Taps) -> Any:
    """float32[64, 64]."""
    top, left, _, columns = box
    grid = np.empty((_GRID, _GRID), np.float32)
    sums = np.empty(columns, np.float32)
    for place in range(_GRID):
        sums[:] = 0
        for tap in range(down.counts[place]):
            by = down.weights[place, tap]
            line = luma[top + down.starts[place] + tap, left : left + columns]
            for column in range(columns):
                sums[column] += by * np.float32(line[column])
        for other in range(_GRID):
            total = np.float32(0)
            for tap in range(across.counts[other]):
                total += across.weights[other, tap] * sums[across.starts[other] + tap]
            grid[place, other] = total
    return grid


@compiled
def _quality(grid: Any, error: float) -> Any:
    """The least and the most that the quality can be when each value of the grid is off by up to `error`."""
    least = most = 0
    slack = np.float32(error * 2 * 100 / 255)
    for row in range(_GRID):
        for column in range(_GRID):
            if row + 1 < _GRID:
                step = abs((grid[row, column] - grid[row + 1, column]) * np.float32(100) / np.float32(255))
                least += int(max(step - slack, np.float32(0)))
                most += int(step + slack)
            if column + 1 < _GRID:
                step = abs((grid[row, column] - grid[row, column + 1]) * np.float32(100) / np.float32(255))
                least += int(max(step - slack, np.float32(0)))
                most += int(step + slack)
    return min(least // _GOOD_ENOUGH, 100), min(most // _GOOD_ENOUGH, 100)


def _errors() -> npt.NDArray[np.float32]:
    """float32[16, 16]: how far pdqhash's coefficients may be from ours, as `_PIXEL_ERROR`.

    Running sums drift along a line, which the lowest frequencies take for part of the picture.
    """
    errors = np.full((SIDE, SIDE), 1.1e-4, np.float32)
    errors[1], errors[:, 0], errors[0] = 1.8e-4, 2.6e-4, 4.5e-4
    return errors


def _basis() -> npt.NDArray[np.float32]:
    """float32[16, 64]: DCT-II without the constant."""
    scale = float(np.float32(math.sqrt(2.0 / _GRID)))
    turn = math.pi / 2.0 / _GRID
    rows = [[scale * math.cos(turn * (k + 1) * (2 * n + 1)) for n in range(_GRID)] for k in range(SIDE)]
    return np.array(rows, np.float32)


_BASIS, _ERRORS = _basis(), _errors()


@compiled
def _is_certain(values: Any, median: Any, errors: Any, scale: float) -> bool:
    """Whether every coefficient stays on its side of the median when each is off by up to its error."""
    above, below = np.inf, -np.inf
    for row in range(SIDE):
        for column in range(SIDE):
            error = scale * errors[row, column]
            if values[row, column] > median:
                above = min(above, values[row, column] - error)
            else:
                below = max(below, values[row, column] + error)
    return above > below


@compiled
def _project(grid: Any, basis: Any) -> Any:
    """float32[16, 16], every sum from the first to the last in 32 bits, as pdqhash does it."""
    count, size = basis.shape
    rows = np.zeros((count, size), np.float32)
    for frequency in range(count):
        for row in range(size):
            by = basis[frequency, row]
            for column in range(size):
                rows[frequency, column] += by * grid[row, column]
    turned = basis.T.copy()
    values = np.zeros((count, count), np.float32)
    for vertical in range(count):
        for column in range(size):
            by = rows[vertical, column]
            for horizontal in range(count):
                values[vertical, horizontal] += by * turned[column, horizontal]
    return values


@compiled
def threshold(values: Any) -> Any:
    """Which coefficients lie above their median, uint64[4], and the median, which is one of them."""
    flat = values.ravel()
    half = len(flat) // 2
    median = np.partition(flat, half)[:half].max()
    words = np.zeros(4, np.uint64)
    for place in range(len(flat)):
        if flat[place] > median:
            # The first coefficient is the last bit.
            words[3 - place // 64] |= np.uint64(1) << np.uint64(place % 64)
    return words, median
