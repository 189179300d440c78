"""The samples of a tar: neighbouring members of one key, and what its metadata say of them."""

import re
from collections import Counter
from functools import partial
from typing import NamedTuple

from optout.engine import ItemError
from optout.filter.contents import Content, is_picture
from optout.filter.kinds import Job
from optout.filter.samples import TEXTS, Sample, ascii_name, read_json, require_urls
from optout.filter.sidecar import Rows
from optout.filter.tar import Archive, Member

__all__ = ["Group", "group_members", "row_key", "samples_of"]

_META = re.compile(r"__[^/]*__(/|$)")
_WORDS = TEXTS | {"json", "cls", "url"}
_READ = TEXTS | {"json"}
#: Captions and metadata are read into memory.
_MOST_WORDS = 16 << 20


class Group(NamedTuple):
    """The members of one key, by their extension in lower case, in order."""

    key: str
    members: list[tuple[str, Member]]


def group_members(members: list[Member]) -> tuple[list[Group], list[Member]]:
    """Neighbouring members of one key make a sample; what has no key belongs to none."""
    groups: list[Group] = []
    stray = []
    last = None
    for member in members:
        if member.kind == "directory":
            continue
        # As webdataset splits names: the key ends at the first dot after the last slash.
        start = member.name.rfind("/") + 1
        dot = member.name.find(".", start)
        if dot <= start or ("__" in member.name and _META.match(member.name)):
            stray.append(member)
            continue
        key = member.name[:dot]
        if key != last:
            groups.append(Group(key, []))
            last = key
        groups[-1].members.append((member.name[dot + 1 :].lower(), member))
    return groups, stray


def row_key(key: str) -> str:
    """The key that a sidecar has: without folders."""
    return key.rpartition("/")[2]


def samples_of(job: Job, archive: Archive, groups: list[Group], rows: Rows | None) -> list[Sample]:
    """What is known of each group, before anything is looked up."""
    counts = Counter(group.key for group in groups)
    doubled = {key for key, count in counts.items() if count > 1}
    if rows is not None:
        by_row = Counter(row_key(key) for key in counts)
        doubled |= {key for key in counts if row_key(key) in rows.doubled or by_row[row_key(key)] > 1}
    samples = []
    for group in groups:
        sample = Sample(group.key)
        if group.key in doubled or len(dict(group.members)) < len(group.members):
            sample.fail_as_double()
        _gather(job, archive, group, sample)
        if rows is not None:
            sample.compare(rows.get(row_key(group.key)))
        samples.append(sample)
    _require_partners(samples)
    return samples


def _require_partners(samples: list[Sample]) -> None:
    """What other samples of the tar have and one has not, it has lost."""
    if any(sample.contents for sample in samples):
        for sample in samples:
            if not sample.contents:
                sample.fail(ItemError.MEMBER, f"{ascii_name(sample.name)} has metadata but no picture")
    require_urls(samples)


def _gather(job: Job, archive: Archive, group: Group, sample: Sample) -> None:
    """Note what the members say."""
    for extension, member in group.members:
        if member.kind != "file":
            sample.fail(ItemError.MEMBER, f"{ascii_name(member.name)} is a link or a device, not a file")
        elif extension in _READ and member.size > _MOST_WORDS:
            why = f"{ascii_name(member.name)} has {member.size:,} bytes, too many for a caption or metadata"
            sample.fail(ItemError.MEMBER, why)
        elif extension == "json":
            stated = read_json(archive.read(member), job.settings.columns)
            if stated is None:
                sample.fail(ItemError.MEMBER, f"{ascii_name(member.name)} is not a JSON object")
            sample.take(stated or {})
        elif extension in TEXTS:
            sample.text = archive.read(member)
        elif extension.rpartition(".")[2] not in _WORDS:
            picture, reader = is_picture(extension), partial(archive.read, member)
            sample.contents.append(Content(ascii_name(member.name), member.size, reader, picture))
