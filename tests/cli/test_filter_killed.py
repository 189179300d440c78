"""A filter run killed while it names the files of a shard: nothing half is left, and the next run goes on."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import test_filter_embeddings as embeddings
from tests.cli import test_filter_folders as folders
from tests.cli.command_support import Home, Ran, finish, start, write_rows
from tests.cli.killing import killed_at
from tests.cli.tar_support import sample, write_shard, write_tar

pytestmark = pytest.mark.slow
Command = Callable[..., Ran]

URLS: list[str | None] = ["https://denied.example/a.jpg", "https://fine.example/b.jpg"]


def tars(folder: Path) -> Path:
    for name in ("00000", "00001"):
        write_shard(folder, URLS, ["", ""], name=name)
    return folder


def tars_alone(folder: Path) -> Path:
    for name in ("00000", "00001"):
        write_tar(folder / f"{name}.tar", {f"{n:09d}": sample(n, url) for n, url in enumerate(URLS)})
    return folder


def tables(folder: Path) -> Path:
    for name in ("00000", "00001"):
        write_rows(folder / f"{name}.parquet", URLS)
    return folder


def pictures(folder: Path) -> Path:
    return folders.lay(folder, ["first/a.jpg", "first/b.jpg", "second/c.jpg", "second/d.jpg"])


def shards(folder: Path) -> Path:
    for number in ("0", "1"):
        embeddings.lay(folder, number=number, padded=number)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """What lies there under its name, but for the receipt, which has the time in it."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if path.name != "receipt.json"
    }


@pytest.mark.parametrize(
    ("lay", "name", "finished"),
    [
        (tars, "00001.tar", "00000"),
        (tars, "00001_stats.json", "00000"),
        (tars, ".00001.tar.done.json", "00000"),
        (tars_alone, ".00001.tar.domains.arrow", "00000"),
        (tables, ".00001.parquet.domains.arrow", "00000"),
        (tables, ".00001.parquet.done.json", "00000"),
        (pictures, "d.jpg", "first"),
        (shards, "metadata_1.parquet", "_0."),
    ],
    ids="tar|beside a tar|marker of a tar|tar alone|Parquet|marker of Parquet|folder|embeddings".split("|"),
)
def test_a_killed_run_goes_on(
    optout: Command, home: Home, tmp_path: Path, lay: Callable[[Path], Path], name: str, finished: str
) -> None:
    fixed = ("--snapshot", home.snapshot, "--key", home.private, "--processes", 1, "--at", "2026-01-31")
    command = ("filter", lay(tmp_path / "in"), *fixed, "--json")
    assert optout(*command, "--out", tmp_path / "whole").code == 0
    expected = files(tmp_path / "whole")
    out = tmp_path / "out"
    killed = finish(start(*command, "--out", out, command=killed_at(name)))
    assert killed.code == -signal.SIGKILL
    left = files(out)
    # Under its name stands nothing but what will stay there, and all of the shard that was done.
    assert left.items() <= expected.items()
    assert {each for each in expected if finished in each} <= left.keys()
    assert not (out / "receipt.json").exists()
    again = optout(*command, "--out", out)
    assert (again.code, again.json["resumed"]) == (0, 1), again.err
    assert files(out) == expected
    assert not [path.name for path in out.rglob(".*") if path.name.endswith((".part", ".begun.json"))]
    assert optout("verify", again.json["receipt"], "--trust", home.public).code == 0
