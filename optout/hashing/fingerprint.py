"""The hashes of a picture's views, and the text that carries them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from optout.errors import InvalidSelector
from optout.evidence import current_evidence
from optout.probes import read_pdq, read_phash

__all__ = [
    "TOO_PLAIN",
    "Picture",
    "View",
    "format_fingerprint",
    "is_evidence",
    "parse_fingerprint",
]

#: What a creator is told whose picture has no view that is evidence.
TOO_PLAIN = (
    "This picture cannot be matched by hash: it is too plain, and other pictures would be taken for it. "
    "Reserve your rights by its address or by the digest of the file instead."
)

_VERSION = "ofp1"
_LETTERS = {"whole": "w", "centre": "c", "stripped": "s"}
_VIEW = re.compile(r"([wcs])\.([0-9a-f]{16})\.([0-9a-f]{64})\.(\d{1,3})")


class View(NamedTuple):
    """One view of a picture.

    Attributes:
        name: `whole`, `centre` (the centre square; of what borders enclose, where they make the picture
            square) or `stripped` (without uniform borders).
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
    """Whether what matches this view says anything: see `optout.evidence`."""
    phash = np.array([read_phash(view.phash)], np.uint64)
    pdq = np.array([read_pdq(view.pdq)], np.uint64)
    return bool(current_evidence().usable_views(phash, pdq, np.array([view.quality], np.uint8))[0])


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
