"""Reading and copying tars: as Python's tarfile reads them, and refusing what would do harm."""

import contextlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optout.errors import BadInput
from optout.filter.atomic import reserve
from optout.filter.tar import Archive, open_archive

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def make(path: Path, members: list[tuple[str, bytes]], kind: int) -> Path:
    with tarfile.open(path, "w", format=kind) as archive:
        for name, body in members:
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return path


def read(archive: Archive) -> list[tuple[str, bytes]]:
    return [(member.name, archive.read(member)) for member in archive.members]


names = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60)
paths = st.lists(names.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize("kind", FORMATS[1:])
@given(members=st.lists(st.tuples(paths, st.binary(max_size=1500)), min_size=1, max_size=6), chosen=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_members_are_read_and_copied_as_tarfile_does(
    tmp_path: Path, kind: int, members: list[tuple[str, bytes]], chosen: st.DataObject
) -> None:
    path = make(tmp_path / "a.tar", members, kind)
    with open_archive(path, "a.tar") as archive:
        assert read(archive) == members
        keep = chosen.draw(st.lists(st.booleans(), min_size=len(members), max_size=len(members)))
        kept = [member for member, stays in zip(archive.members, keep, strict=True) if stays]
        archive.copy([(member.start, member.end) for member in kept], tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as copy:
        found = [(member.name, copy.extractfile(member).read()) for member in copy]  # type: ignore[union-attr]
    assert found == [member for member, stays in zip(members, keep, strict=True) if stays]
    assert (tmp_path / "b.tar").stat().st_size % 10240 == 0


@pytest.mark.parametrize("kind", FORMATS)
def test_all_of_a_tar_copied_is_the_tar(tmp_path: Path, kind: int) -> None:
    path = make(tmp_path / "a.tar", [(f"{number:040d}/x.jpg", b"x" * number) for number in range(600)], kind)
    with open_archive(path, "a.tar") as archive:
        archive.copy([(member.start, member.end) for member in archive.members], tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == path.read_bytes()


def test_members_larger_than_the_buffer_are_copied_whole(tmp_path: Path) -> None:
    members = [(f"{number}.bin", os.urandom((1 << 20) * number + number)) for number in range(4)]
    path = make(tmp_path / "a.tar", members, tarfile.USTAR_FORMAT)
    with open_archive(path, "a.tar") as archive:
        kept = [archive.members[1], *archive.members[2:]]
        archive.copy([(member.start, member.end) for member in kept], tmp_path / "b.tar")
    with open_archive(tmp_path / "b.tar", "b.tar") as archive:
        assert read(archive) == members[1:]


def test_more_space_than_there_is_is_refused_before_anything_is_copied(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        with pytest.raises(OSError, match=r"No space left|too large"):
            reserve(file.fileno(), 1 << 60)
        reserve(file.fileno(), 0)
        assert os.fstat(file.fileno()).st_size == 0
        reserve(file.fileno(), 5000)
    assert (tmp_path / "a").read_bytes() in {b"", bytes(5000)}, "some file systems cannot"


def test_a_tar_that_becomes_shorter_while_it_is_copied_is_refused(tmp_path: Path) -> None:
    members = [(f"{number}.bin", os.urandom(3000)) for number in range(4)]
    path = make(tmp_path / "a.tar", members, tarfile.USTAR_FORMAT)
    with open_archive(path, "a.tar") as archive:
        os.truncate(path, 5000)
        with pytest.raises(BadInput, match="became shorter") as caught:
            archive.copy([(member.start, member.end) for member in archive.members], tmp_path / "b.tar")
    assert caught.value.code == "changed_input"


def test_long_names_and_the_prefix_of_posix_headers(tmp_path: Path) -> None:
    name = "d" * 90 + "/" + "f" * 90 + ".jpg"
    for kind in FORMATS:
        with open_archive(make(tmp_path / "a.tar", [(name, b"body")], kind), "a.tar") as archive:
            assert read(archive) == [(name, b"body")]


def add(kind: bytes, name: str, link: str = "") -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with tarfile.open(path, "a") as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            archive.addfile(member)

    return change


def test_links_and_directories_are_told_apart(tmp_path: Path) -> None:
    path = make(tmp_path / "a.tar", [("a.jpg", b"x")], tarfile.GNU_FORMAT)
    add(tarfile.SYMTYPE, "b.jpg", "/etc/passwd")(path)
    add(tarfile.LNKTYPE, "c.jpg", "a.jpg")(path)
    add(tarfile.DIRTYPE, "d")(path)
    with open_archive(path, "a.tar") as archive:
        assert [member.kind for member in archive.members] == ["file", "other", "other", "directory"]


def cut(to: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, to)


def put(at: int, content: bytes, *, seal: bool = False) -> Callable[[Path], None]:
    """Overwrite bytes of the first header; with `seal` the checksum is made right again."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at : at + len(content)] = content
        if seal:
            data[148:156] = b" " * 8
            data[148:156] = b"%06o\0 " % sum(data[:512])
        path.write_bytes(data)

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (cut(0), "empty_file"),
        (cut(100), "truncated_tar"),
        (cut(512), "truncated_tar"),
        (cut(512 + 700), "truncated_tar"),
        (cut(2 * (512 + 1024)), "truncated_tar"),
        (put(0, b"PK\3\4"), "not_tar"),
        (put(124, b"77777777777\0", seal=True), "truncated_tar"),
        (put(124, b"\xff" * 12, seal=True), "bad_tar"),
        (put(124, b"12x45678901\0", seal=True), "bad_tar"),
        (put(0, b"/abs", seal=True), "unsafe_path"),
        (put(0, b"../a", seal=True), "unsafe_path"),
        (put(0, b"a/../../b\0", seal=True), "unsafe_path"),
        (put(156, b"S", seal=True), "bad_tar"),
        (put(156, b"x", seal=True), "bad_tar"),
    ],
    ids=[
        "empty", "in a header", "after a header", "in a body", "without its end", "not a tar", "too large",
        "negative size", "size of letters", "absolute", "parent", "parent within", "sparse", "bad pax header",
    ],
)  # fmt: skip
def test_what_is_no_good_tar_is_refused(tmp_path: Path, change: Callable[[Path], None], code: str) -> None:
    path = make(tmp_path / "a.tar", [("a.jpg", b"x" * 1000), ("b.jpg", b"y" * 1000)], tarfile.GNU_FORMAT)
    change(path)
    with pytest.raises(BadInput, match=r"^a\.tar: ") as caught:
        open_archive(path, "a.tar")
    assert caught.value.code == code


@given(at=st.integers(0, 4 * 512), junk=st.binary(min_size=1, max_size=40))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_never_leads_out_of_the_file(tmp_path: Path, at: int, junk: bytes) -> None:
    path = make(tmp_path / "a.tar", [("n" * 150, b"x" * 600), ("b.jpg", b"y")], tarfile.PAX_FORMAT)
    put(at, junk)(path)
    with contextlib.suppress(BadInput), open_archive(path, "a.tar") as archive:
        assert all(member.end <= path.stat().st_size for member in archive.members)
        assert all(len(archive.read(member)) == member.size for member in archive.members)
