"""The three views of a picture: the whole, its centre square, and what uniform borders enclose."""

from typing import Any

import numpy as np

from optout.compiled import compiled
from optout.hashing.lanczos import Box, Pixels

__all__ = ["boxes"]

#: Lumas that differ by no more than this count as one colour, or JPEG noise would hide a border.
_TOLERANCE = 12
_LEAST_SIDE = 16
#: Rows of a JPEG that are coded together when colour is sampled at half resolution.
_BLOCK = 16


def boxes(luma: Pixels) -> dict[str, Box]:
    """Top, left, height and width of every view that differs from those before it.

    A border is what has, from an edge inwards, the luma of its first pixel; each edge has its own, and
    borders within borders go as well. Where less than 16 pixels would be left, there is no border. The centre
    of a picture that is square is the centre square of what its borders enclose: what was padded to a square
    still has the centre that it had before.

    Args:
        luma: uint8[rows, columns], C order.
    """
    whole: Box = (0, 0, *luma.shape)
    stripped = _strip(luma)
    centre = _centre(whole)
    if centre == whole and _centre(stripped) != stripped:
        centre = _centre(stripped)
    views = {"whole": whole}
    for name, box in (("centre", centre), ("stripped", stripped)):
        if box not in views.values():
            views[name] = box
    return views


def _centre(box: Box) -> Box:
    """The largest square in the middle of a box."""
    top, left, rows, columns = box
    side = min(rows, columns)
    return top + (rows - side) // 2, left + (columns - side) // 2, side, side


def _strip(luma: Pixels) -> Box:
    top, left, rows, columns = (int(value) for value in _inside(luma))
    if min(rows, columns) < _LEAST_SIDE:
        return 0, 0, *luma.shape
    return top, left, rows, columns


@compiled
def _inside(luma: Any) -> Any:
    top, left = 0, 0
    rows, columns = luma.shape
    before = -1
    while rows * columns not in (0, before):
        before = rows * columns
        above = _uniform_rows(luma[top : top + rows, left : left + columns])
        below = _uniform_rows(luma[top : top + rows, left : left + columns][::-1])
        top, rows = top + above, max(rows - above - below, 0)
        first = _uniform_columns(luma[top : top + rows, left : left + columns])
        last = _uniform_columns(luma[top : top + rows, left : left + columns][:, ::-1])
        left, columns = left + first, max(columns - first - last, 0)
    return top, left, rows, columns


@compiled
def _uniform_rows(part: Any) -> Any:
    """How many rows from the first on are border; 0 when all of them are."""
    rows, columns = part.shape
    if rows * columns == 0:
        return 0
    colour = np.int64(part[0, 0])
    for row in range(rows):
        for column in range(columns):
            if abs(np.int64(part[row, column]) - colour) > _TOLERANCE:
                return row + _smeared_rows(part[row:], colour) if row else 0
    return 0


@compiled
def _uniform_columns(part: Any) -> Any:
    """How many columns from the first on are border; 0 when all of them are."""
    rows, columns = part.shape
    if rows * columns == 0:
        return 0
    colour = np.int64(part[0, 0])
    # Row by row, as they lie in memory, never further than the shortest border so far.
    count = columns
    for row in range(rows):
        for column in range(count):
            if abs(np.int64(part[row, column]) - colour) > _TOLERANCE:
                count = column
                break
    if count in (0, columns):
        return 0
    return count + _smeared_rows(part[:, count:].T, colour)


@compiled
def _smeared_rows(part: Any, colour: Any) -> Any:
    """How many rows past a border are more border than picture: JPEG smears the edge within its blocks."""
    rows = min(len(part), _BLOCK)
    differences = np.zeros(rows, np.int64)
    for row in range(rows):
        for column in range(part.shape[1]):
            differences[row] += abs(np.int64(part[row, column]) - colour)
    half = differences.max() / 2
    for row in range(rows):
        if differences[row] > half:
            return row
    return 0
