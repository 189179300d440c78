"""Pictures to show beside what was drawn. The registry holds none, so those of claims are looked for."""

import tarfile
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path

from PIL import Image

from optout.engine import Question
from optout.errors import BadInput
from optout.filter.contents import is_picture
from optout.snapshot import Snapshot
from trainer.audit.looking import Looker
from trainer.data.pictures import open_picture

__all__ = ["find_claimed", "save_small"]

_SIDE = 512
_MOST_PIXELS = 100_000_000


def find_claimed(
    snapshot: Snapshot, source: Path, claims: Set[str], question: Question, looker: Looker
) -> dict[str, bytes]:
    """The picture that comes nearest to each of `claims`, of those that lie in `source`.

    Args:
        snapshot: the registry's.
        source: a folder of pictures or tars, or a tar.
        claims: ids of claims.
        question: about the use.
        looker: looks at the pictures.

    Raises:
        BadInput: there is nothing there (`no_such_file`), or a tar is none (`bad_tar`).
    """
    found: dict[str, tuple[float, bytes]] = {}
    for picture in _pictures(source):
        answers = snapshot.check([seen.item for seen in looker.look([picture])], question)
        for reason in (reason for answer in answers for reason in (*answer["reasons"], *answer["flags"])):
            known = found.get(reason["claim"])
            if reason["claim"] in claims and (known is None or reason["distance"] < known[0]):
                found[reason["claim"]] = reason["distance"], picture
    return {claim: picture for claim, (_, picture) in found.items()}


def _pictures(source: Path) -> Iterator[bytes]:
    if not source.exists():
        raise BadInput(f"{source}: no such file or directory", code="no_such_file")
    paths = sorted(source.rglob("*")) if source.is_dir() else [source]
    for path in paths:
        if path.suffix.lower() == ".tar":
            yield from _members(path)
        elif is_picture(path.name):
            yield path.read_bytes()


def _members(path: Path) -> Iterator[bytes]:
    try:
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isreg() else None
                if content is not None and is_picture(entry.name):
                    yield content.read()
    except tarfile.TarError as error:
        raise BadInput(f"{path} is not a tar: {error}", code="bad_tar") from error


def save_small(picture: bytes, path: Path) -> bool:
    """Write a picture anew, no larger than is looked at; False if it cannot be decoded."""
    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        with open_picture(picture) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return False
            opened.thumbnail((_SIDE, _SIDE))
            opened.convert("RGB").save(path, "PNG")
        return True
    return False
