"""A disk that is full in the middle of things: said with the name of the file, and nothing half is left."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.command_support import COMMAND, Home, Ran, finish, start, write_claims
from tests.cli.tar_support import sample, write_tar
from tests.cli.test_filter_embeddings import lay as lay_embeddings
from tests.cli.test_filter_folders import lay as lay_pictures
from tests.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.slow
ROWS = 20_000


def shards(folder: Path, *names: str) -> Path:
    """Shards with ids, in which every other row or so is reserved, in no regular way."""
    folder.mkdir()
    reserved = np.random.default_rng(7).integers(0, 2, ROWS, dtype=bool).tolist()
    hosts = ["denied.example" if yes else "free.example" for yes in reserved]
    columns = {
        "URL": [f"https://{host}/{number}.jpg" for number, host in enumerate(hosts)],
        "uid": [f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}" for number in range(ROWS)],
    }
    for name in names:
        pq.write_table(pa.table(columns), folder / name, row_group_size=ROWS // 4)
    return folder


def run(disk: SmallDisk, *arguments: object) -> Ran:
    return finish(start(*arguments, command=[*disk.prefix, *COMMAND]))


def filtering(home: Home, source: Path, out: Path, *more: object) -> list[object]:
    fixed = ["--snapshot", home.snapshot, "--key", home.private, "--processes", 1, "--json"]
    return ["filter", source, "--out", out, *fixed, *more]


@pytest.mark.parametrize(
    "mode",
    [
        ["--mode", "drop"],
        ["--mode", "annotate"],
        ["--mode", "mask"],
        ["--mode", "mask", "--mask-format", "datacomp", "--id-column", "uid"],
        ["--mode", "mask", "--mask-format", "nemo", "--id-column", "uid"],
    ],
    ids=lambda mode: mode[3] if len(mode) > 2 else mode[1],
)
def test_whatever_is_written_a_full_disk_is_said(home: Home, tmp_path: Path, mode: list[str]) -> None:
    source = shards(tmp_path / "in", "a.parquet")
    with small_disk(tmp_path / "disk", 4) as disk:
        ran = run(disk, *filtering(home, source, disk.place / "out", *mode))
        assert (ran.code, ran.json["error"]["code"]) == (3, "disk_full"), ran.err
        assert f"cannot write {disk.place / 'out' / 'a.'}" in ran.err
        assert "No space left on device" in ran.err
        assert disk.left() == ["out"]


def test_a_run_goes_on_once_there_is_room(home: Home, tmp_path: Path) -> None:
    source = shards(tmp_path / "in", "a.parquet", "b.parquet")
    size = sum(path.stat().st_size for path in source.iterdir()) // 1024
    with small_disk(tmp_path / "disk", size // 2) as disk:
        command = filtering(home, source, disk.place / "out")
        full = run(disk, *command)
        assert (full.code, full.json["error"]["code"]) == (3, "disk_full"), full.err
        assert str(disk.place / "out" / "b.parquet") in full.err
        assert [name for name in disk.left() if not name.startswith(".")] == ["a.parquet", "out"]
        assert not any(name.endswith(".part") for name in disk.left())
        disk.grow(4 * size)
        again = run(disk, *command)
        assert (again.code, again.json["resumed"], again.json["rows"]) == (0, 1, 2 * ROWS), again.err
        assert run(disk, "verify", disk.place / "out" / "receipt.json", "--trust", home.public).code == 0


def tar_of_pictures(folder: Path) -> None:
    samples = {f"{n:09d}": sample(n, f"https://fine.example/{n}.jpg") for n in range(300)}
    for name in ("00000", "00001"):
        write_tar(folder / f"{name}.tar", samples)


def folders_of_pictures(folder: Path) -> None:
    lay_pictures(folder, [f"{name}/{n}.jpg" for name in ("00000", "00001") for n in range(300)])


def embedding_shards(folder: Path) -> None:
    for number in ("0", "1"):
        lay_embeddings(folder, number=number, padded=number)


@pytest.mark.parametrize(
    ("lay", "second"),
    [
        (tar_of_pictures, "00001.tar"),
        (folders_of_pictures, "00001/"),
        (embedding_shards, "_1.npy"),
    ],
    ids=["tars", "folders", "embeddings"],
)
@pytest.mark.parametrize("mode", ["drop", "annotate"])
def test_no_kind_of_data_leaves_half_a_shard(
    home: Home, tmp_path: Path, lay: Callable[[Path], None], second: str, mode: str
) -> None:
    source = tmp_path / "in"
    lay(source)
    # As a file system counts it, in whole pages: room for one of the two shards, and some of the other.
    size = sum(-(-path.stat().st_size // 4096) * 4 for path in source.rglob("*") if path.is_file())
    with small_disk(tmp_path / "disk", size * 3 // 4) as disk:
        command = filtering(home, source, disk.place / "out", "--mode", mode)
        full = run(disk, *command)
        assert (full.code, full.json["error"]["code"]) == (3, "disk_full"), full.err
        assert f"cannot write {disk.place}" in full.err
        assert second in full.err.split(": ")[1]
        assert not [name for name in disk.left() if name.endswith((".part", "receipt.json"))]
        disk.grow(4 * size)
        again = run(disk, *command)
        assert (again.code, again.json["resumed"]) == (0, 1), again.err
        assert run(disk, "verify", disk.place / "out" / "receipt.json", "--trust", home.public).code == 0


@pytest.mark.parametrize("kilobytes", [8, 180])
def test_a_snapshot_is_built_once_there_is_room(home: Home, tmp_path: Path, kilobytes: int) -> None:
    claims = [
        {"selector": "url", "value": f"https://{n}.example/a.jpg", "decision": "deny", "owner": f"o{n}"}
        for n in range(3_000)
    ]
    source = write_claims(tmp_path / "claims.jsonl", claims)
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        out = disk.place / "snapshot"
        command = ["snapshot", "build", source, "--key", home.private, "--out", out, "--json"]
        full = run(disk, *command)
        assert (full.code, full.json["error"]["code"]) == (3, "disk_full"), full.err
        assert f"cannot write {out}: No space left on device" in full.err
        assert disk.left() == []
        disk.grow(4_000)
        built = run(disk, *command)
        assert built.code == 0, built.err
        assert run(disk, "snapshot", "verify", out, "--trust", home.public).code == 0
        assert disk.left().count("manifest.json") == 1
