"""The samples of a tar: neighbouring members of one key, and what its metadata say of them."""

import re
from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import orjson

from optout.engine import ItemError
from optout.filter.columns import KNOWN
from optout.filter.contents import Content, is_picture
from optout.filter.kinds import Job
from optout.filter.samples import Sample
from optout.filter.settings import ColumnNames
from optout.filter.sidecar import Rows
from optout.filter.tar import Archive, Member

__all__ = ["Group", "ascii_name", "group_members", "row_key", "samples_of"]

#: As webdataset splits names: the key ends at the first dot after the last slash.
_NAME = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)
_META = re.compile(r"__[^/]*__(/|$)")
_TEXTS = frozenset({"txt", "caption", "text"})
_WORDS = _TEXTS | {"json", "cls", "url"}
_ROLES = ("url", "text", "sha256", "md5")


class Group(NamedTuple):
    """The members of one key, by their extension in lower case, in order."""

    key: str
    members: list[tuple[str, Member]]


def group_members(members: list[Member]) -> tuple[list[Group], list[Member]]:
    """Neighbouring members of one key make a sample; what has no key belongs to none."""
    groups: list[Group] = []
    stray = []
    for member in members:
        if member.kind == "directory":
            continue
        match = None if _META.match(member.name) else _NAME.fullmatch(member.name)
        if match is None:
            stray.append(member)
            continue
        key, extension = match[1], match[2].lower()
        if not groups or groups[-1].key != key:
            groups.append(Group(key, []))
        groups[-1].members.append((extension, member))
    return groups, stray


def row_key(key: str) -> str:
    """The key that a sidecar has: without folders."""
    return key.rpartition("/")[2]


def ascii_name(text: str) -> str:
    """A name as messages show it."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


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
            sample.fail(ItemError.DUPLICATE, f"{ascii_name(group.key)}: the key occurs more than once")
        _gather(job, archive, group, sample)
        if rows is not None:
            _compare(sample, rows)
        samples.append(sample)
    _require_partners(samples)
    return samples


def _require_partners(samples: list[Sample]) -> None:
    """What other samples of the tar have and one has not, it has lost: it cannot be judged without."""
    contents = any(sample.contents for sample in samples)
    urls = any(sample.url is not None for sample in samples)
    for sample in samples:
        name = ascii_name(sample.name)
        if contents and not sample.contents:
            sample.fail(ItemError.MEMBER, f"{name} has metadata but no picture")
        elif urls and sample.url is None:
            sample.fail(ItemError.NULL, f"{name} has no URL, as others have")


def _gather(job: Job, archive: Archive, group: Group, sample: Sample) -> None:
    """Note what the members say."""
    for extension, member in group.members:
        name = ascii_name(member.name)
        if member.kind != "file":
            sample.fail(ItemError.MEMBER, f"{name} is a link or a device, not a file")
        elif extension == "json":
            stated = _read_json(archive.read(member), job.settings.columns)
            if stated is None:
                sample.fail(ItemError.MEMBER, f"{name} is not a JSON object")
            _take(sample, stated or {})
        elif extension in _TEXTS:
            sample.text = archive.read(member)
        elif extension.rpartition(".")[2] not in _WORDS:
            picture = is_picture(member.name)
            reader = partial(archive.read, member)
            sample.contents.append(Content(f"{job.name}: {name}", member.size, reader, picture))


def _take(sample: Sample, stated: dict[str, Any]) -> None:
    """Note what is stated; a caption that has a file of its own stays."""
    for role, value in stated.items():
        if getattr(sample, role) is None:
            setattr(sample, role, value)


def _compare(sample: Sample, rows: Rows) -> None:
    """Note what the sidecar's row states, and whether it speaks of the same picture."""
    stated = rows.get(row_key(sample.name))
    if stated is None:
        sample.fail(ItemError.METADATA, f"{ascii_name(sample.name)} has no row in the metadata")
        return
    for role in ("url", "sha256", "md5"):
        said, also = getattr(sample, role), stated.get(role)
        if said is not None and also is not None and said != also:
            why = f"{ascii_name(sample.name)}: its JSON and its row in the metadata state different {role}s"
            sample.fail(ItemError.METADATA, why)
    _take(sample, stated)


def _read_json(content: bytes, wanted: ColumnNames) -> dict[str, str] | None:
    """What a sample's JSON states, by role; None where it is none."""
    try:
        stated = orjson.loads(content)
    except ValueError:
        return None
    if not isinstance(stated, dict):
        return None
    said = {}
    for role in _ROLES:
        named = getattr(wanted, role)
        names = (named,) if named else KNOWN[role]
        value = next((stated[name] for name in names if name in stated), None)
        if isinstance(value, str):
            said[role] = value
    return said
