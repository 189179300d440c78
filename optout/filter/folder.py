"""Folders of pictures: what is kept is copied, with its captions and its rows of the metadata.

A shard is a folder that holds pictures itself, or one with metadata about everything below it.
"""

from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from optout.errors import UsageError
from optout.filter.contents import is_picture
from optout.filter.folder_metadata import Metadata, is_metadata, read_metadata
from optout.filter.folder_samples import Group, group_files, samples_of
from optout.filter.kinds import Job, Kind, Written, visible
from optout.filter.modes import MaskFormat, Mode
from optout.filter.outputs import Outputs, copy_file, outputs_of
from optout.filter.results import MOST_NAMED
from optout.filter.rows import answer_table, write_mask
from optout.filter.samples import Answers, judge_samples
from optout.filter.settings import Settings
from optout.filter.sidecar import rewrite_stats
from optout.filter.source import Shard

__all__ = ["KIND"]

#: The answers about a folder, in modes that write them; its marker stands beside where they would be.
_ANSWERS = "optout.parquet"
_NAME = "file_name"


def _shards(files: list[Path], root: Path) -> list[Path]:
    """The folders: those with metadata, and of the others every one with pictures of its own."""
    described = {path.parent for path in files if is_metadata(path)}
    folders = {path.parent for path in files if is_picture(path.name)}
    tops = {_top(folder, described, root) for folder in folders}
    return sorted(tops | _empty(files)) if tops else []


def _empty(files: list[Path]) -> set[Path]:
    """Folders into which img2dataset could download nothing, or of which nothing was kept: metadata alone."""
    there, filled = set(files), {path.parent for path in files}
    tables = (path for path in files if path.with_name(f"{path.stem}_stats.json") in there)
    beside = (path.with_suffix("") for path in tables if path.suffix == ".parquet")
    return {folder for folder in beside if folder.is_dir() and folder not in filled}


def _top(folder: Path, described: set[Path], root: Path) -> Path:
    """The uppermost folder below `root` whose metadata may speak of `folder`, or itself."""
    above = [each for each in (folder, *folder.parents) if each == root or each.is_relative_to(root)]
    return next((each for each in reversed(above) if each in described), folder)


def _companions(path: Path, root: Path) -> list[Path]:
    """Every file of the folder; with what img2dataset writes beside it."""
    deep = any(is_metadata(each) for each in path.iterdir())
    files = visible(path.rglob("*") if deep else path.iterdir(), path)
    found = sorted(each for each in files if each.is_file() and each.name != _ANSWERS)
    beside = [path.with_name(f"{path.name}.parquet"), path.with_name(f"{path.name}_stats.json")]
    return found + [each for each in beside if path != root and each.is_file()]


def _output_name(name: str, settings: Settings) -> str:
    if settings.mode is Mode.MASK and settings.mask_format is not MaskFormat.ROWS:
        raise UsageError(
            f"a mask of pictures lists their names: --mask-format {settings.mask_format} is for Parquet",
            code="mask_format",
        )
    return (PurePosixPath(name) / _ANSWERS).as_posix()


def _write(job: Job) -> Written:
    groups, stray = group_files(job.shard)
    metadata = read_metadata(job, (name for group in groups for name in group.pictures))
    found = judge_samples(job, samples_of(job, groups, metadata))
    with outputs_of(job) as outputs:
        if job.settings.mode is Mode.MASK:
            outputs.write(job.output, lambda part: write_mask(job, found, _NAME, part))
        elif job.settings.mode is Mode.ANNOTATE:
            _annotate(job, groups, found, outputs)
        else:
            _drop(job, groups, metadata, found, outputs)
        left = [f"{job.name}: {name} belongs to no picture: left out" for name in stray]
        lost = metadata.lost if metadata else []
        return Written(found.counts, outputs.appear(), (*found.named, *lost, *left)[:MOST_NAMED])


def _drop(job: Job, groups: list[Group], metadata: Metadata | None, found: Answers, outputs: Outputs) -> None:
    """Copy the files of what stays, and the metadata without the rows of what does not."""
    kept = [group for group, keep in zip(groups, found.keep.tolist(), strict=True) if keep]
    for group in kept:
        for name, path in group.files.items():
            outputs.write(name, partial(copy_file, path), wait=False)
    if metadata is None:
        return
    stays = {name for group in kept for name in group.pictures}
    removed = metadata.rewrite(stays, outputs, job.settings.codec)
    for name, path in metadata.statistics.items():
        content = rewrite_stats(path.read_bytes(), name, len(kept), removed)
        outputs.write_bytes(name, content)


def _annotate(job: Job, groups: list[Group], found: Answers, outputs: Outputs) -> None:
    """Copy everything, and the answers about every picture."""
    for name, path in job.shard.inputs.items():
        outputs.write(name, partial(copy_file, path), wait=False)
    names = pa.array([group.name for group in groups], pa.string())
    table = answer_table(job, found).add_column(0, _NAME, names)
    outputs.write(
        job.output, lambda part: pq.write_table(table, part, compression=job.settings.codec or "snappy")
    )


def _rows(shard: Shard) -> int | None:
    return sum(is_picture(path.name) for path in shard.also)


KIND = Kind(shards=_shards, companions=_companions, output=_output_name, write=_write, rows=_rows)
