"""What counts as evidence that two pictures are the same: bounds that are data and travel with a snapshot."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from optout.errors import DoesNotHold

__all__ = ["Evidence", "current_evidence", "evidence_record"]

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

#: Bits of a code that have a neighbour to the right in the square the code is, and below it.
_PHASH_ALONG, _PHASH_DOWN = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x00FFFFFFFFFFFFFF)
_PDQ_ALONG = np.uint64(0x7FFF7FFF7FFF7FFF)


@dataclass(frozen=True)
class Evidence:
    """The bounds of the tiers, in bits, and which codes are usable at all.

    Attributes:
        phash: within which a pHash proposes a pair of views; a bare pHash within it is for review.
        match, probable, review: within which PDQ confirms in these tiers; they ascend.
        quality: least quality of PDQ.
        phash_ones, phash_changes, pdq_ones, pdq_changes: least and most bits of a usable code that are set,
            and that differ from their neighbour along one axis of the square that the code is.
    """

    phash: int
    match: int
    probable: int
    review: int
    quality: int
    phash_ones: tuple[int, int]
    phash_changes: tuple[int, int]
    pdq_ones: tuple[int, int]
    pdq_changes: tuple[int, int]

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Evidence":
        """The bounds that a manifest carries under `thresholds`.

        Raises:
            DoesNotHold: they are not all there, or make no sense (`bad_manifest`).
        """
        try:
            pdq, usable = record["pdq"], record["usable"]
            ranges = [_range(usable[name]) for name in _RANGES]
            tiers = (pdq["match"], pdq["probable"], pdq["review"])
            made = cls(record["phash"], *tiers, usable["quality"], *ranges)
            ascending = [0, *tiers, 256]
            if ascending != sorted(ascending) or not (0 <= made.phash <= 64 and 0 <= made.quality <= 100):
                raise ValueError("bounds out of order")
        except (KeyError, TypeError, ValueError) as error:
            reason = f"manifest.json has thresholds that do not hold: {error}"
            raise DoesNotHold(reason, code="bad_manifest") from None
        return made

    def bounds(self) -> npt.NDArray[np.int64]:
        """int64[3]: the widest PDQ distance of each tier."""
        return np.array([self.match, self.probable, self.review], np.int64)

    def usable_phash(self, phash: U64) -> Bools:
        """Which upright pHashes uint64[n] say something about their picture."""
        along = np.bitwise_count((phash ^ (phash >> np.uint64(1))) & _PHASH_ALONG)
        down = np.bitwise_count((phash ^ (phash >> np.uint64(8))) & _PHASH_DOWN)
        ones = np.bitwise_count(phash)
        return (
            _within(ones, self.phash_ones)
            & _within(along, self.phash_changes)
            & _within(down, self.phash_changes)
        )

    def usable_pdq(self, pdq: U64) -> Bools:
        """Which upright PDQ hashes uint64[n, 4] say something about their picture."""
        ones = _total(pdq)
        along = _total((pdq ^ (pdq >> np.uint64(1))) & _PDQ_ALONG)
        # A row of the square is 16 bits: three of four have the one below in the same word.
        below = np.empty_like(pdq)
        below[:, :3] = pdq[:, :3] << np.uint64(16) | pdq[:, 1:] >> np.uint64(48)
        below[:, 3] = pdq[:, 3] << np.uint64(16) | pdq[:, 3] & np.uint64(0xFFFF)
        down = _total(pdq ^ below)
        return (
            _within(ones, self.pdq_ones) & _within(along, self.pdq_changes) & _within(down, self.pdq_changes)
        )

    def usable_views(self, phash: U64, pdq: U64, quality: U8) -> Bools:
        """Which upright views are evidence."""
        return (quality >= self.quality) & self.usable_phash(phash) & self.usable_pdq(pdq)


_RANGES = ("phash_ones", "phash_changes", "pdq_ones", "pdq_changes")


def _range(pair: Any) -> tuple[int, int]:
    least, most = pair
    if type(least) is not int or type(most) is not int or least > most:
        raise ValueError(f"{pair!r} is not a range")
    return least, most


def _within(count: npt.NDArray[Any], bounds: tuple[int, int]) -> Bools:
    return (count >= bounds[0]) & (count <= bounds[1])


def _total(words: U64) -> npt.NDArray[np.int64]:
    bits: npt.NDArray[np.int64] = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return bits


@lru_cache(maxsize=1)
def evidence_record() -> Mapping[str, Any]:
    """What a new snapshot's manifest says under `thresholds`: the bounds of this version, and their rates."""
    content = resources.files("optout").joinpath("evidence.toml").read_bytes()
    return tomllib.loads(content.decode())


@lru_cache(maxsize=1)
def current_evidence() -> Evidence:
    """The bounds of this version of the library."""
    return Evidence.of_record(evidence_record())
