"""`optout filter` of WebDataset tars: samples stay or go whole, and what lies beside a tar agrees with it."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from webdataset import tariterators

from optout.keys import load_public
from optout.receipt import read_statement
from tests.cli.command_support import Home, Ran, build
from tests.cli.tar_support import (
    contents,
    index_of,
    keys,
    picture,
    sample,
    write_members,
    write_shard,
    write_tar,
)

Command = Callable[..., Ran]

URLS = [
    "https://www.denied.example/x.png",
    "http://one.example/a.jpg",
    "https://one.example/terms/b.jpg",
    "https://one.example/free.jpg",
    "https://other.example/c.jpg",
    "javascript:alert(1)",
    "https://fine.example/d.jpg",
]
CAPTIONS = ["", "", "", "", "A portrait by mara LINDQVIST, 1999", "", "a hill"]
KEPT = ["000000003", "000000004", "000000006"]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return write_shard(tmp_path / "in", list(URLS), CAPTIONS)


def test_drop_leaves_samples_out_of_the_tar_and_of_all_that_lies_beside_it(
    optout_filter: Command, shard: Path, tmp_path: Path
) -> None:
    ran = optout_filter(shard.parent, tmp_path / "out")
    assert ran.code == 0, ran.err
    tar = tmp_path / "out" / "00000.tar"
    before, after = contents(shard), contents(tar)
    assert keys(tar) == KEPT
    assert list(after) == [name for name in before if name.split(".")[0] in KEPT]
    assert all(after[name] == before[name] for name in after)
    sidecar = pq.read_table(tar.with_suffix(".parquet"))
    assert sidecar["key"].to_pylist() == [*reversed(KEPT), "000000099"]
    assert sidecar.schema == pq.read_schema(shard.with_suffix(".parquet"))
    stats = json.loads((tmp_path / "out" / "00000_stats.json").read_text())
    assert (stats["count"], stats["successes"], stats["failed_to_download"]) == (4, 3, 1)
    assert stats["status_dict"] == {"success": 3, "404": 1}
    assert tar.with_suffix(".idx").read_text() == index_of(tar)
    summary = ran.json
    assert [summary[key] for key in ("rows", "kept", "dropped", "errors", "flagged")] == [7, 3, 3, 1, 1]
    assert summary["reasons"] == {"domain": 1, "prefix": 1, "url": 1}
    assert summary["error_items"] == ["00000.tar: 000000005 cannot be judged: scheme"]


def test_what_is_written_reads_as_webdataset(optout_filter: Command, shard: Path, tmp_path: Path) -> None:
    assert optout_filter(shard, tmp_path / "out").code == 0
    with (tmp_path / "out" / "00000.tar").open("rb") as file:
        read = list(
            tariterators.group_by_keys(tariterators.tar_file_expander([{"url": "a", "stream": file}]))
        )
    assert [each["__key__"] for each in read] == KEPT
    assert [each["jpg"] for each in read] == [picture(int(key)) for key in KEPT]


def test_the_receipt_speaks_of_every_file(
    optout: Command, optout_filter: Command, home: Home, shard: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    receipt = optout_filter(shard, out).json["receipt"]
    verify = ("verify", receipt, "--trust", home.public, "--json")
    found = optout(*verify)
    assert found.code == 0, found.out
    assert {finding["what"] for finding in found.json["findings"]} == {
        "signature", "00000.tar", "00000.parquet", "00000_stats.json", "00000.idx",
    }  # fmt: skip
    with (out / "00000.tar").open("r+b") as file:
        file.seek(600)
        file.write(b"x")
    assert (optout(*verify).code, optout_filter(shard, out).json["resumed"]) == (1, 0)
    assert optout(*verify).code == 0
    assert optout_filter(shard, out).json["resumed"] == 1


def test_a_run_killed_while_it_named_its_files_goes_on(
    optout: Command, optout_filter: Command, home: Home, shard: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    names = ["00000.idx", "00000.parquet", "00000.tar", "00000_stats.json"]
    assert optout_filter(shard, out).code == 0
    expected = {name: (out / name).read_bytes() for name in names}
    # As `kill -9` leaves it: some files have their names, others not yet, and the list of them is there.
    (out / ".00000.tar.begun.json").write_text(json.dumps(names))
    for name in (".00000.tar.done.json", ".00000.tar.domains.arrow", "00000.tar", "receipt.json"):
        (out / name).unlink()
    (out / ".00000.tar.part").write_bytes(b"half")
    (out / "00000.parquet").write_bytes(b"of another run")
    ran = optout_filter(shard, out)
    assert (ran.code, ran.json["resumed"]) == (0, 0), ran.err
    assert {name: (out / name).read_bytes() for name in names} == expected
    assert optout("verify", ran.json["receipt"], "--trust", home.public).code == 0
    assert not list(out.glob(".*.begun.json")) + list(out.glob(".*.part"))


def test_annotate_keeps_the_tar_and_answers_in_the_sidecar(
    optout_filter: Command, shard: Path, tmp_path: Path
) -> None:
    assert optout_filter(shard, tmp_path / "out", "--mode", "annotate").code == 0
    tar = tmp_path / "out" / "00000.tar"
    assert tar.read_bytes() == shard.read_bytes()
    table = pq.read_table(tar.with_suffix(".parquet"))
    answers = dict(zip(table["key"].to_pylist(), table["optout_decision"].to_pylist(), strict=True))
    assert answers["000000000"] == "denied"
    assert answers["000000003"] == "allowed"
    assert answers["000000099"] is None
    assert optout_filter(tar, tmp_path / "twice", "--mode", "annotate").code == 2


def test_annotate_without_a_sidecar_writes_one(optout_filter: Command, tmp_path: Path) -> None:
    source = write_tar(tmp_path / "a.tar", {str(n): sample(n, URLS[n]) for n in (0, 4)})
    assert optout_filter(source, tmp_path / "out", "--mode", "annotate").code == 0
    table = pq.read_table(tmp_path / "out" / "a.parquet")
    assert table["key"].to_pylist() == ["0", "4"]
    assert table["optout_decision"].to_pylist() == ["denied", "unreserved"]


def test_mask_lists_keys(optout_filter: Command, shard: Path, tmp_path: Path) -> None:
    assert optout_filter(shard, tmp_path / "out", "--mode", "mask").code == 0
    assert pq.read_table(tmp_path / "out" / "00000.parquet").to_pydict() == {
        "key": ["000000000", "000000001", "000000002", "000000005"],
        "decision": ["denied", "denied", "terms", "error"],
        "reason": ["domain", "url", "prefix", "scheme"],
    }
    refused = optout_filter(shard, tmp_path / "ids", "--mode", "mask", "--mask-format", "nemo")
    assert (refused.code, "--mask-format nemo is for Parquet" in refused.err) == (2, True)


def test_digests_of_metadata_and_of_the_files_themselves(optout: Command, home: Home, tmp_path: Path) -> None:
    mine = hashlib.sha256(picture(2)).hexdigest()
    claims = [
        {"selector": "sha256", "value": mine, "decision": "deny", "owner": "a"},
        {"selector": "md5", "value": hashlib.md5(picture(3)).hexdigest(), "decision": "deny", "owner": "a"},
        {"selector": "sha256", "value": "ab" * 32, "decision": "deny", "owner": "a"},
    ]
    snapshot = build(tmp_path / "snapshot", claims, home.private)
    samples = {str(n): sample(n, f"https://fine.example/{n}") for n in range(4)}
    samples["1"] = sample(1, "https://fine.example/1", sha256="AB" * 32)
    source = write_tar(tmp_path / "a.tar", samples)
    ran = optout("filter", source, "--snapshot", snapshot, "--out", tmp_path / "out", "--json")
    assert (ran.code, ran.json["reasons"]) == (0, {"md5": 1, "sha256": 2})
    assert keys(tmp_path / "out" / "a.tar") == ["0"]


@pytest.mark.parametrize(("owner", "kept"), [(None, KEPT), ("dora", ["000000000", *KEPT]), ("nobody", KEPT)])
def test_an_owner_states_that_the_works_are_his(
    optout_filter: Command,
    home: Home,
    shard: Path,
    tmp_path: Path,
    owner: str | None,
    kept: list[str],
) -> None:
    ran = optout_filter(shard, tmp_path / "out", *(("--owner", owner) if owner else ()))
    assert ran.code == 0, ran.err
    assert keys(tmp_path / "out" / "00000.tar") == kept
    assert ran.json["owner"] == owner
    statement = read_statement(ran.json["receipt"], [load_public(home.public)])
    assert statement["predicate"]["question"]["owner"] == owner


def test_own_works_without_any_metadata(optout_filter: Command, tmp_path: Path) -> None:
    source = write_tar(
        tmp_path / "mine.tar", {str(n): {"png": picture(n), "txt": b"by me"} for n in range(3)}
    )
    ran = optout_filter(source, tmp_path / "out", "--owner", "me")
    assert (ran.code, ran.json["kept"], ran.json["errors"]) == (0, 3, 0)


def test_folders_of_shards_and_several_processes(optout_filter: Command, tmp_path: Path) -> None:
    for name in ("a/00000", "a/00001", "b/00000"):
        write_shard(tmp_path / "in" / Path(name).parent, list(URLS), CAPTIONS, name=Path(name).name)
    ran = optout_filter(tmp_path / "in", tmp_path / "out", "--processes", 2)
    assert (ran.code, ran.json["shards"], ran.json["kept"]) == (0, 3, 9)
    assert keys(tmp_path / "out" / "b" / "00000.tar") == KEPT


Members = list[tuple[str, bytes]]


def triple(key: str, url: str, number: int = 0, caption: str = "") -> Members:
    return [(f"{key}.{extension}", body) for extension, body in sample(number, url, caption).items()]


FINE = "https://fine.example/a.jpg"


@pytest.mark.parametrize(
    ("members", "kept", "sentence"),
    [
        (triple("a", FINE)[:2] + triple("b", FINE), ["b"], "a has no URL, as others have"),
        (triple("a", FINE)[1:] + triple("b", FINE), ["b"], "a has metadata but no picture"),
        (
            triple("a", FINE) + triple("b", FINE) + triple("a", FINE),
            ["b"],
            "a: the key occurs more than once",
        ),
        (
            triple("a", FINE) + triple("a", FINE) + triple("b", FINE),
            ["b"],
            "a: the key occurs more than once",
        ),
        (
            [("a.json", b"{"), *triple("a", FINE)[:2], *triple("b", FINE)],
            ["b"],
            "a.json is not a JSON object",
        ),
        (
            [("a.json", b" " * (16 << 20) + b"{}"), *triple("a", FINE)[:2], *triple("b", FINE)],
            ["b"],
            "a.json has 16,777,218 bytes, too many for a caption or metadata",
        ),
        ([*triple("b", FINE), ("README", b"hello")], ["b"], "README belongs to no sample: left out"),
    ],
    ids=["no metadata", "no picture", "key twice", "key twice in a row", "bad JSON", "huge JSON", "stray"],
)
def test_members_that_make_no_sample(
    optout_filter: Command, tmp_path: Path, members: Members, kept: list[str], sentence: str
) -> None:
    source = write_members(tmp_path / "a.tar", members)
    ran = optout_filter(source, tmp_path / "out")
    assert ran.code == 0, ran.err
    assert f"a.tar: {sentence}" in ran.json["error_items"]
    assert keys(tmp_path / "out" / "a.tar") == kept


def test_samples_with_links_are_left_out_and_named(optout_filter: Command, tmp_path: Path) -> None:
    source = tmp_path / "a.tar"
    with tarfile.open(source, "w") as archive:
        for number, kind in enumerate((tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)):
            stated = json.dumps({"url": f"https://fine.example/{number}.jpg"}).encode()
            text = tarfile.TarInfo(f"{number:09d}.json")
            text.size = len(stated)
            archive.addfile(text, io.BytesIO(stated))
            member = tarfile.TarInfo(f"{number:09d}.png")
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(picture(1))
                archive.addfile(member, io.BytesIO(picture(1)))
            else:
                member.linkname = "/etc/passwd"
                archive.addfile(member)
    ran = optout_filter(source, tmp_path / "out")
    assert (ran.code, ran.json["kept"], ran.json["errors"]) == (0, 1, 2), ran.err
    assert keys(tmp_path / "out" / "a.tar") == ["000000000"]
    assert [sum(key in said for said in ran.json["error_items"]) for key in ("000000001", "000000002")] == [
        1,
        1,
    ]


def edit_sidecar(shard: Path, change: Callable[[dict[str, list[Any]]], object]) -> None:
    path = shard.with_suffix(".parquet")
    columns = pq.read_table(path).to_pydict()
    change(columns)
    pq.write_table(pa.table(columns), path)


def drop_row(columns: dict[str, list[Any]]) -> None:
    row = columns["key"].index("000000006")
    for values in columns.values():
        del values[row]


def swap_urls(columns: dict[str, list[Any]]) -> None:
    columns["url"][0], columns["url"][2] = columns["url"][2], columns["url"][0]


def double_key(columns: dict[str, list[Any]]) -> None:
    columns["key"][-1] = "000000006"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop_row, "000000006 has no row in the metadata"),
        (swap_urls, "000000006: its JSON and its row in the metadata state different urls"),
        (double_key, "000000006: the key occurs more than once"),
    ],
)
def test_metadata_rows_that_do_not_line_up(
    optout_filter: Command,
    shard: Path,
    tmp_path: Path,
    change: Callable[[dict[str, list[Any]]], object],
    sentence: str,
) -> None:
    edit_sidecar(shard, change)
    ran = optout_filter(shard, tmp_path / "out")
    assert ran.code == 0, ran.err
    assert f"00000.tar: {sentence}" in ran.json["error_items"]
    assert "000000006" not in keys(tmp_path / "out" / "00000.tar")
    assert "000000006" not in pq.read_table(tmp_path / "out" / "00000.parquet")["key"].to_pylist()


def test_a_sidecar_without_keys_or_a_broken_index_is_refused(
    optout_filter: Command, shard: Path, tmp_path: Path
) -> None:
    shard.with_suffix(".idx").write_text("something else")
    ran = optout_filter(shard, tmp_path / "out")
    assert (ran.code, ran.json["error"]["code"]) == (3, "unknown_index")
    edit_sidecar(shard, lambda columns: columns.pop("key"))
    ran = optout_filter(shard, tmp_path / "out")
    assert (ran.code, ran.json["error"]["code"]) == (3, "missing_column")
    assert "url, caption, status, width" in ran.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == []
