"""Which shards a source names, and what each will be called in the output."""

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from optout.errors import BadInput, UsageError

__all__ = ["Shard", "find_shards"]

SUFFIXES = (".parquet", ".parq", ".pq")


class Shard(NamedTuple):
    """One input file, and its path relative to the source: its name in output, receipt and messages."""

    path: Path
    name: str


def find_shards(source: str | Path, out: Path) -> list[Shard]:
    """The Parquet files that `source` (a file, a directory, a glob) names, sorted by name.

    Files below `out` are left out, so that an output directory may lie inside the source; so are hidden files
    and those starting with `_`, which Parquet readers ignore as well.

    Raises:
        BadInput: nothing is there (`no_such_file`), or no Parquet file among it (`no_shards`).
        UsageError: the output would overwrite the source (`in_place`), or the source is remote.
    """
    text = str(source)
    if "://" in text:
        raise UsageError(
            f"{text}: only local files can be read yet; sync the data first", code="remote_source"
        )
    path = Path(text)
    if path.is_file():
        shards = [Shard(path, path.name)]
    elif path.is_dir():
        shards = _below(path, out)
    elif glob.has_magic(text):
        shards = _matching(text, out)
    else:
        raise BadInput(f"{text}: no such file or directory", code="no_such_file")
    if not shards:
        raise BadInput(f"{text}: no Parquet file there (looked for {', '.join(SUFFIXES)})", code="no_shards")
    for shard in shards:
        if (out / shard.name).resolve() == shard.path.resolve():
            raise UsageError(f"{shard.path} would be overwritten; choose another --out", code="in_place")
    return shards


def _below(root: Path, out: Path) -> list[Shard]:
    files = (path for path in root.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return _named(files, root, out)


def _matching(pattern: str, out: Path) -> list[Shard]:
    fixed = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    # pathlib cannot glob an absolute pattern.
    files = (Path(found) for found in glob.iglob(pattern, recursive=True))  # noqa: PTH207
    return _named((path for path in files if path.is_file()), Path(*fixed), out)


def _named(files: Iterable[Path], root: Path, out: Path) -> list[Shard]:
    resolved_out = out.resolve()
    shards = []
    for path in files:
        name = path.relative_to(root)
        hidden = any(part.startswith((".", "_")) for part in name.parts)
        if not hidden and not path.resolve().is_relative_to(resolved_out):
            shards.append(Shard(path, name.as_posix()))
    return sorted(shards, key=lambda shard: shard.name)
