"""One walk over the headers of a tar, and the copy of what is kept of it.

Reads ustar, GNU and pax archives (long names, sizes beyond 8 GiB) as Python's tarfile does, but trusts none
of it: what would be unpacked elsewhere, counts more bytes than there are, or stores holes is refused.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from optout.errors import BadInput
from optout.filter.atomic import copy_part, reserve
from optout.filter.tar_headers import Fault, walk

__all__ = ["Archive", "Member", "copy_spans", "open_archive"]

_BLOCK = 512
_RECORD = 20 * _BLOCK
_ROWS = 1 << 15
_BUFFER = 1 << 20
_REGULAR = frozenset((0, ord("0"), ord("7")))
_DIRECTORY = ord("5")

_SENTENCES = {
    Fault.CUT: "the file is cut short {name}: within a member, or without the zeros that end a tar",
    Fault.CHECKSUM: "not a tar, or damaged: the header at byte {at} does not have the checksum it states",
    Fault.NUMBER: "the header at byte {at} states a size that is none",
    Fault.EXTENSION: "the extended header at byte {at} cannot be read",
    Fault.SPARSE: "the member at byte {at} is stored with holes, which is not read here",
}
_CODES = {Fault.CUT: "truncated_tar", Fault.CHECKSUM: "not_tar"}


class Member(NamedTuple):
    """A file in a tar.

    Attributes:
        name: its path in the archive.
        start: first byte of its (first) header.
        data: first byte of its content.
        size: bytes of content.
        end: the byte after its padding.
        kind: "file", "directory" or "other" (a link, a device).
    """

    name: str
    start: int
    data: int
    size: int
    end: int
    kind: str


class Archive:
    """An open tar, mapped into memory.

    Attributes:
        name: what messages call it.
        members: what is in it, in order.
    """

    def __init__(self, handle: int, content: mmap.mmap, name: str) -> None:
        self._handle, self._content, self.name = handle, content, name
        self.members: list[Member] = []

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *exc: object) -> None:
        self._content.close()
        os.close(self._handle)

    def read(self, member: Member, start: int = 0, end: int | None = None) -> bytes:
        """The member's content, or its bytes from `start` to `end`."""
        last = member.size if end is None else min(end, member.size)
        return self._content[member.data + start : member.data + last]

    def copy(self, spans: Iterable[tuple[int, int]], out: Path) -> None:
        """Write a tar made of `spans` of this one (of `Member.start` to `Member.end`) as they are."""
        copy_spans(self._handle, spans, out)


def open_archive(path: Path, name: str) -> Archive:
    """Open a tar and read all of its headers.

    Raises:
        BadInput: it cannot be read, is empty, cut short or no tar (`unreadable`, `empty_file`,
            `truncated_tar`, `not_tar`), has a member that would be unpacked elsewhere (`unsafe_path`), or
            one that cannot be told (`bad_tar`).
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror}", code="unreadable") from error
    try:
        if not os.fstat(handle).st_size:
            raise BadInput(f"{name}: the file is empty (0 bytes), not a tar", code="empty_file")
        archive = Archive(handle, mmap.mmap(handle, 0, access=mmap.ACCESS_READ), name)
        archive.members = _members(archive._content, name)
    except BaseException:
        os.close(handle)
        raise
    return archive


def _members(content: mmap.mmap, name: str) -> list[Member]:
    data = np.frombuffer(content, np.uint8)
    members: list[Member] = []
    position, fault = 0, Fault.MORE
    while fault == Fault.MORE:
        table = np.empty((_ROWS, 9), np.int64)
        found, position, code = walk(data, position, table)
        members += [_member(content, row, name) for row in table[:found].tolist()]
        fault = Fault(code)
    # The map can only be closed when nothing looks at it any more.
    del data
    if fault != Fault.END:
        where = f"after member {members[-1].name[:200]!a}" if members else "at its first member"
        sentence = _SENTENCES[fault].format(name=where, at=position)
        raise BadInput(f"{name}: {sentence}", code=_CODES.get(fault, "bad_tar"))
    return members


def _member(content: mmap.mmap, row: list[int], archive: str) -> Member:
    start, data, size, end, kind, name_at, name_length, prefix_at, prefix_length = row
    raw = content[name_at : name_at + name_length]
    if prefix_length:
        raw = content[prefix_at : prefix_at + prefix_length] + b"/" + raw
    name = raw.decode("utf-8", "surrogateescape")
    if not name or name[0] == "/" or "\0" in name or (".." in name and ".." in name.split("/")):
        raise BadInput(
            f"{archive}: member {name[:200]!a} at byte {start} would be unpacked outside of the data",
            code="unsafe_path",
        )
    what = "file" if kind in _REGULAR else "other"
    if kind == _DIRECTORY or (kind == 0 and name[-1] == "/"):
        what = "directory"
    return Member(name, start, data, size, end, what)


def copy_spans(source: int, spans: Iterable[tuple[int, int]], out: Path) -> None:
    """Write the bytes of `spans` and the end of a tar to `out`; neighbouring spans are copied as one.

    Raises:
        BadInput: the source became shorter meanwhile (`changed_input`).
    """
    buffer = memoryview(bytearray(_BUFFER))
    runs = list(_runs(spans))
    # Two blocks of zeros end a tar, and zeros fill its last record.
    blocks = sum(end - start for start, end in runs) + 2 * _BLOCK
    size = -(-blocks // _RECORD) * _RECORD
    with out.open("wb", buffering=0) as file:
        reserve(file.fileno(), size)
        for start, end in runs:
            copy_part(source, start, end, file.fileno(), buffer)
        file.truncate(size)


def _runs(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    first = last = 0
    for start, end in spans:
        if start != last:
            if last > first:
                yield first, last
            first = start
        last = end
    if last > first:
        yield first, last
