"""Which shards a source names, and what each will be called in the output."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from optout.errors import BadInput, UsageError
from optout.filter.kinds import kind_of, open_kind, visible
from optout.filter.modes import DataFormat

__all__ = ["Shard", "find_shards", "shard_at"]

#: What a directory is taken for, when it holds files of several kinds: the first of these.
_FIRST = (
    DataFormat.WEBDATASET,
    DataFormat.EMBEDDINGS,
    DataFormat.IMAGES,
    DataFormat.PARQUET,
    DataFormat.ARROW,
)
_FILES = tuple(label for label in _FIRST if label.suffixes)


class Shard(NamedTuple):
    """One input, and its path relative to the source: its name in output, receipt and messages.

    Attributes:
        path: the file, or the directory of an image folder.
        name: its path relative to the source.
        root: what names are relative to.
        kind: what it is.
        also: the other files that belong to it.
    """

    path: Path
    name: str
    root: Path
    kind: DataFormat
    also: tuple[Path, ...]

    @property
    def inputs(self) -> dict[str, Path]:
        """Every file of the shard by its name."""
        files = self.also if self.path.is_dir() else (self.path, *self.also)
        return {_relative(path, self.root): path for path in files}

    @property
    def bytes(self) -> int:
        """How much there is to read."""
        return sum(path.stat().st_size for path in self.inputs.values() if path.exists())


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def shard_at(path: Path, root: Path | None = None, kind: DataFormat | None = None) -> Shard:
    """The shard at `path`, with the files that belong to it.

    Raises:
        BadInput: its kind cannot be told, or it is not of that kind (`unknown_format`).
    """
    kind = kind or kind_of(path)
    if path.is_dir() != (not kind.suffixes):
        raise BadInput(
            f"{path}: {kind} is {'a folder' if path.is_file() else 'a file'}", code="unknown_format"
        )
    opened = open_kind(kind)
    if root is None:
        root = path if path.is_dir() else path.absolute().parents[opened.depth - 1]
    return Shard(path, _relative(path, root), root, kind, tuple(opened.companions(path, root)))


def find_shards(source: str | Path, out: Path, kind: DataFormat | None = None) -> list[Shard]:
    """The shards that `source` (a file, a directory, a glob) names, sorted by name; all are of one kind.

    Files below `out` are left out, so that an output directory may lie inside the source; so are hidden files
    and those starting with `_`, which Parquet readers ignore as well.

    Raises:
        BadInput: nothing is there (`no_such_file`), or nothing that can be filtered (`no_shards`).
        UsageError: the output would overwrite the source (`in_place`), or the source is remote.
    """
    text = str(source)
    if "://" in text:
        raise UsageError(
            f"{text}: only local files can be read yet; sync the data first", code="remote_source"
        )
    path = Path(text)
    if path.is_file():
        shards = [shard_at(path, None, kind)]
    elif path.is_dir():
        if path.resolve().is_relative_to(out.resolve()):
            raise UsageError(f"{path} lies in the output; choose another --out", code="in_place")
        shards = _of_one_kind(_below(path), path, out, (kind,) if kind else _FIRST)
    elif glob.has_magic(text):
        shards = _of_one_kind(*_matching(text), out, (kind,) if kind else _FILES)
    else:
        raise BadInput(f"{text}: no such file or directory", code="no_such_file")
    if not shards:
        looked = [word for label in ((kind,) if kind else _FIRST) for word in label.suffixes or ("pictures",)]
        raise BadInput(f"{text}: nothing to filter there (looked for {', '.join(looked)})", code="no_shards")
    _require_elsewhere(shards, out)
    return shards


def _require_elsewhere(shards: list[Shard], out: Path) -> None:
    for shard in shards:
        for name, path in shard.inputs.items():
            if path.resolve().is_relative_to(out.resolve()):
                raise UsageError(f"{path} lies in the output; choose another --out", code="in_place")
            if (out / name).resolve() == path.resolve():
                raise UsageError(f"{path} would be overwritten; choose another --out", code="in_place")


def _of_one_kind(files: Iterable[Path], root: Path, out: Path, kinds: tuple[DataFormat, ...]) -> list[Shard]:
    """Shards of the first of `kinds` that occurs."""
    resolved_out = out.resolve()
    found = [path for path in visible(files, root) if not path.resolve().is_relative_to(resolved_out)]
    for label in kinds:
        shards = [shard_at(path, root, label) for path in open_kind(label).shards(found, root)]
        if shards:
            if len(kinds) > 1 and label is DataFormat.IMAGES:
                _require_pictures_only(found, shards)
            return sorted(shards, key=lambda shard: shard.name)
    return []


def _require_pictures_only(found: list[Path], shards: list[Shard]) -> None:
    """Raise UsageError (`ambiguous_format`) where Parquet files have nothing to do with the pictures."""
    folders = {shard.path for shard in shards}
    for path in open_kind(DataFormat.PARQUET).shards(found, found[0]):
        if path.stem != "metadata" and path.with_suffix("") not in folders:
            raise UsageError(
                f"there are pictures, and {path}, which says nothing about them: tell what to filter with "
                "--format images or --format parquet",
                code="ambiguous_format",
            )


def _below(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        yield from (Path(folder, name) for name in files)


def _matching(pattern: str) -> tuple[Iterator[Path], Path]:
    fixed = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    # pathlib cannot glob an absolute pattern.
    files = (Path(found) for found in glob.iglob(pattern, recursive=True))  # noqa: PTH207
    return (path for path in files if path.is_file()), Path(*fixed)
