"""What of pictures is looked up: the hashes of every view in each of the eight orientations, and embeddings.

A perceptual hash is the signs of the picture's low frequencies. Mirroring a picture changes the sign of every
odd frequency of one axis, transposing it swaps the axes, so the hashes of all eight orientations follow from
one: exactly from the frequencies themselves (`optout.hashes.hash_probes`), within a few bits from the signs
alone, which is all that a client with the text of a fingerprint has.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "ORIENTATIONS",
    "VIEWS",
    "Embeddings",
    "PictureProbes",
    "probes_of_codes",
    "probes_of_fingerprint",
    "read_pdq",
    "read_phash",
    "turned_pdq",
    "turned_phash",
]

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]

#: Names of the views by code; 0 is a bare hash, of which nobody said what it was taken of.
VIEWS = ("unknown", "whole", "centre", "stripped")
#: What has to be done to the item to look like the claim, by code.
ORIENTATIONS = (
    "upright",
    "mirrored",
    "rotated 180",
    "flipped",
    "transposed",
    "rotated 90",
    "transversed",
    "rotated 270",
)
#: By orientation: whether the odd frequencies along x, and along y, change their sign after any swap of axes.
_NEGATES_X = (False, True, True, False, False, True, True, False)
_NEGATES_Y = (False, False, True, True, False, False, True, True)


class PictureProbes(NamedTuple):
    """Hashes to look up, one row for each (item, view, orientation).

    Attributes:
        row: int32[k], the item, ascending.
        view: uint8[k], index into `VIEWS`.
        orientation: uint8[k], index into `ORIENTATIONS`.
        phash: uint64[k], the 16 hexadecimal digits of imagehash read as a number.
        pdq: uint64[k, 4], the 64 hexadecimal digits of PDQ, the first 16 in element 0.
        quality: uint8[k], PDQ's quality, 0 to 100.
    """

    row: I32
    view: U8
    orientation: U8
    phash: U64
    pdq: U64
    quality: U8

    @classmethod
    def none(cls) -> "PictureProbes":
        """Probes of no item."""
        empty = np.empty(0, np.uint8)
        return cls(
            np.empty(0, np.int32), empty, empty, np.empty(0, np.uint64), np.empty((0, 4), np.uint64), empty
        )

    @classmethod
    def joined(cls, parts: "Sequence[PictureProbes]") -> "PictureProbes":
        """The probes of `parts` one after the other, whose rows must ascend through all of them."""
        if not parts:
            return cls.none()
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def of_row(self, row: int) -> "PictureProbes":
        """The same probes as those of item `row`."""
        return self._replace(row=np.full(len(self.row), row, np.int32))

    def where(self, chosen: npt.NDArray[Any]) -> "PictureProbes":
        """The probes for which bool[k] `chosen` is set, or those at the places that it lists."""
        columns: list[Any] = [column[chosen] for column in self]
        return PictureProbes(*columns)

    def part(self, start: int, length: int) -> "PictureProbes":
        """The probes of items `start` to `start + length`, the first of which becomes item 0."""
        first, last = np.searchsorted(self.row, [start, start + length])
        return PictureProbes(
            self.row[first:last] - np.int32(start),
            self.view[first:last],
            self.orientation[first:last],
            self.phash[first:last],
            self.pdq[first:last],
            self.quality[first:last],
        )


class Embeddings(NamedTuple):
    """Embeddings of n items by one model.

    Attributes:
        model: the model's id; vectors of different models are never compared.
        vectors: float16[n, D], of unit length.
        present: bool[n], which items have one.
    """

    model: str
    vectors: npt.NDArray[np.float16]
    present: npt.NDArray[np.bool_]

    def part(self, start: int, length: int) -> "Embeddings":
        """Those of items `start` to `start + length`, the first of which becomes item 0."""
        rows = slice(start, start + length)
        return self._replace(vectors=self.vectors[rows], present=self.present[rows])


def read_phash(text: str) -> int:
    """The number that 16 hexadecimal digits are."""
    return int(text, 16)


def read_pdq(text: str) -> tuple[int, int, int, int]:
    """The four numbers that 64 hexadecimal digits are."""
    return int(text[:16], 16), int(text[16:32], 16), int(text[32:48], 16), int(text[48:64], 16)


def turned_phash(code: U64) -> U64:
    """The hashes uint64[n] in every orientation: uint64[8, n], within a few bits."""
    swapped = _swap(code.reshape(-1, 1), 8)
    return np.stack([(swapped if at >= 4 else code.reshape(-1, 1)) ^ _mask(at, 8) for at in range(8)])[..., 0]


def turned_pdq(code: U64) -> U64:
    """The hashes uint64[n, 4] in every orientation: uint64[8, n, 4], within a few bits."""
    swapped = _swap(code, 16)
    return np.stack([(swapped if at >= 4 else code) ^ _mask(at, 16) for at in range(8)])


def _bits(code: U64, side: int) -> U8:
    """uint64[n, words] as bits uint8[n, side, side], the highest bit of the first word first."""
    octets = np.ascontiguousarray(code.astype(">u8")).view(np.uint8)
    return np.unpackbits(octets, axis=1).reshape(-1, side, side)


def _words(bits: U8) -> U64:
    octets = np.packbits(bits.reshape(len(bits), bits.shape[1] * bits.shape[2]), axis=1)
    return np.ascontiguousarray(octets).view(">u8").astype(np.uint64)


def _swap(code: U64, side: int) -> U64:
    """The code with the axes of its square of bits swapped."""
    return _words(_bits(code, side).swapaxes(1, 2))


def _mask(orientation: int, side: int) -> U64:
    """uint64[1, words]: the bits whose sign the orientation changes."""
    odd = (np.arange(side) & 1).astype(np.uint8)
    along_y = odd[:, None] * np.uint8(_NEGATES_Y[orientation])
    along_x = odd[None, :] * np.uint8(_NEGATES_X[orientation])
    return _words((along_y ^ along_x)[None])


def probes_of_codes(row: I32, view: U8, phash: U64, pdq: U64, quality: U8) -> PictureProbes:
    """All eight orientations of n views, derived from their upright hashes.

    Args:
        row: int32[n], ascending.
        view: uint8[n].
        phash: uint64[n].
        pdq: uint64[n, 4].
        quality: uint8[n].
    """
    count = len(row)
    return PictureProbes(
        row=np.repeat(row, 8).astype(np.int32),
        view=np.repeat(view, 8).astype(np.uint8),
        orientation=np.tile(np.arange(8, dtype=np.uint8), count),
        phash=np.ascontiguousarray(turned_phash(phash).T).reshape(-1),
        pdq=np.ascontiguousarray(turned_pdq(pdq).swapaxes(0, 1)).reshape(-1, 4),
        quality=np.repeat(quality, 8).astype(np.uint8),
    )


def probes_of_fingerprint(row: int, text: str) -> PictureProbes:
    """The probes of item `row`, of which only the fingerprint is known.

    Raises:
        InvalidSelector: it is not a fingerprint (`invalid_fingerprint`).
    """
    from optout.hashes import parse_fingerprint

    views = parse_fingerprint(text)
    return probes_of_codes(
        np.full(len(views), row, np.int32),
        np.array([VIEWS.index(view.name) for view in views], np.uint8),
        np.array([read_phash(view.phash) for view in views], np.uint64),
        np.array([read_pdq(view.pdq) for view in views], np.uint64).reshape(-1, 4),
        np.array([view.quality for view in views], np.uint8),
    )
