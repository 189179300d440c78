"""PDQ's blur, with every rounding of pdqhash: two box filters along rows and columns in 32-bit floats."""

from typing import Any

import numpy as np

from optout.compiled import compiled, inlined

__all__ = ["filter_as_pdqhash"]


@compiled
def filter_as_pdqhash(luma: Any, box: Any, grid: int) -> Any:
    """float32[grid, grid] of the part of uint8[…, …] that `box` (top, left, height, width) gives."""
    top, left, rows, columns = box
    picture = luma[top : top + rows, left : left + columns].astype(np.float32)
    other = np.empty_like(picture)
    for _ in range(2):
        _blur_rows(picture, other, -(-columns // (2 * grid)))
        _blur_columns(other, picture, -(-rows // (2 * grid)))
    result = np.empty((grid, grid), np.float32)
    for row in range(grid):
        for column in range(grid):
            result[row, column] = picture[
                int((row + 0.5) * rows / grid), int((column + 0.5) * columns / grid)
            ]
    return result


@compiled
def _blur_rows(source: Any, target: Any, window: int) -> None:
    """Each pixel becomes the mean of a window about it; the sum moves along and keeps its rounding."""
    rows, columns = source.shape
    ahead = (window + 2) // 2
    for row in range(rows):
        line, blurred = source[row], target[row]
        total = np.float32(0)
        size = 0
        for place in range(1 - ahead, columns):
            if place + ahead <= columns:
                total += line[place + ahead - 1]
                size += 1
            if place + ahead > window:
                total -= line[place + ahead - window - 1]
                size -= 1
            if place >= 0:
                blurred[place] = total / np.float32(size)


@compiled
def _blur_columns(source: Any, target: Any, window: int) -> None:
    """As `_blur_rows`, down the columns, all columns at once."""
    rows, columns = source.shape
    ahead = (window + 2) // 2
    totals = np.zeros(columns, np.float32)
    size = 0
    for place in range(1 - ahead, rows):
        enters, leaves = place + ahead <= rows, place + ahead > window
        if enters:
            size += 1
        if leaves:
            size -= 1
        if enters and leaves:
            gone = source[place + ahead - window - 1]
            _slide(totals, source[place + ahead - 1], gone, np.float32(size), target[place])
        elif enters:
            _add(totals, source[place + ahead - 1])
        else:
            _subtract(totals, source[place + ahead - window - 1])
        if place >= 0 and not (enters and leaves):
            _divide(totals, np.float32(size), target[place])


@inlined
def _slide(totals: Any, enters: Any, leaves: Any, size: Any, target: Any) -> None:
    for column in range(len(totals)):
        total = totals[column] + enters[column] - leaves[column]
        totals[column] = total
        target[column] = total / size


@inlined
def _add(totals: Any, line: Any) -> None:
    for column in range(len(totals)):
        totals[column] += line[column]


@inlined
def _subtract(totals: Any, line: Any) -> None:
    for column in range(len(totals)):
        totals[column] -= line[column]


@inlined
def _divide(totals: Any, by: Any, target: Any) -> None:
    for column in range(len(totals)):
        target[column] = totals[column] / by
