"""What `optout hash` says about a picture: digests of its bytes, perceptual hashes of three views of it.

What decodes pictures comes with the extra `optout[pictures]`. docs/hashing.md says what the hashes are.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from optout.hashing.decode import MAX_BYTES, MAX_PIXELS, MAX_SIDE, decode_luma, read_picture
from optout.hashing.fingerprint import (
    TOO_PLAIN,
    Picture,
    View,
    format_fingerprint,
    is_evidence,
    parse_fingerprint,
)
from optout.hashing.lanczos import Box, Pixels
from optout.hashing.orient import turned_codes
from optout.hashing.pdq import Pdq, mirrored, pdq
from optout.hashing.phash import Coefficients, phash
from optout.hashing.views import boxes
from optout.probes import VIEWS, PictureProbes

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "TOO_PLAIN",
    "Picture",
    "View",
    "format_fingerprint",
    "hash_picture",
    "hash_probes",
    "is_evidence",
    "parse_fingerprint",
    "picture_probes",
]


class _Hashed(NamedTuple):
    view: View
    box: Box
    frequencies: Coefficients
    pdq: Pdq


def hash_picture(source: str | Path | bytes, *, name: str = "") -> Picture:
    """Digests and perceptual hashes of one picture.

    Args:
        source: a path, or the bytes of the file.
        name: what errors call the picture; the path when left out.

    Raises:
        BadInput: the picture cannot be read, is too large or is none (codes `unreadable_file`, `empty_file`,
            `picture_too_large`, `not_a_picture`), or the extra is not installed (`pictures_not_installed`).
    """
    data, name = _load(source, name)
    return _picture(data, _hash_views(decode_luma(data, name)))


def hash_probes(source: str | Path | bytes, *, name: str = "", row: int = 0) -> tuple[Picture, PictureProbes]:
    """As `hash_picture`, and every view in all eight orientations, to be looked up.

    The orientations come from the frequencies that the hashes are made of, those of PDQ from both sides: they
    are the hashes of the picture turned, but for a few bits of pHash.

    Args:
        source: a path, or the bytes of the file.
        name: what errors call the picture; the path when left out.
        row: the item's number in the probes.

    Raises:
        BadInput: as `hash_picture`.
    """
    data, name = _load(source, name)
    luma = decode_luma(data, name)
    hashed = _hash_views(luma)
    return _picture(data, hashed), _probes(luma, hashed, row)


def picture_probes(data: bytes, *, name: str) -> PictureProbes:
    """The probes alone, as those of item 0, of the bytes of a file: for whoever needs no digests.

    Raises:
        BadInput: as `hash_picture`.
    """
    luma = decode_luma(data, name)
    return _probes(luma, _hash_views(luma), 0)


def _load(source: str | Path | bytes, name: str) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, name or "the picture"
    return read_picture(Path(source)), name or str(source)


def _picture(data: bytes, hashed: list[_Hashed]) -> Picture:
    views = tuple(one.view for one in hashed)
    return Picture(
        hashlib.sha256(data).hexdigest(),
        hashlib.md5(data, usedforsecurity=False).hexdigest(),
        format_fingerprint(views),
        views,
    )


def _hash_views(luma: Pixels) -> list[_Hashed]:
    """The hashes of every view that differ from those of the views before it."""
    found: list[_Hashed] = []
    for name, box in boxes(luma).items():
        bits, frequencies = phash(luma, box)
        codes = pdq(luma, box)
        text = "".join(f"{int(word):016x}" for word in codes.words)
        view = View(name, f"{bits:016x}", text, codes.quality)
        if all(view[1:] != other.view[1:] for other in found):
            found.append(_Hashed(view, box, frequencies, codes))
    return found


def _probes(luma: Pixels, hashed: list[_Hashed], row: int) -> PictureProbes:
    return PictureProbes.joined([_view_probes(luma, one, row) for one in hashed])


def _view_probes(luma: Pixels, hashed: _Hashed, row: int) -> PictureProbes:
    coefficients = np.concatenate([hashed.pdq.coefficients[None], mirrored(luma, hashed.box)])
    phashes, pdqs = turned_codes(hashed.frequencies, coefficients)
    # The upright ones were confirmed by a second look.
    phashes[0], pdqs[0] = int(hashed.view.phash, 16), hashed.pdq.words
    count = len(phashes)
    return PictureProbes(
        row=np.full(count, row, np.int32),
        view=np.full(count, VIEWS.index(hashed.view.name), np.uint8),
        orientation=np.arange(count, dtype=np.uint8),
        phash=phashes,
        pdq=pdqs,
        quality=np.full(count, hashed.view.quality, np.uint8),
    )
