"""Which shards a source names, and what each will be called in the output."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from optout.errors import BadInput, UsageError
from optout.filter.kinds import kind_of, open_kind
from optout.filter.modes import DataFormat

__all__ = ["Shard", "find_shards", "shard_at"]

#: What a directory is taken for, when it holds files of several kinds: the first of these.
_FIRST = (DataFormat.WEBDATASET, DataFormat.PARQUET)


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
        BadInput: its kind cannot be told (`unknown_format`).
    """
    kind = kind or kind_of(path)
    opened = open_kind(kind)
    root = root or path.parents[opened.depth - 1]
    return Shard(path, _relative(path, root), root, kind, tuple(opened.companions(path)))


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
        shards = _of_one_kind(_below(path), path, out, kind)
    elif glob.has_magic(text):
        shards = _of_one_kind(*_matching(text), out, kind)
    else:
        raise BadInput(f"{text}: no such file or directory", code="no_such_file")
    if not shards:
        kinds = (kind,) if kind else _FIRST
        looked = [suffix for label in kinds for suffix in label.suffixes]
        raise BadInput(f"{text}: nothing to filter there (looked for {', '.join(looked)})", code="no_shards")
    _require_elsewhere(shards, out)
    return shards


def _require_elsewhere(shards: list[Shard], out: Path) -> None:
    for shard in shards:
        for name, path in shard.inputs.items():
            if (out / name).resolve() == path.resolve():
                raise UsageError(f"{path} would be overwritten; choose another --out", code="in_place")


def _of_one_kind(files: Iterable[Path], root: Path, out: Path, kind: DataFormat | None) -> list[Shard]:
    """Shards of the kind asked for, or of the first that occurs."""
    found = _visible(files, root, out)
    for label in (kind,) if kind else _FIRST:
        paths = [path for path in found if path.suffix.lower() in label.suffixes]
        if paths:
            shards = [shard_at(path, root, label) for path in paths]
            return sorted(shards, key=lambda shard: shard.name)
    return []


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


def _visible(files: Iterable[Path], root: Path, out: Path) -> list[Path]:
    resolved_out = out.resolve()
    return [
        path
        for path in files
        if not any(part.startswith((".", "_")) for part in path.relative_to(root).parts)
        and not path.resolve().is_relative_to(resolved_out)
    ]
