"""The hashes of a turned or mirrored picture, from the frequencies of the upright one.

Mirroring a picture changes the sign of every odd frequency of one axis; transposing it swaps the axes. Other
than with the bits alone, the median of the changed frequencies is theirs. PDQ does not look at the same
pixels from the other side, so its frequencies come mirrored already, and only the axes are swapped.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled
from optout.hashing import pdq, phash

__all__ = ["turned_codes"]

_ORIENTATIONS = 8


def turned_codes(
    frequencies: phash.Coefficients, coefficients: pdq.Coefficients
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Both hashes in the eight orientations of `optout.probes`.

    Args:
        frequencies: float64[8, 8], what pHash is made of.
        coefficients: float32[4, 16, 16], what PDQ is made of: of the picture upright, mirrored, rotated by
            180 degrees and flipped.

    Returns:
        uint64[8] and uint64[8, 4].
    """
    found: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]] = _codes(frequencies, coefficients)
    return found


@compiled
def _codes(frequencies: Any, coefficients: Any) -> Any:
    first = np.empty(_ORIENTATIONS, np.uint64)
    second = np.empty((_ORIENTATIONS, 4), np.uint64)
    for orientation in range(_ORIENTATIONS):
        first[orientation] = phash.threshold(_turned(frequencies, orientation))[0]
        # What is mirrored after the axes are swapped was flipped before, and the other way round.
        swapped = orientation & 4
        values = coefficients[-orientation & 3].T.copy() if swapped else coefficients[orientation].copy()
        second[orientation] = pdq.threshold(values)[0]
    return first, second


@compiled
def _turned(values: Any, orientation: int) -> Any:
    """The frequencies, the constant first, after an orientation's change."""
    turned = values.T.copy() if orientation & 4 else values.copy()
    if orientation & 3 in (1, 2):
        turned[:, 1::2] *= -1
    if orientation & 3 in (2, 3):
        turned[1::2] *= -1
    return turned
