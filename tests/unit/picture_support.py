"""Pictures for tests, with hashes that are as far apart as asked for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage

from optout.embeddings.value import format_embedding
from optout.hashes import View, format_fingerprint

__all__ = ["PHOTOGRAPHS", "code", "embedding", "fingerprint", "flipped", "view"]

#: Photographs that scikit-image ships.
PHOTOGRAPHS = [
    Path(skimage.__file__).parent / "data" / name
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
]


def code(seed: int, bits: int) -> int:
    """A number of `bits` bits, half of them set, that looks like the hash of a picture."""
    ones = np.random.default_rng([bits, seed]).permutation(bits)[: bits // 2]
    return sum(1 << int(bit) for bit in ones)


def flipped(number: int, count: int, bits: int) -> int:
    """The number with `count` of its bits changed, as many of either kind as can be."""
    rng = np.random.default_rng(count)
    kinds: list[Sequence[int]] = [
        [bit for bit in range(bits) if number >> bit & 1 == kind] for kind in (0, 1)
    ]
    chosen = [*rng.permutation(kinds[0])[: count // 2], *rng.permutation(kinds[1])[: count - count // 2]]
    for bit in chosen:
        number ^= 1 << int(bit)
    return number


def view(seed: int, *, name: str = "whole", phash: int = 0, pdq: int = 0, quality: int = 100) -> View:
    """A view of picture `seed` whose hashes differ in so many bits from those of the picture itself."""
    near_phash, near_pdq = flipped(code(seed, 64), phash, 64), flipped(code(seed, 256), pdq, 256)
    return View(name, f"{near_phash:016x}", f"{near_pdq:064x}", quality)


def embedding(seed: int, *, near: float = 0.0, model: str = "ViT-B/32@0123456789abcdef") -> str:
    """The embedding of picture `seed`; with `near` something is added to it that has so large a part."""
    rng = np.random.default_rng([seed, 64])
    vector, other = rng.standard_normal((2, 64))
    mixed = vector / np.linalg.norm(vector) + near * other / np.linalg.norm(other)
    return format_embedding(model, mixed / np.linalg.norm(mixed))


def fingerprint(*views: View) -> str:
    return format_fingerprint(tuple(views))
