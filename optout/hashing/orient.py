"""The hashes of a turned or mirrored picture, from the frequencies of the upright one.

Mirroring a picture changes the sign of every odd frequency of one axis; transposing it swaps the axes. Other
than with the bits alone, the median of the changed frequencies is theirs.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from optout.hashing import pdq, phash

__all__ = ["turned_codes"]


def turned_codes(
    frequencies: phash.Coefficients, coefficients: pdq.Coefficients
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Both hashes in the eight orientations of `optout.probes`.

    Args:
        frequencies: float64[8, 8], what pHash is made of.
        coefficients: float32[16, 16], what PDQ is made of.

    Returns:
        uint64[8] and uint64[8, 4].
    """
    first = [phash.bits_of(_turned(frequencies, code, 0)) for code in range(8)]
    second = [pdq.words_of(_turned(coefficients, code, 1)) for code in range(8)]
    return np.array(first, np.uint64), np.stack(second)


def _turned(values: npt.NDArray[Any], orientation: int, first: int) -> npt.NDArray[Any]:
    """The frequencies, of which the lowest kept one has number `first`, after an orientation's change."""
    turned = values.T.copy() if orientation & 4 else values.copy()
    if orientation & 3 in (1, 2):
        turned[:, 1 - first :: 2] *= -1
    if orientation & 3 in (2, 3):
        turned[1 - first :: 2] *= -1
    return turned
