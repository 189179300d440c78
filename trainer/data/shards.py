"""Shards: WebDataset tars as img2dataset writes them, and folders of pictures with captions beside them."""

import tarfile
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol

from optout.errors import BadInput
from optout.filter.contents import is_picture
from trainer.data.captions import TEXTS, BadSample, Captions, caption_in, read_json
from trainer.data.files import CoveredFiles, OpenFile

__all__ = ["BadSample", "Raw", "Shard", "find_shards"]

# A folder of millions of pictures is read as shards of this many.
_FOLDER_SHARD = 10_000


class Raw(NamedTuple):
    """An undecoded sample: its name for messages, the picture's bytes, the caption ("" if it has none)."""

    name: str
    picture: bytes
    caption: str


class Shard(Protocol):
    """Some samples that lie together."""

    @property
    def name(self) -> str:
        """What messages and logs call it."""

    def open(self) -> Sequence[str]:
        """Check the shard's digest, if it is a file, and list the names of its samples."""

    def read(self, index: int) -> Raw:
        """Sample number `index` of `open`'s list.

        Raises:
            BadSample: its caption cannot be read.
        """

    def close(self) -> None:
        """Let go of what `open` took; it may be opened again."""


def find_shards(files: CoveredFiles) -> list[Shard]:
    """The shards among the files of a receipt, in the order of their names.

    Raises:
        BadInput: neither a tar nor a picture is among them (`no_pictures`).
    """
    tars = [TarShard(files, name) for name in sorted(files.digests) if name.lower().endswith(".tar")]
    pictures = [name for name in sorted(files.digests) if is_picture(name)]
    captions = Captions(files)
    parts = [pictures[start : start + _FOLDER_SHARD] for start in range(0, len(pictures), _FOLDER_SHARD)]
    shards: list[Shard] = [*tars, *(FolderShard(files, part, captions) for part in parts)]
    if not shards:
        raise BadInput(
            f"{files.folder}: the receipt covers no .tar and no picture; download the rows that were kept "
            "with img2dataset, then filter its output with `optout filter`",
            code="no_pictures",
        )
    return shards


#: Offset and size in a tar.
_Place = tuple[int, int]


class _Member(NamedTuple):
    """Where the parts of a sample lie."""

    name: str
    picture: _Place
    caption: _Place | None
    metadata: _Place | None


class TarShard:
    """A WebDataset tar: `key.jpg`, `key.txt`, `key.json` make a sample."""

    def __init__(self, files: CoveredFiles, name: str) -> None:
        self._files = files
        self._open: OpenFile | None = None
        self._samples: list[_Member] = []
        self.name = name

    def open(self) -> list[str]:
        if self._open is None:
            try:
                self._samples = _index(self._content(), self.name)
            except BadInput:
                self.close()
                raise
        return [member.name for member in self._samples]

    def read(self, index: int) -> Raw:
        member, file = self._samples[index], self._content()
        name = f"{self.name}:{member.name}"
        if member.caption is not None:
            caption = file.read(*member.caption).decode("utf-8", "replace")
        elif member.metadata is not None:
            caption = caption_in(read_json(file.read(*member.metadata), name))
        else:
            caption = ""
        return Raw(name, file.read(*member.picture), caption)

    def _content(self) -> OpenFile:
        if self._open is None:
            self._open = self._files.open(self.name)
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open, self._samples = None, []


def _index(file: OpenFile, name: str) -> list[_Member]:
    """The samples of a tar in their order; of a broken one, those up to where it breaks.

    Raises:
        BadInput: it is no tar at all (`bad_tar`).
    """
    found: dict[str, dict[str, _Place]] = {}
    try:
        with file.stream() as content, tarfile.open(fileobj=content, mode="r:") as archive:
            for entry in archive:
                if entry.isreg() and not entry.issparse():
                    _add(found, entry)
    except tarfile.TarError as error:
        if not found:
            raise BadInput(f"{name} is not a tar: {error}", code="bad_tar") from None
    return [
        _Member(key, places["picture"], places.get("caption"), places.get("metadata"))
        for key, places in found.items()
        if "picture" in places
    ]


def _add(found: dict[str, dict[str, _Place]], entry: tarfile.TarInfo) -> None:
    path = PurePosixPath(entry.name)
    stem, _, extension = path.name.partition(".")
    role = _role(f".{extension.lower()}")
    if role and stem:
        places = found.setdefault(str(path.with_name(stem)), {})
        places.setdefault(role, (entry.offset_data, entry.size))


def _role(extension: str) -> str | None:
    """What a member is: two endings, as in `key.mask.png`, make it none of ours."""
    if extension.count(".") == 1 and is_picture(extension):
        return "picture"
    return "caption" if extension in TEXTS else "metadata" if extension == ".json" else None


class FolderShard:
    """Pictures that lie as files, each with a digest of its own in the receipt."""

    def __init__(self, files: CoveredFiles, names: list[str], captions: Captions) -> None:
        self._files = files
        self._names = names
        self._captions = captions
        self.name = f"{names[0]}…"

    def open(self) -> list[str]:
        return self._names

    def read(self, index: int) -> Raw:
        name = self._names[index]
        return Raw(name, self._files.read(name), self._captions.of(name))

    def close(self) -> None:
        """Nothing is held open."""
