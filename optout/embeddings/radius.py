"""From the least cosine to the greatest Hamming distance that has to be looked at.

A random plane separates two vectors at the angle t with the probability t / pi (Goemans and Williamson, 1995;
as a hash: Charikar, "Similarity estimation techniques from rounding algorithms", 2002). Of B bits, each the
side of one such plane, Binomial(B, t / pi) differ. The planes of `clip_codes` are orthogonal where they are
not the same rotation's, which only narrows that distribution (Ji et al., "Super-bit LSH", 2012).
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["greatest_angles", "radii"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

#: Angles are rounded up to a multiple of pi / 2048, which costs a bit of 768 at most.
_STEPS = 2048


def greatest_angles(least_cosine: float, norms: F64, shortest: float, longest: float) -> F64:
    """The widest angle, seen from the centre, at which a claim can stand and still be a match.

    A match lies within the chord d, d^2 = 2 - 2 cos, of the query. By the law of cosines the angle is
    acos((|q|^2 + |c|^2 - d^2) / 2 |q| |c|) for a claim of length |c|, widest where |c|^2 = |q|^2 - d^2 (there
    the claim's ray touches the ball around the query) or, when no claim is that long, at the nearest length.

    Args:
        least_cosine: the cosine from which on a pair is a match, of the vectors as they are.
        norms: float64[m], lengths of the centred queries.
        shortest: length of the shortest centred claim.
        longest: length of the longest.

    Returns:
        float64[m], radians; pi where the centre itself would be a match.
    """
    chord = 2 - 2 * least_cosine
    touching = norms**2 - chord
    length = np.clip(np.sqrt(np.maximum(touching, 0)), shortest, longest)
    product = 2 * norms * length
    cosine = np.divide(
        norms**2 + length**2 - chord, product, out=np.full_like(norms, -1.0), where=product > 0
    )
    return np.where((touching <= 0) & (shortest <= 0), np.pi, np.arccos(np.clip(cosine, -1, 1)))


def radii(bits: int, angles: F64, miss: float) -> I64:
    """The least distance that a pair at its angle exceeds with a probability of at most `miss`.

    Args:
        bits: bits compared.
        angles: float64[m], radians.
        miss: probability of looking past a pair.

    Returns:
        int64[m].
    """
    steps = np.ceil(np.clip(angles / np.pi, 0, 1) * _STEPS).astype(np.int64)
    return _quantiles(bits, miss)[steps]


@lru_cache(maxsize=64)
def _quantiles(bits: int, miss: float) -> I64:
    """int64[_STEPS + 1]: that quantile of Binomial(bits, step / _STEPS)."""
    chosen = np.arange(bits + 1)
    factorials = np.array([math.lgamma(count + 1) for count in chosen])
    ways = factorials[-1] - factorials - factorials[::-1]
    share = np.arange(1, _STEPS) / _STEPS
    exponents = ways + chosen * np.log(share)[:, None] + (bits - chosen) * np.log1p(-share)[:, None]
    reached = np.cumsum(np.exp(exponents), axis=1)
    inner = np.minimum((reached < 1 - miss).sum(axis=1), bits)
    return np.concatenate([[0], inner, [bits]]).astype(np.int64)
