"""WebDataset tars as img2dataset writes them: samples are judged, kept members are copied byte by byte."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from optout.errors import UsageError
from optout.filter.kinds import Job, Kind, Written, by_suffix
from optout.filter.modes import DataFormat, MaskFormat, Mode
from optout.filter.outputs import Outputs, copy_file, outputs_of
from optout.filter.parquet import Source
from optout.filter.results import MOST_NAMED
from optout.filter.rows import answer_table, copy_rows, require_unannotated, write_mask
from optout.filter.samples import Answers, ascii_name, judge_samples
from optout.filter.settings import Settings
from optout.filter.sidecar import (
    KEY,
    Entry,
    Rows,
    read_rows,
    rewrite_stats,
    rewritten_index,
    rows_kept,
    successes,
)
from optout.filter.source import Shard
from optout.filter.tar import Archive, Member, open_archive
from optout.filter.tar_samples import Group, group_members, row_key, samples_of

__all__ = ["KIND"]

_INDICES = (".idx", ".index")


def _companions(path: Path, _: Path) -> list[Path]:
    found = [path.with_suffix(".parquet"), path.with_name(f"{path.stem}_stats.json")]
    found += [path.with_suffix(suffix) for suffix in _INDICES]
    return [each for each in found if each.is_file()]


def _output_name(name: str, settings: Settings) -> str:
    if settings.mode is not Mode.MASK:
        return name
    if settings.mask_format is not MaskFormat.ROWS:
        raise UsageError(
            f"a mask of samples lists their keys: --mask-format {settings.mask_format} is for Parquet",
            code="mask_format",
        )
    return Path(name).with_suffix(".parquet").as_posix()


def _write(job: Job) -> Written:
    with open_archive(job.shard.path, job.name) as archive, outputs_of(job) as outputs:
        groups, stray = group_members(archive.members)
        beside = _Beside(job)
        samples = samples_of(job, archive, groups, beside.rows)
        found = judge_samples(job, samples)
        shard = _Shard(archive, groups, found, beside)
        {Mode.DROP: _drop, Mode.ANNOTATE: _annotate, Mode.MASK: _mask}[job.settings.mode](job, shard, outputs)
        named = [
            *found.named,
            *(f"{job.name}: {ascii_name(member.name)} belongs to no sample: left out" for member in stray),
        ]
        return Written(found.counts, outputs.appear(), tuple(named[:MOST_NAMED]))


class _Beside:
    """The files beside a tar, found among the shard's."""

    def __init__(self, job: Job) -> None:
        by_suffix = {path.suffix: path for path in job.shard.also}
        self.table = by_suffix.get(".parquet")
        self.stats = by_suffix.get(".json")
        self.indices = [by_suffix[suffix] for suffix in _INDICES if suffix in by_suffix]
        self.folder = Path(job.output).parent
        self.rows: Rows | None = None
        if self.table is not None:
            self.rows = read_rows(self.table, self.named(self.table), job.settings.columns)

    def named(self, path: Path) -> str:
        return (self.folder / path.name).as_posix()


class _Shard(NamedTuple):
    archive: Archive
    groups: list[Group]
    found: Answers
    beside: _Beside


def _drop(job: Job, shard: _Shard, outputs: Outputs) -> None:
    """The tar of what stays, and the files beside it made to agree."""
    archive, groups, found, beside = shard
    kept = [group for group, keep in zip(groups, found.keep.tolist(), strict=True) if keep]
    members = sorted(
        [member for member in archive.members if member.kind == "directory"]
        + [member for group in kept for _, member in group.members],
        key=lambda member: member.start,
    )
    outputs.write(job.output, lambda part: archive.copy(((each.start, each.end) for each in members), part))
    removed = _drop_rows(job, shard, outputs)
    if beside.stats is not None:
        name = beside.named(beside.stats)
        content = rewrite_stats(beside.stats.read_bytes(), name, len(kept), removed)
        outputs.write_bytes(name, content)
    for path in beside.indices:
        index = rewritten_index(path.read_bytes(), beside.named(path), _entries(members, kept))
        outputs.write_bytes(beside.named(path), index)


def _entries(members: list[Member], kept: list[Group]) -> list[list[Entry]]:
    """Where the files of each sample are in the tar that is written."""
    lengths = np.array([member.end - member.start for member in members], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    moved = {member.start: int(at) - member.start for member, at in zip(members, starts, strict=False)}
    return [
        [
            Entry(extension, member.data + moved[member.start], member.size, member.name)
            for extension, member in group.members
        ]
        for group in kept
    ]


def _drop_rows(job: Job, shard: _Shard, outputs: Outputs) -> int:
    """Rewrite the sidecar; returns how many rows were taken out (of the tar's samples, where it has none)."""
    beside = shard.beside
    if beside.table is None or beside.rows is None:
        return int(np.count_nonzero(~shard.found.keep))
    stays: dict[str, bool] = {}
    for group, keep in zip(shard.groups, shard.found.keep.tolist(), strict=True):
        key = row_key(group.key)
        stays[key] = stays.get(key, True) and keep
    keep = rows_kept(beside.rows, stays)
    name = beside.named(beside.table)
    with Source(beside.table, name) as source:
        outputs.write(name, lambda part: copy_rows(source, part, codec=job.settings.codec, keep=keep))
    return int(np.count_nonzero(~keep))


def _annotate(job: Job, shard: _Shard, outputs: Outputs) -> None:
    """The answers beside the rows of the sidecar, or in one of their own; all else as it is."""
    beside = shard.beside
    outputs.write(job.output, lambda part: copy_file(job.shard.path, part))
    for path in (beside.stats, *beside.indices):
        if path is not None:
            outputs.write(beside.named(path), partial(copy_file, path))
    answers = answer_table(job, shard.found)
    name = Path(job.output).with_suffix(".parquet").as_posix()
    keys = [group.key for group in shard.groups]
    if beside.table is None or beside.rows is None:
        table = pa.table(
            {
                KEY: pa.array(map(_plain, keys), pa.string()),
                **dict(zip(answers.schema.names, answers.columns, strict=True)),
            }
        )
        outputs.write(
            name, lambda part: pq.write_table(table, part, compression=job.settings.codec or "snappy")
        )
        return
    place = {row_key(key): number for number, key in enumerate(keys)}
    rows = answers.take(pa.array([place.get(key) for key in beside.rows.keys], pa.int64()))
    with Source(beside.table, name) as source:
        require_unannotated(source.schema.names, name)
        outputs.write(name, lambda part: copy_rows(source, part, codec=job.settings.codec, added=rows))


def _plain(key: str) -> str:
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _mask(job: Job, shard: _Shard, outputs: Outputs) -> None:
    outputs.write(job.output, lambda part: write_mask(job, shard.found, KEY, part))


def _rows(shard: Shard) -> int | None:
    """What the statistics say; the headers of a tar are spread over all of it."""
    for path in shard.also:
        if path.suffix == ".json":
            return successes(path.read_bytes())
    return None


KIND = Kind(
    shards=by_suffix(DataFormat.WEBDATASET),
    companions=_companions,
    output=_output_name,
    write=_write,
    rows=_rows,
)
