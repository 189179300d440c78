"""The hashes of a picture's views, and the text that carries them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from optout.errors import InvalidSelector

__all__ = [
    "LEAST_QUALITY",
    "TOO_PLAIN",
    "Picture",
    "View",
    "format_fingerprint",
    "is_evidence",
    "is_plain_phash",
    "parse_fingerprint",
]

#: PDQ's own bound: below it there is too little in the picture for the hash to mean anything.
LEAST_QUALITY = 50
#: What a creator is told whose picture has no view that is evidence.
TOO_PLAIN = (
    "This picture cannot be matched by hash: it is too plain, and other pictures would be taken for it. "
    "Reserve your rights by its address or by the digest of the file instead."
)

#: In a picture of one colour only the first of 64 coefficients is not zero, so at most one bit is for certain
#: set; whatever has fewer than this many bits of either kind, or in either direction so few changes between
#: neighbours, is a stripe, a gradient or a blank sheet that thousands of pictures share.
_LEAST_BITS = 8
_LEAST_CHANGES = 8

_VERSION = "ofp1"
_LETTERS = {"whole": "w", "centre": "c", "stripped": "s"}
_VIEW = re.compile(r"([wcs])\.([0-9a-f]{16})\.([0-9a-f]{64})\.(\d{1,3})")


class View(NamedTuple):
    """One view of a picture.

    Attributes:
        name: `whole`, `centre` (the centre square) or `stripped` (without uniform borders).
        phash: 64 bits as 16 hexadecimal digits, as `imagehash.phash` prints them.
        pdq: 256 bits as 64 hexadecimal digits, first bit first.
        quality: PDQ's quality, 0 to 100; under 50 the hash is no evidence.
    """

    name: str
    phash: str
    pdq: str
    quality: int


class Picture(NamedTuple):
    """A picture's digests (of the bytes as they are) and its views; equal views are kept once."""

    sha256: str
    md5: str
    fingerprint: str
    views: tuple[View, ...]


def is_evidence(view: View) -> bool:
    """Whether what matches this view says anything: its quality is enough and its pHash is not degenerate."""
    return view.quality >= LEAST_QUALITY and not is_plain_phash(int(view.phash, 16))


def is_plain_phash(code: int) -> bool:
    """Whether a pHash (its 16 digits as a number) is one that pictures without content share.

    Such are those of blank sheets, stripes and gradients: their 64 bits hardly change along a row or down a
    column, or nearly all are alike.
    """
    ones = code.bit_count()
    if not _LEAST_BITS <= ones <= 64 - _LEAST_BITS:
        return True
    along = ((code ^ (code >> 1)) & 0x7F7F7F7F7F7F7F7F).bit_count()
    down = ((code ^ (code >> 8)) & 0x00FFFFFFFFFFFFFF).bit_count()
    return min(along, down) < _LEAST_CHANGES


def format_fingerprint(views: Sequence[View]) -> str:
    """The views as one line of text, the value of a `picture` selector."""
    parts = (f"{_LETTERS[view.name]}.{view.phash}.{view.pdq}.{view.quality}" for view in views)
    return f"{_VERSION}:{'~'.join(parts)}"


def parse_fingerprint(text: str) -> tuple[View, ...]:
    """The views that a fingerprint holds.

    Raises:
        InvalidSelector: it is not a fingerprint of a version known here (code `invalid_fingerprint`).
    """
    version, _, body = text.strip().partition(":")
    if version != _VERSION:
        raise InvalidSelector(f"a fingerprint begins with {_VERSION}:", code="invalid_fingerprint")
    names = {letter: name for name, letter in _LETTERS.items()}
    views = []
    for part in body.split("~"):
        match = _VIEW.fullmatch(part)
        if match is None or int(match[4]) > 100:
            raise InvalidSelector(
                f"{part[:100]!r} is not a view of a fingerprint", code="invalid_fingerprint"
            )
        views.append(View(names[match[1]], match[2], match[3], int(match[4])))
    if len({view.name for view in views}) < len(views):
        raise InvalidSelector("the fingerprint holds a view twice", code="invalid_fingerprint")
    return tuple(views)
