"""What the bytes of a picture say: digests, the hashes to look up, or why it cannot be judged."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap
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


class Content(NamedTuple):
    """A file to look at.

    Attributes:
        name: what messages call it.
        size: its bytes.
        read: gives the bytes from one place to another.
        picture: whether it should be a picture.
    """

    name: str
    size: int
    read: Callable[[int, int], bytes]
    picture: bool


class Wanted(NamedTuple):
    """What of a file there is something to compare with: digests, hashes of pictures."""

    sha256: bool
    md5: bool
    hashes: bool


def wanted_by(snapshot: Snapshot) -> Wanted:
    """What the snapshot has something to compare with."""
    kinds = {kind for segment in snapshot.segments for kind in segment.tables}
    hashes = any(table is not None for segment in snapshot.segments for table in segment.pictures)
    return Wanted(SelectorKind.SHA256 in kinds, SelectorKind.MD5 in kinds, hashes)


class Seen(NamedTuple):
    """What was seen.

    Attributes:
        sha256, md5: of the bytes, in hex; None where they are not wanted.
        probes: its hashes in every orientation, as those of item 0; None of what was not hashed.
        broken: why a picture cannot be judged, or "".
    """

    sha256: str | None
    md5: str | None
    probes: PictureProbes | None
    broken: str


def is_picture(name: str) -> bool:
    """Whether a file of that name should be a picture."""
    return name.rpartition(".")[2].lower() in _PICTURES


def look(content: Content, wanted: Wanted) -> Seen:
    """What is wanted of one file.

    Raises:
        BadInput: nothing that decodes pictures is installed (`pictures_not_installed`).
    """
    probes, broken = None, ""
    if content.picture and wanted.hashes:
        from optout.hashes import picture_probes
        from optout.hashing.decode import MAX_BYTES

        try:
            # One byte too many is enough to be told that it is too large.
            data = content.read(0, min(content.size, MAX_BYTES + 1))
            probes = picture_probes(data, name=content.name)
        except BadInput as error:
            if error.code == "pictures_not_installed":
                raise
            broken = str(error)
    sha256 = _digest(content, hashlib.sha256()) if wanted.sha256 else None
    md5 = _digest(content, hashlib.md5(usedforsecurity=False)) if wanted.md5 else None
    return Seen(sha256, md5, probes, broken)


def _digest(content: Content, digest: "hashlib._Hash") -> str:
    for start in range(0, content.size, _CHUNK):
        digest.update(content.read(start, min(start + _CHUNK, content.size)))
    return digest.hexdigest()


def look_at_all(contents: Iterable[tuple[Content, Wanted]], threads: int) -> Iterator[Seen]:
    """What is wanted of `contents`, in their order; the libraries let several threads hash at once."""
    if threads <= 1:
        yield from starmap(look, contents)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda pair: look(*pair), contents)
