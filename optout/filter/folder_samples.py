"""The pictures of a folder, each with the files that share its name: captions, JSON, whatever it has."""

from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from optout.engine import ItemError
from optout.filter.contents import Content, is_picture
from optout.filter.folder_metadata import Metadata, is_metadata
from optout.filter.kinds import Job
from optout.filter.samples import TEXTS, Sample, ascii_name, read_json, require_urls
from optout.filter.source import Shard

__all__ = ["Group", "group_files", "samples_of"]


class Group(NamedTuple):
    """Pictures of one name, and what lies beside them.

    Attributes:
        name: the first picture's path in the folder.
        pictures: every picture's path in the folder.
        files: all files, by their names in the output.
    """

    name: str
    pictures: list[str]
    files: dict[str, Path]


def group_files(shard: Shard) -> tuple[list[Group], list[str]]:
    """The groups, in order of their names; and the paths of files that belong to none."""
    groups: dict[PurePosixPath, Group] = {}
    stray = []
    inside = [path for path in shard.also if _is_inside(path, shard)]
    for path in inside:
        place = PurePosixPath(path.relative_to(shard.path).as_posix())
        if is_picture(path.name):
            stem = place.with_suffix("")
            group = groups.setdefault(stem, Group(place.as_posix(), [], {}))
            group.pictures.append(place.as_posix())
    for path in inside:
        place = PurePosixPath(path.relative_to(shard.path).as_posix())
        found = groups.get(place.with_suffix(""))
        if found is None:
            stray.append(place.as_posix())
        else:
            found.files[path.relative_to(shard.root).as_posix()] = path
    return sorted(groups.values()), stray


def _is_inside(path: Path, shard: Shard) -> bool:
    """Whether that is a file of the folder, and not its metadata."""
    return path.is_relative_to(shard.path) and not (path.parent == shard.path and is_metadata(path))


def samples_of(job: Job, groups: list[Group], metadata: Metadata | None) -> list[Sample]:
    """What is known of each group, before anything is looked up."""
    samples = [_sample(job, group, metadata) for group in groups]
    require_urls(samples)
    return samples


def _sample(job: Job, group: Group, metadata: Metadata | None) -> Sample:
    sample = Sample(group.name)
    for path in group.files.values():
        extension = path.suffix[1:].lower()
        if extension == "json":
            stated = read_json(path.read_bytes(), job.settings.columns)
            if stated is None:
                sample.fail(ItemError.MEMBER, f"{ascii_name(path.name)} is not a JSON object")
            sample.take(stated or {})
        elif extension in TEXTS:
            sample.text = path.read_bytes()
        elif is_picture(path.name):
            size, reader = path.stat().st_size, partial(_read, path)
            sample.contents.append(Content(ascii_name(path.name), size, reader, picture=True))
    if metadata is not None:
        metadata.tell(sample, group.pictures)
    return sample


def _read(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)
