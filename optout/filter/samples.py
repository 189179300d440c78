"""Judging samples: things of several parts (picture, caption, metadata) that stay or go together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from optout.engine import ItemError, Items, Verdicts
from optout.errors import BadInput, OptoutError
from optout.filter.columns import KNOWN
from optout.filter.contents import Content, Seen, look_at_all, wanted_by
from optout.filter.counting import count_rows
from optout.filter.kinds import Job
from optout.filter.results import MOST_NAMED, Counts
from optout.filter.settings import ColumnNames
from optout.filter.sinks import Judged
from optout.filter.unasked import unasked
from optout.probes import PictureProbes
from optout.words import Outcome

__all__ = ["ROLES", "TEXTS", "Answers", "Sample", "ascii_name", "judge_samples", "read_json", "require_urls"]

ROLES = ("url", "text", "sha256", "md5")
#: Extensions of captions.
TEXTS = frozenset({"txt", "caption", "text"})
_IDENTIFIERS = ("url", "sha256", "md5")
_CHUNK = 512


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

    @property
    def identified(self) -> bool:
        """Whether its metadata say what it is."""
        return self.url is not None or self.sha256 is not None or self.md5 is not None

    def fail(self, error: ItemError, why: str) -> None:
        """Note that the sample cannot be judged; the first reason stays."""
        if not self.error:
            self.error, self.why = error, why

    def fail_as_double(self) -> None:
        """Note that its name occurs more than once: nobody can tell which is meant."""
        self.fail(ItemError.DUPLICATE, f"{ascii_name(self.name)}: the key occurs more than once")

    def take(self, stated: Mapping[str, Any]) -> None:
        """Note what is stated, by role; what is known stays."""
        for role, value in stated.items():
            if getattr(self, role) is None:
                setattr(self, role, value)

    def compare(self, row: Mapping[str, Any] | None) -> None:
        """Note what its row in a table of metadata states, and whether there is one and it agrees."""
        name = ascii_name(self.name)
        if row is None:
            self.fail(ItemError.METADATA, f"{name} has no row in the metadata")
            return
        for role in _IDENTIFIERS:
            said, also = getattr(self, role), row.get(role)
            if said is not None and also is not None and _octets(said) != _octets(also):
                why = f"{name}: its JSON and its row in the metadata state different {role}s"
                self.fail(ItemError.METADATA, why)
        self.take(row)


class Answers(NamedTuple):
    """The answers about n samples.

    Attributes:
        batches: the samples' names (`name`) and verdicts, one part after the other.
        keep: bool[n].
        counts: what became of them.
        named: sentences about those that cannot be judged, the first few.
    """

    batches: list[Judged]
    keep: npt.NDArray[np.bool_]
    counts: Counts
    named: tuple[str, ...]


def _octets(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def ascii_name(text: str) -> str:
    """A name as messages show it."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


def read_json(content: bytes, wanted: ColumnNames) -> dict[str, str] | None:
    """What a sample's JSON states, by role; None where it is none."""
    try:
        stated = orjson.loads(content)
    except ValueError:
        return None
    if not isinstance(stated, dict):
        return None
    said = {}
    for role, names in _names(wanted):
        for name in names:
            if name in stated:
                if isinstance(stated[name], str):
                    said[role] = stated[name]
                break
    return said


@lru_cache
def _names(wanted: ColumnNames) -> list[tuple[str, tuple[str, ...]]]:
    """What may be the name of each role."""
    named = ((role, getattr(wanted, role)) for role in ROLES)
    return [(role, (name,) if name else KNOWN[role]) for role, name in named]


def require_urls(samples: Sequence[Sample]) -> None:
    """Where samples have URLs, one without has lost it: it cannot be judged."""
    if any(sample.url is not None for sample in samples):
        for sample in samples:
            if sample.url is None:
                sample.fail(ItemError.NULL, f"{ascii_name(sample.name)} has no URL, as others have")


def judge_samples(job: Job, samples: Sequence[Sample]) -> Answers:
    """Look at the contents of all samples and ask the snapshot about each.

    Raises:
        BadInput: a column is not text, or nothing that decodes pictures is installed.
    """
    batches: list[Judged] = []
    named: list[str] = []
    counts = Counts()
    for start in range(0, len(samples), _CHUNK):
        part = samples[start : start + _CHUNK]
        seen = _look(job, part)
        judged = _judge(job, part, seen, start)
        counts += count_rows(judged)
        batches.append(judged)
        if len(named) < MOST_NAMED:
            named += list(_sentences(job, part, seen, judged.verdicts))
        if job.progress is not None:
            job.progress(len(part))
    counts += unasked(job, _roles(samples), counts.rows)
    keep = np.concatenate([np.empty(0, np.bool_), *(judged.keep for judged in batches)])
    return Answers(batches, keep, counts, tuple(named[:MOST_NAMED]))


def _roles(samples: Sequence[Sample]) -> set[str]:
    """What some sample has to be compared with claims."""
    stated = {role for role in ROLES if any(getattr(sample, role) is not None for sample in samples)}
    looks = any(content.picture for sample in samples for content in sample.contents)
    return stated | {"image"} if looks else stated


def _look(job: Job, samples: Sequence[Sample]) -> list[list[Seen]]:
    """What is seen of each sample's contents: what the snapshot has something to compare with.

    A sample that nothing else identifies is known by its digest.
    """
    wanted = wanted_by(job.snapshot)
    at_least = wanted._replace(sha256=True)
    pairs = [
        [(content, wanted if sample.identified else at_least) for content in sample.contents]
        if any(wanted) or not sample.identified
        else []
        for sample in samples
    ]
    seen = look_at_all((pair for each in pairs for pair in each), job.threads)
    return [[next(seen) for _ in each] for each in pairs]


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
        own_sha256=pa.array([one.sha256 if one else None for one in flat], pa.large_string()),
        own_md5=pa.array([one.md5 if one else None for one in flat], pa.large_string()),
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
