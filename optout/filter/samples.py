"""Judging samples: things of several parts (picture, caption, metadata) that stay or go together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.engine import ItemError, Items, Verdicts
from optout.errors import BadInput, OptoutError
from optout.filter.contents import Content, Seen, look_at_all
from optout.filter.kinds import Job
from optout.filter.results import MOST_NAMED, Counts
from optout.filter.shard import count_rows
from optout.filter.sinks import Judged
from optout.probes import PictureProbes
from optout.words import Outcome, SelectorKind

__all__ = ["Answers", "Sample", "judge_samples"]

_CHUNK = 512
_DIGESTS = {SelectorKind.SHA256, SelectorKind.MD5}


@dataclass(slots=True)
class Sample:
    """What is known of one sample.

    Attributes:
        name: the key in a tar, the path in a folder.
        url, text, sha256, md5: what its metadata states, as text or bytes; None for what it does not.
        contents: its files but for captions and metadata.
        error: why it cannot be judged, met before.
        why: that as a sentence.
    """

    name: str
    url: Any = None
    text: Any = None
    sha256: Any = None
    md5: Any = None
    contents: list[Content] = field(default_factory=list)
    error: ItemError = ItemError.OK
    why: str = ""

    def fail(self, error: ItemError, why: str) -> None:
        """Note that the sample cannot be judged; the first reason stays."""
        if not self.error:
            self.error, self.why = error, why


class Answers(NamedTuple):
    """The answers about n samples.

    Attributes:
        batches: the samples' names (`name`) and verdicts, one part after the other.
        keep: bool[n].
        counts: what became of them.
        named: sentences about those that cannot be judged, the first few.
        digests: SHA-256 of the first file of each sample, "" where it was not looked at.
    """

    batches: list[Judged]
    keep: npt.NDArray[np.bool_]
    counts: Counts
    named: tuple[str, ...]
    digests: list[str]


def judge_samples(job: Job, samples: Sequence[Sample]) -> Answers:
    """Look at the contents of all samples and ask the snapshot about each.

    Raises:
        BadInput: a column is not text, or nothing that decodes pictures is installed.
    """
    batches: list[Judged] = []
    named: list[str] = []
    digests: list[str] = []
    counts = Counts()
    for start in range(0, len(samples), _CHUNK):
        part = samples[start : start + _CHUNK]
        seen = _look(job, part)
        judged = _judge(job, part, seen, start)
        counts += count_rows(judged)
        batches.append(judged)
        digests += [each[0].sha256 if each else "" for each in seen]
        if len(named) < MOST_NAMED:
            named += list(_sentences(job, part, seen, judged.verdicts))
        if job.progress is not None:
            job.progress(len(part))
    keep = np.concatenate([np.empty(0, np.bool_), *(judged.keep for judged in batches)])
    return Answers(batches, keep, counts, tuple(named[:MOST_NAMED]), digests)


def _look(job: Job, samples: Sequence[Sample]) -> list[list[Seen]]:
    """What is seen of each sample's contents: what the snapshot has something to compare with.

    A sample that nothing else identifies is known by its digest.
    """
    digests = any(_DIGESTS & segment.tables.keys() for segment in job.snapshot.segments)
    contents = [
        [content._replace(picture=False) for content in sample.contents]
        if digests or (sample.url is None and sample.sha256 is None and sample.md5 is None)
        else []
        for sample in samples
    ]
    seen = look_at_all((content for each in contents for content in each), job.threads)
    return [[next(seen) for _ in each] for each in contents]


def _judge(job: Job, samples: Sequence[Sample], seen: list[list[Seen]], first: int) -> Judged:
    """The samples' answers. One of several files is as many items, of which the strictest answer counts."""
    owner = [row for row, each in enumerate(seen) for _ in each or (None,)]
    rows = [samples[row] for row in owner]
    flat = [one for each in seen for one in each or (None,)]
    items = Items(
        len(rows),
        url=pa.array([row.url for row in rows], pa.large_binary()),
        text=pa.array([row.text for row in rows], pa.large_binary()),
        sha256=pa.array([row.sha256 for row in rows], pa.large_binary()),
        md5=pa.array([row.md5 for row in rows], pa.large_binary()),
        own_sha256=pa.array([one and one.sha256 for one in flat], pa.large_string()),
        own_md5=pa.array([one and one.md5 for one in flat], pa.large_string()),
        url_optional=True,
        pictures=PictureProbes.joined(
            [one.probes.of_row(row) for row, one in enumerate(flat) if one and one.probes is not None]
        ),
        errors=np.array([_error(*pair) for pair in zip(rows, flat, strict=True)], np.uint8),
    )
    try:
        verdicts = job.snapshot.judge(items, job.question)
    except OptoutError as error:
        raise BadInput(f"{job.name}: {error}", code=error.code) from error
    keeps = job.settings.keeps
    verdicts = _strictest(verdicts, np.array(owner), keeps)
    names = pa.array([sample.name.encode("utf-8", "surrogateescape") for sample in samples], pa.binary())
    urls = pa.array([sample.url for sample in samples], pa.large_binary())
    batch = pa.RecordBatch.from_arrays([names, urls], names=["name", "url"])
    judged = Judged(batch, first, verdicts, keeps[verdicts.outcome])
    if job.domains is not None:
        job.domains.add(urls, judged.keep)
    return judged


def _error(sample: Sample, seen: Seen | None) -> ItemError:
    if sample.error:
        return sample.error
    return ItemError.PICTURE if seen is not None and seen.broken else ItemError.OK


#: By outcome, the strictest last.
_STRICTNESS = np.array([0, 1, 3, 4, 2], np.uint8)


def _strictest(verdicts: Verdicts, owner: npt.NDArray[np.int64], keeps: npt.NDArray[np.bool_]) -> Verdicts:
    """The verdicts of things of which `owner` tells the rows: what is left out first, then the strictest."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    if len(starts) == len(owner):
        return verdicts
    rank = _STRICTNESS[verdicts.outcome] + np.uint8(8) * ~keeps[verdicts.outcome]
    order = np.lexsort((-rank.astype(np.int16), owner))
    best = order[starts]
    return Verdicts(
        outcome=verdicts.outcome[best],
        kind=verdicts.kind[best],
        flagged=np.logical_or.reduceat(verdicts.flagged, starts),
        error=verdicts.error[best],
        winner=verdicts.winner[best],
        matches=verdicts.matches,
    )


def _sentences(
    job: Job, samples: Sequence[Sample], seen: list[list[Seen]], verdicts: Verdicts
) -> Iterator[str]:
    for row in np.flatnonzero(verdicts.outcome == Outcome.ERROR).tolist():
        broken = next((one.broken for one in seen[row] if one.broken), "")
        label = ItemError(int(verdicts.error[row])).label
        why = samples[row].why or broken or f"{samples[row].name} cannot be judged: {label}"
        yield f"{job.name}: {why}"
