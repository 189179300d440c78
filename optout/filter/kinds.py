"""The kinds of data sets that can be filtered: a module each, which says what its shards are."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from optout.engine import Question
from optout.errors import BadInput
from optout.filter.domains import DomainCounter
from optout.filter.modes import DataFormat
from optout.filter.results import Counts
from optout.filter.settings import Settings
from optout.snapshot import Snapshot

if TYPE_CHECKING:
    from optout.filter.source import Shard

__all__ = ["Job", "Kind", "Written", "by_suffix", "kind_of", "open_kind", "visible"]

_HOMES = {
    DataFormat.PARQUET: "table",
    DataFormat.ARROW: "arrow",
    DataFormat.WEBDATASET: "webdataset",
    DataFormat.EMBEDDINGS: "embedding_shards",
    DataFormat.IMAGES: "folder",
}


@dataclass(frozen=True)
class Job:
    """One shard to do.

    Attributes:
        shard: what is read.
        out: where the output of the shard's own file goes; the other files go beside it.
        output: that output's name, relative to the output directory.
        snapshot: the open snapshot.
        question: what is asked, with a time.
        settings: mode and what else.
        domains: counts the domains of what is kept; None where no receipt is wanted: no digests then either.
        progress: called with numbers of rows done.
        threads: how many may hash pictures at once.
    """

    shard: "Shard"
    out: Path
    output: str
    snapshot: Snapshot
    question: Question
    settings: Settings
    domains: DomainCounter | None
    progress: Callable[[int], object] | None
    threads: int

    @property
    def name(self) -> str:
        """What messages and the receipt call the shard."""
        return self.shard.name

    @property
    def prove(self) -> bool:
        """Whether a receipt is to speak of the outputs."""
        return self.domains is not None

    def place(self, name: str) -> Path:
        """Where the output called `name` goes."""
        return self.out.parents[len(Path(self.output).parts) - 1] / name


class Written(NamedTuple):
    """What a shard came to: counts, SHA-256 ("" where none was asked for) of every output, items named."""

    counts: Counts
    outputs: dict[str, str]
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """What is particular to a kind of data set.

    Attributes:
        shards: which of the files below a directory (given with it) are shards, or which folders.
        companions: the other files of the shard at a path, below the directory that is given with it.
        output: the output's name, made of the shard's name.
        write: filters a shard; its outputs appear together or not at all.
        rows: how many items a shard has, at a glance; None where that cannot be seen.
        depth: how many parts of its path name a shard that is a file given by itself.
    """

    shards: Callable[[list[Path], Path], list[Path]]
    companions: Callable[[Path, Path], list[Path]]
    output: Callable[[str, Settings], str]
    write: Callable[[Job], Written]
    rows: Callable[["Shard"], int | None]
    depth: int = 1


def visible(files: Iterable[Path], root: Path) -> Iterator[Path]:
    """Those of `files` below `root` that are data: readers pass by names that begin with `.` or `_`."""
    for path in files:
        if not any(part.startswith((".", "_")) for part in path.relative_to(root).parts):
            yield path


def by_suffix(label: DataFormat) -> Callable[[list[Path], Path], list[Path]]:
    """What finds the shards that are files whose names end as `label` says."""
    return lambda files, root: [path for path in files if path.suffix.lower() in label.suffixes]


def open_kind(label: DataFormat) -> Kind:
    """The kind called `label`; its module is loaded when first asked for."""
    found: Kind = import_module(f"optout.filter.{_HOMES[label]}").KIND
    return found


def kind_of(path: Path) -> DataFormat:
    """The kind of the shard at `path`, by its name.

    Raises:
        BadInput: nothing of that name can be filtered (`unknown_format`).
    """
    if path.is_dir():
        return DataFormat.IMAGES
    for label in DataFormat:
        if path.suffix.lower() in label.suffixes:
            return label
    raise BadInput(f"{path}: cannot tell what this is; name it with --format", code="unknown_format")
