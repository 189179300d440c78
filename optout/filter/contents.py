"""What the bytes of a picture say: digests, the hashes to look up, or why it cannot be judged."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import NamedTuple

from optout.errors import BadInput
from optout.probes import PictureProbes
from optout.snapshot import Snapshot
from optout.words import SelectorKind

__all__ = ["Content", "Seen", "Wanted", "is_picture", "look", "look_at_all", "wanted_by"]

#: Pictures by the ends of their names, also those that cannot be decoded here: they are errors then.
_PICTURES = frozenset(
    "jpg jpeg jpe jfif png webp gif bmp tif tiff avif jp2 j2k heic heif jxl svg ppm pgm ico".split()
)
_CHUNK = 8 << 20
_DIGESTS = {SelectorKind.SHA256, SelectorKind.MD5}


class Content(NamedTuple):
    """A file to look at.

    Attributes:
        name: what messages call it.
        size: its bytes.
        read: gives the bytes from one place to another.
        picture: whether it is to be hashed as a picture; otherwise only its digests are taken.
    """

    name: str
    size: int
    read: Callable[[int, int], bytes]
    picture: bool


class Wanted(NamedTuple):
    """What there is to compare files with: claimed digests, claimed hashes of pictures."""

    digests: bool
    hashes: bool


def wanted_by(snapshot: Snapshot) -> Wanted:
    """What the snapshot has something to compare with."""
    return Wanted(
        any(_DIGESTS & segment.tables.keys() for segment in snapshot.segments),
        any(table is not None for segment in snapshot.segments for table in segment.pictures),
    )


class Seen(NamedTuple):
    """What was seen.

    Attributes:
        sha256, md5: of the bytes, in hex.
        probes: its hashes in every orientation, as those of item 0; None of what was not hashed.
        broken: why a picture cannot be judged, or "".
    """

    sha256: str
    md5: str
    probes: PictureProbes | None
    broken: str


def is_picture(name: str) -> bool:
    """Whether a file of that name should be a picture."""
    return PurePosixPath(name).suffix[1:].lower() in _PICTURES


def look(content: Content) -> Seen:
    """Digests and hashes of one file.

    Raises:
        BadInput: nothing that decodes pictures is installed (`pictures_not_installed`).
    """
    if not content.picture:
        return _digests(content, "")
    from optout.hashes import hash_probes
    from optout.hashing.decode import MAX_BYTES

    try:
        # One byte too many is enough to be told that it is too large.
        picture, probes = hash_probes(content.read(0, min(content.size, MAX_BYTES + 1)), name=content.name)
    except BadInput as error:
        if error.code == "pictures_not_installed":
            raise
        return _digests(content, str(error))
    return Seen(picture.sha256, picture.md5, probes, "")


def _digests(content: Content, broken: str) -> Seen:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for start in range(0, content.size, _CHUNK):
        part = content.read(start, min(start + _CHUNK, content.size))
        sha256.update(part)
        md5.update(part)
    return Seen(sha256.hexdigest(), md5.hexdigest(), None, broken)


def look_at_all(contents: Iterable[Content], threads: int) -> Iterator[Seen]:
    """What `contents` are, in their order; the libraries let several threads hash at once."""
    if threads <= 1:
        yield from map(look, contents)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(look, contents)
