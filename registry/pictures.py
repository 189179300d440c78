"""Pictures that somebody asks about: hashed in memory, looked up and forgotten."""

import hashlib
import threading
from collections.abc import Sequence
from typing import IO

import numpy as np
import pyarrow as pa
from django.conf import settings

from optout.engine import ItemError, Items
from optout.errors import BadInput
from optout.hashes import Picture, hash_probes
from optout.probes import PictureProbes
from registry.errors import Unavailable

__all__ = ["explain_bad_picture", "hash_asked", "pictures_as_items"]

_REASONS = {
    "empty_file": "The file is empty.",
    "picture_too_large": "The picture has too many pixels or bytes to be read safely.",
    "not_a_picture": (
        "This is not a picture that can be read: the file is damaged, or of a format that is not taken. "
        "JPEG, PNG, WebP, GIF, TIFF, BMP and AVIF are."
    ),
}
#: A large picture takes hundreds of megabytes while it is decoded: so few at a time in one process.
_TURNS = threading.BoundedSemaphore(2)
_PATIENCE = 10.0  # seconds
_BLOCK = 1 << 20


def explain_bad_picture(code: str) -> str:
    """A sentence for whoever sent a picture that cannot be read."""
    return _REASONS.get(code, _REASONS["not_a_picture"])


def hash_asked(file: IO[bytes], *, row: int = 0) -> tuple[Picture, PictureProbes]:
    """Hash a picture that somebody asks about.

    Raises:
        BadInput: it cannot be read; `explain_bad_picture` says it kindly.
        Unavailable: too many are being hashed (`busy`).
    """
    data = file.read(settings.OPTOUT_MAX_PICTURE + 1)
    if len(data) > settings.OPTOUT_MAX_PICTURE:
        raise BadInput("the picture has too many bytes", code="picture_too_large")
    if not _TURNS.acquire(timeout=_PATIENCE):
        raise Unavailable("Too many pictures are being looked up; ask again.", code="busy", retry_after=10)
    try:
        return hash_probes(data, row=row)
    finally:
        _TURNS.release()


def pictures_as_items(files: Sequence[IO[bytes]]) -> Items:
    """Pictures as the items of a question: the digests of the files, and the hashes of every view.

    One that cannot be read is an item in error; its digests are looked up all the same.

    Raises:
        Unavailable: as `hash_asked`.
    """
    digests: list[tuple[str, str]] = []
    probes: list[PictureProbes] = []
    bad: list[int] = []
    for row, file in enumerate(files):
        digests.append(_digests(file))
        try:
            probes.append(hash_asked(file, row=row)[1])
        except BadInput:
            bad.append(row)
    errors = np.zeros(len(files), np.uint8)
    errors[bad] = ItemError.PICTURE
    sha256, md5 = (pa.array([pair[at] for pair in digests], pa.large_string()) for at in (0, 1))
    pictures = PictureProbes.joined(probes)
    return Items(len(files), url_optional=True, sha256=sha256, md5=md5, pictures=pictures, errors=errors)


def _digests(file: IO[bytes]) -> tuple[str, str]:
    """SHA-256 and MD5 of a file, which is left at its beginning."""
    file.seek(0)
    found = [hashlib.sha256(), hashlib.md5()]  # noqa: S324 -- what claims name, not a safeguard
    while block := file.read(_BLOCK):
        for one in found:
            one.update(block)
    file.seek(0)
    return found[0].hexdigest(), found[1].hexdigest()
