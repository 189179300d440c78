"""Pictures that somebody asks about: hashed in memory, looked up and forgotten."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa
from django.conf import settings

from optout.engine import ItemError, Items
from optout.errors import BadInput
from optout.hashes import hash_probes
from optout.probes import PictureProbes

__all__ = ["AskedPictures", "explain_bad_picture", "pictures_as_items"]

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


@dataclass(frozen=True)
class AskedPictures:
    """Pictures as the items of a question.

    Attributes:
        items: their digests and the hashes of their views in all orientations, in order.
        problems: by item the code of what keeps a picture from being read.
    """

    items: Items
    problems: Mapping[int, str]


def explain_bad_picture(code: str) -> str:
    """A sentence for whoever sent a picture that cannot be read."""
    return _REASONS.get(code, _REASONS["not_a_picture"])


def pictures_as_items(files: Sequence[IO[bytes]]) -> AskedPictures:
    """Hash pictures. One that cannot be read is an item in error; its digests are looked up all the same."""
    digests: list[tuple[str, str] | None] = []
    probes: list[PictureProbes] = []
    problems: dict[int, str] = {}
    for row, file in enumerate(files):
        data = file.read(settings.OPTOUT_MAX_PICTURE + 1)
        if len(data) > settings.OPTOUT_MAX_PICTURE:
            digests.append(None)
            problems[row] = "picture_too_large"
            continue
        digests.append((hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()))  # noqa: S324
        try:
            with _TURNS:
                probes.append(hash_probes(data, row=row)[1])
        except BadInput as error:
            problems[row] = error.code
    return AskedPictures(_items(digests, probes, list(problems)), problems)


def _items(
    digests: Sequence[tuple[str, str] | None], probes: Sequence[PictureProbes], bad: Sequence[int]
) -> Items:
    errors = np.zeros(len(digests), np.uint8)
    errors[list(bad)] = ItemError.PICTURE
    sha256, md5 = (pa.array([pair and pair[at] for pair in digests], pa.large_string()) for at in (0, 1))
    return Items(
        len(digests),
        url_optional=True,
        sha256=sha256,
        md5=md5,
        pictures=PictureProbes.joined(list(probes)),
        errors=errors,
    )
