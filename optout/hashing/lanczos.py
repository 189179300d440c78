"""Pillow's Lanczos resize of gray pictures, bit for bit, for results of a few pixels.

`Image.resize` rounds to 8 bits between its two passes, so the order of the passes is part of the result: that
of Pillow 13, whichever Pillow is installed.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled, inlined

__all__ = ["resize"]

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

_LOBES = 3.0
_BITS = 22
_HALF = 1 << (_BITS - 1)
#: Weights are padded to a multiple of this, so that no rest is left to be done one by one.
_LANES = 32
#: Rows that are done together: each weight is then loaded once for all of them.
_ROWS = 4


class _Taps(NamedTuple):
    """Each output pixel is a sum of `weights` (fixed point, `_BITS` after the point) from `starts` on.

    Attributes:
        starts: int32[out], first input pixel.
        counts: int32[out], how many there are.
        weights: int32[out, most], padded with zeros.
    """

    starts: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    weights: npt.NDArray[np.int32]


def resize(luma: Pixels, box: Box, width: int = 32, height: int = 32) -> Pixels:
    """What `Image.fromarray(part).resize((width, height), LANCZOS)` gives for a part of a gray picture.

    Args:
        luma: uint8[rows, columns], C order.
        box: top, left, height and width of the part.
        width: columns of the result.
        height: rows of the result.

    Returns:
        uint8[height, width].
    """
    _, _, rows, columns = box
    across, down = _taps(columns, width), _taps(rows, height)
    result: Pixels
    if rows > height and rows - height > 2 * (columns - width):
        result = _shrink_columns(_shrink_rows(luma, box, down), (0, 0, height, columns), across)
    else:
        result = _shrink_rows(_shrink_columns(luma, box, across), (0, 0, rows, width), down)
    return result


@lru_cache(maxsize=128)
def _taps(size: int, out: int) -> _Taps:
    """The weights that bring `size` pixels to `out`."""
    most = math.ceil(_LOBES * max(size / out, 1.0)) * 2 + 1
    starts, counts = np.zeros(out, np.int32), np.zeros(out, np.int32)
    weights = np.zeros((out, -(-most // _LANES) * _LANES), np.int32)
    _fill(size, starts, counts, weights)
    return _Taps(starts, counts, weights)


@compiled
def _lanczos(x: float) -> float:
    if x == 0.0:
        return 1.0
    if x < -_LOBES or x >= _LOBES:
        return 0.0
    wide, narrow = x * math.pi, x / _LOBES * math.pi
    return math.sin(wide) / wide * (math.sin(narrow) / narrow)


@compiled
def _fill(size: int, starts: Any, counts: Any, weights: Any) -> None:
    scale = size / len(starts)
    stretch = max(scale, 1.0)
    exact = np.empty(weights.shape[1], np.float64)
    for place in range(len(starts)):
        centre = (place + 0.5) * scale
        first = max(int(centre - _LOBES * stretch + 0.5), 0)
        count = min(int(centre + _LOBES * stretch + 0.5), size) - first
        total = 0.0
        for tap in range(count):
            exact[tap] = _lanczos((tap + first - centre + 0.5) * (1.0 / stretch))
            total += exact[tap]
        for tap in range(count):
            weight = exact[tap] / total * (1 << _BITS)
            weights[place, tap] = int(weight + 0.5) if weight >= 0 else int(weight - 0.5)
        starts[place], counts[place] = first, count


@compiled
def _eight_bits(total: Any) -> Any:
    return np.uint8(min(max(total >> _BITS, 0), 255))


@compiled
def _shrink_columns(luma: Any, box: Box, taps: _Taps) -> Any:
    """uint8[rows, out] of a part of uint8[…, …]."""
    top, left, rows, columns = box
    out, most = taps.weights.shape
    result = np.empty((rows, out), np.uint8)
    lines = np.zeros((_ROWS, columns + most), np.uint8)
    for row in range(0, rows, _ROWS):
        together = min(_ROWS, rows - row)
        for line in range(together):
            lines[line, :columns] = luma[top + row + line, left : left + columns]
        for place in range(out):
            weights, first = taps.weights[place], taps.starts[place]
            end = first + most
            sums = _sum_four(
                weights, lines[0, first:end], lines[1, first:end], lines[2, first:end], lines[3, first:end]
            )
            for line in range(together):
                result[row + line, place] = _eight_bits(sums[line])
    return result


@inlined
def _sum_four(weights: Any, one: Any, two: Any, three: Any, four: Any) -> tuple[Any, Any, Any, Any]:
    # Told to stay in 32 bits at every step, the loop becomes vector code.
    a = b = c = d = np.int32(_HALF)
    for tap in range(len(weights)):
        by = weights[tap]
        a = np.int32(a + np.int32(by * np.int32(one[tap])))
        b = np.int32(b + np.int32(by * np.int32(two[tap])))
        c = np.int32(c + np.int32(by * np.int32(three[tap])))
        d = np.int32(d + np.int32(by * np.int32(four[tap])))
    return a, b, c, d


@compiled
def _shrink_rows(luma: Any, box: Box, taps: _Taps) -> Any:
    """uint8[out, columns] of a part of uint8[…, …]."""
    top, left, _, columns = box
    out = len(taps.starts)
    result = np.empty((out, columns), np.uint8)
    sums = np.empty(columns, np.int32)
    for place in range(out):
        sums[:] = _HALF
        for tap in range(taps.counts[place]):
            by = taps.weights[place, tap]
            line = luma[top + taps.starts[place] + tap, left : left + columns]
            for column in range(columns):
                sums[column] = np.int32(sums[column] + np.int32(by * np.int32(line[column])))
        for column in range(columns):
            result[place, column] = _eight_bits(sums[column])
    return result
