"""The real command, in processes of its own, when things go wrong around it."""

import resource
import signal
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.command_support import URLS, Home, finish, start
from tests.cli.killing import killed_at

pytestmark = pytest.mark.slow


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two shards of small row groups."""
    urls = [f"https://host{number % 977}.example/{number}/picture.jpg" for number in range(30_000)]
    table = pa.table({"URL": urls, "number": range(len(urls))})
    (tmp_path / "in").mkdir()
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(table, tmp_path / "in" / name, row_group_size=300)
    return tmp_path / "in"


def command(home: Home, source: Path, out: Path, *more: object) -> list[object]:
    return ["filter", source, "--snapshot", home.snapshot, "--key", home.private, "--out", out, *more]


def test_killed_run_leaves_no_half_file_and_goes_on(home: Home, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    part = out / ".b.parquet.part"
    killed = finish(start(*command(home, many, out, "--processes", 1), command=killed_at("b.parquet")))
    assert killed.code == -signal.SIGKILL
    assert part.exists()
    assert visible(out) == ["a.parquet"]
    assert pq.read_table(out / "a.parquet").num_rows == 30_000
    again = finish(start(*command(home, many, out, "--processes", 2, "--json")))
    assert (again.code, again.json["resumed"], again.json["rows"]) == (0, 1, 60_000)
    assert visible(out) == ["a.parquet", "b.parquet", "receipt.json"]
    assert not part.exists()
    assert finish(start("verify", out / "receipt.json", "--trust", home.public)).code == 0


def test_several_processes_give_what_one_gives(home: Home, many: Path, tmp_path: Path) -> None:
    whole = (many / "b.parquet").read_bytes()
    (many / "c.parquet").write_bytes(whole[:5000])
    at = ("--at", "2026-01-31", "--json")
    several = finish(start(*command(home, many, tmp_path / "several", "--processes", 3, *at)))
    assert (several.code, several.json["rows"]) == (3, 60_000)
    assert "c.parquet" in several.err
    (many / "c.parquet").unlink()
    one = finish(start(*command(home, many, tmp_path / "one", "--processes", 1, *at)))
    assert one.code == 0
    for name in ("a.parquet", "b.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "several" / name).read_bytes()


def test_full_disk_stops_the_run_and_names_the_file(home: Home, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    ran = finish(start(*command(home, many, out, "--processes", 1, "--json"), preexec_fn=small_files))
    assert (ran.code, ran.json["error"]["code"]) == (3, "disk_full")
    assert str(out / "a.parquet") in ran.err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("out", ["/proc/optout", "file/out"])
def test_output_that_cannot_be_written(home: Home, rows: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("no directory")
    ran = finish(start(*command(home, rows, tmp_path / out, "--json")))
    assert (ran.code, ran.json["error"]["code"]) == (2, "unwritable")
    assert out in ran.err


def test_large_values_stay_within_bounds(home: Home, tmp_path: Path) -> None:
    """Hundreds of megabytes of URLs in one row group: judged and written in bounded memory."""
    long = "https://x.example/" + "a" * (1 << 20)
    table = pa.table({"URL": [f"{long}{number}" for number in range(400)]})
    encoding = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, tmp_path / "long.parquet", write_batch_size=1, **encoding)
    del table

    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (3 << 29, 3 << 29))

    more = ("--keep-errors", "--json")
    ran = finish(
        start(*command(home, tmp_path / "long.parquet", tmp_path / "out", *more), preexec_fn=little_memory)
    )
    assert ran.code == 0, ran.err
    assert (ran.json["rows"], ran.json["errors"]) == (400, 400)
    written = pq.ParquetFile(tmp_path / "out" / "long.parquet")
    assert written.metadata.num_rows == 400


def test_help_is_fast_and_loads_nothing_large() -> None:
    code = (
        "import sys\nfrom optout.cli.app import run\nrun(['--help'])\n"
        "assert not {'numba', 'pyarrow', 'numpy'} & set(sys.modules), 'loaded'"
    )
    ran = finish(start(command=[sys.executable, "-c", code]))
    assert ran.code == 0, ran.err
    for name in ("check", "filter", "hash", "keygen", "snapshot", "verify"):
        assert name in ran.out


def test_urls_from_standard_input(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "urls.txt"
    source.write_bytes("\n".join(url for url in URLS if url).encode() + b"\nhttps://x.example/\xff\n")
    with source.open("rb") as urls:
        ran = finish(start("check", "-", "--snapshot", home.snapshot, "--json", stdin=urls))
    outcomes = [result["outcome"] for result in ran.json["results"]]
    assert outcomes == ["denied", "denied", "terms", "allowed", "unreserved", "error", "error"]
