"""`optout filter`: what is left out, what is written, what happens to what cannot be read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.command_support import OUTCOMES, URLS, Home, Ran, write_rows

Command = Callable[..., Ran]


def numbers(path: Path) -> list[int]:
    found: list[int] = pq.read_table(path)["number"].to_pylist()
    return found


def test_drop_leaves_out_what_is_reserved_or_cannot_be_judged(
    optout_filter: Command, rows: Path, tmp_path: Path
) -> None:
    ran = optout_filter(rows, tmp_path / "out")
    assert ran.code == 0, ran.err
    assert numbers(tmp_path / "out" / "rows.parquet") == [3, 4]
    summary = ran.json
    assert [summary[key] for key in ("rows", "kept", "dropped", "errors", "flagged")] == [7, 2, 3, 2, 1]
    assert summary["reasons"] == {"domain": 1, "prefix": 1, "url": 1}
    assert summary["error_reasons"] == {"null": 1, "scheme": 1}
    assert summary["outcomes"] == {"unreserved": 1, "allowed": 1, "terms": 1, "denied": 2, "error": 2}


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["--keep-terms"], [2, 3, 4]),
        (["--keep-errors"], [3, 4, 5, 6]),
        (["--names", "remove"], [3]),
        (["--names", "ignore"], [3, 4]),
        (["--use", "search"], [0, 1, 2, 3, 4]),
        (["--min-grade", "1"], [0, 1, 2, 3, 4]),
    ],
)
def test_options_say_what_is_kept(
    optout_filter: Command, rows: Path, tmp_path: Path, arguments: list[str], kept: list[int]
) -> None:
    assert optout_filter(rows, tmp_path / "out", *arguments).code == 0
    assert numbers(tmp_path / "out" / "rows.parquet") == kept


def test_annotate_keeps_all_rows_and_adds_the_answers(
    optout_filter: Command, rows: Path, tmp_path: Path
) -> None:
    assert optout_filter(rows, tmp_path / "out", "--mode", "annotate").code == 0
    table = pq.read_table(tmp_path / "out" / "rows.parquet")
    assert table.drop(["optout_decision", "optout_reason", "optout_claim", "optout_flag"]) == pq.read_table(
        rows
    )
    assert table["optout_decision"].to_pylist() == OUTCOMES
    assert table["optout_reason"].to_pylist() == ["domain", "url", "prefix", "url", None, "scheme", "null"]
    assert [claim is not None for claim in table["optout_claim"].to_pylist()] == [True] * 4 + [False] * 3
    assert table["optout_flag"].to_pylist() == [False] * 4 + [True, False, False]
    again = optout_filter(tmp_path / "out" / "rows.parquet", tmp_path / "twice", "--mode", "annotate")
    assert (again.code, "optout_decision" in again.err) == (2, True)


def test_mask_lists_the_rows_to_leave_out(optout_filter: Command, rows: Path, tmp_path: Path) -> None:
    assert optout_filter(rows, tmp_path / "out", "--mode", "mask").code == 0
    mask = pq.read_table(tmp_path / "out" / "rows.parquet")
    assert mask.schema.field("row").type == pa.int64()
    assert mask.to_pydict() == {
        "row": [0, 1, 2, 5, 6],
        "decision": ["denied", "denied", "terms", "error", "error"],
        "reason": ["domain", "url", "prefix", "scheme", "null"],
    }


def test_masks_for_datacomp_and_nemo(optout_filter: Command, tmp_path: Path) -> None:
    uids = [f"{number * 7919 % 97:016x}{number:016X}" for number in range(len(URLS))]
    source = write_rows(tmp_path / "in" / "pool.parquet", URLS, uid=uids)
    options = ("--mode", "mask", "--mask-format")
    assert optout_filter(source, tmp_path / "dc", *options, "datacomp").code == 0
    expected = sorted((int(uid[:16], 16), int(uid[16:], 16)) for uid in (uids[3], uids[4]))
    for name in ("pool.npy", "kept_uids.npy"):
        found = np.load(tmp_path / "dc" / name)
        assert found.dtype == np.dtype("u8,u8")
        assert found.tolist() == expected
    assert optout_filter(source, tmp_path / "nemo", *options, "nemo").code == 0
    removed = pq.read_table(tmp_path / "nemo" / "pool.parquet")
    assert removed.to_pydict() == {"id": [uids[row] for row in (0, 1, 2, 5, 6)]}
    bad = write_rows(tmp_path / "bad.parquet", URLS, uid=["no hex"] * len(URLS))
    ran = optout_filter(bad, tmp_path / "bad", *options, "datacomp")
    assert (ran.code, "'uid'" in ran.err) == (3, True)


def test_digests_alone_are_enough(optout_filter: Command, tmp_path: Path) -> None:
    digests = pa.table({"sha256": ["ab" * 32, "ee" * 32, None, "junk"], "number": range(4)})
    pq.write_table(digests, tmp_path / "digests.parquet")
    ran = optout_filter(tmp_path / "digests.parquet", tmp_path / "out")
    assert ran.json["reasons"] == {"sha256": 1}
    assert ran.json["errors"] == 2
    assert numbers(tmp_path / "out" / "digests.parquet") == [1]


def test_columns_are_named_or_the_error_names_those_there_are(optout_filter: Command, tmp_path: Path) -> None:
    source = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"link": URLS[:2], "number": [0, 1]}), source)
    ran = optout_filter(source, tmp_path / "out")
    assert ran.code == 3
    assert ran.json["failed"][0]["code"] == "missing_column"
    assert "link, number" in ran.err
    assert "'href'" in optout_filter(source, tmp_path / "out", "--url-column", "href").err
    assert "int64" in optout_filter(source, tmp_path / "out", "--url-column", "number").err
    assert optout_filter(source, tmp_path / "out", "--url-column", "link").json["dropped"] == 2


def test_directories_and_globs_keep_names(optout_filter: Command, tmp_path: Path) -> None:
    seen = {"a.parquet", "deep/er/b.parquet", "deep/c.parquet"}
    for name in {*seen, ".hidden.parquet", "_temporary/d.parquet"}:
        write_rows(tmp_path / "in" / name, URLS)
    out = tmp_path / "in" / "out"
    for _ in range(2):
        ran = optout_filter(tmp_path / "in", out)
        assert (ran.code, ran.json["shards"]) == (0, 3)
        visible = {path.relative_to(out).as_posix() for path in out.rglob("*.parquet")}
        assert visible == seen
    globbed = optout_filter(tmp_path / "in" / "deep" / "**" / "*.parquet", tmp_path / "globbed")
    assert globbed.json["shards"] == 2
    assert (tmp_path / "globbed" / "er" / "b.parquet").exists()


def test_finished_shards_are_not_done_again(optout_filter: Command, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.parquet", "b.parquet"):
        write_rows(source / name, URLS)
    first = optout_filter(source, out).json
    inode = (out / "a.parquet").stat().st_ino
    (out / "b.parquet").write_bytes(b"damaged")
    second = optout_filter(source, out).json
    assert second["resumed"] == 1
    assert (out / "a.parquet").stat().st_ino == inode
    assert [second[key] for key in ("rows", "kept", "at")] == [first[key] for key in ("rows", "kept", "at")]
    write_rows(source / "a.parquet", URLS * 2)
    assert optout_filter(source, out).json["rows"] == 3 * len(URLS)
    third = optout_filter(source, out).json
    assert (third["resumed"], third["receipt_sha256"]) == (
        2,
        optout_filter(source, out).json["receipt_sha256"],
    )


def test_output_of_something_else_is_not_mixed_in(
    optout_filter: Command, home: Home, rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert optout_filter(rows, out).code == 0
    for arguments, word in (
        (["--snapshot", home.other_snapshot], "snapshot"),
        (["--use", "search"], "use"),
        (["--mode", "mask"], "mode"),
    ):
        ran = optout_filter(rows, out, *arguments)
        assert (ran.code, word in ran.err) == (2, True), ran.err
        assert ran.json["error"]["code"] == "other_run"
    assert optout_filter(rows, out, "--mode", "mask", "--overwrite").code == 0
    (out / "stranger.txt").write_text("mine")
    assert optout_filter(rows, out, "--overwrite").json["error"]["code"] == "output_exists"
    assert optout_filter(rows, rows.parent).code == 2


def test_a_bad_shard_stops_neither_the_others_nor_goes_unnoticed(
    optout_filter: Command, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.parquet", "b.parquet", "c.parquet"):
        write_rows(source / name, URLS)
    whole = (source / "b.parquet").read_bytes()
    (source / "b.parquet").write_bytes(whole[: len(whole) // 2])
    (source / "c.parquet").write_bytes(b"")
    ran = optout_filter(source, out)
    assert ran.code == 3
    assert [(one["shard"], one["code"]) for one in ran.json["failed"]] == [
        ("b.parquet", "truncated_parquet"),
        ("c.parquet", "empty_file"),
    ]
    assert "b.parquet" in ran.err
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == ["a.parquet"]
    (source / "b.parquet").write_bytes(whole)
    (source / "c.parquet").unlink()
    assert optout_filter(source, out).json["resumed"] == 1
    assert (out / "receipt.json").exists()


def test_damage_in_the_middle_is_found(optout_filter: Command, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.parquet", [f"https://x.example/{number}" for number in range(5000)])
    content = bytearray(source.read_bytes())
    content[200:400] = bytes(200)
    source.write_bytes(content)
    ran = optout_filter(source, tmp_path / "out")
    assert (ran.code, ran.json["failed"][0]["code"]) == (3, "truncated_parquet")


def test_no_rows_are_fine(optout_filter: Command, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "none.parquet", [])
    ran = optout_filter(source, tmp_path / "out")
    assert (ran.code, ran.json["rows"]) == (0, 0)
    assert pq.read_schema(tmp_path / "out" / "none.parquet") == pq.read_schema(source)


def test_odd_urls_are_errors_and_come_through_unchanged(optout_filter: Command, tmp_path: Path) -> None:
    raw = [
        b"https://x.example/\xff\xfe",
        b"https://x.example/" + b"a" * (1 << 20),
        b"",
        b"data:,x",
        b"https://[::1",
    ]
    odd = _unchecked(raw)
    pq.write_table(pa.table({"URL": odd, "number": range(len(raw))}), tmp_path / "odd.parquet")
    ran = optout_filter(tmp_path / "odd.parquet", tmp_path / "out")
    assert (ran.code, ran.json["kept"], ran.json["errors"]) == (0, 0, len(raw))
    assert ran.json["error_reasons"]["too_long"] == 1
    kept = optout_filter(tmp_path / "odd.parquet", tmp_path / "kept", "--keep-errors")
    assert kept.json["kept"] == len(raw)
    assert pq.read_table(tmp_path / "kept" / "odd.parquet")["URL"].cast(pa.binary()).to_pylist() == raw


def _unchecked(raw: list[bytes]) -> pa.Array:
    """Bytes as a string array, valid UTF-8 or not: what a careless writer leaves in a file."""
    array = pa.array(raw, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(raw), array.buffers())


def test_nothing_to_filter(optout_filter: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert optout_filter(tmp_path / "missing.parquet", tmp_path / "out").code == 3
    assert optout_filter(tmp_path / "empty", tmp_path / "out").json["error"]["code"] == "no_shards"
    assert optout_filter("s3://bucket/x", tmp_path / "out").code == 2


def test_rows_that_cannot_be_judged_are_named(
    optout: Command, optout_filter: Command, home: Home, rows: Path, tmp_path: Path
) -> None:
    assert optout_filter(rows, tmp_path / "out").json["error_items"] == [
        "rows.parquet: row 5 cannot be judged: scheme",
        "rows.parquet: row 6 cannot be judged: null",
    ]
    for name in ("a", "b"):
        write_rows(tmp_path / "in" / f"{name}.parquet", ["javascript:1"] * 30)
    command = ("filter", tmp_path / "in", "--snapshot", home.snapshot, "--out", tmp_path / "many")
    assert len(optout(*command, "--json").json["error_items"]) == 40
    said = optout(*command).out
    assert (said.count("cannot be judged"), "and more" in said) == (20, True)


@pytest.mark.parametrize("out", [".", ".."])
def test_a_source_in_the_output_is_said_to_be_there(
    optout_filter: Command, rows: Path, tmp_path: Path, out: str
) -> None:
    source = rows.parent / "in"
    source.mkdir()
    rows.rename(source / rows.name)
    ran = optout_filter(source, source / out)
    assert (ran.code, ran.json["error"]["code"]) == (2, "in_place")
    assert "choose another --out" in ran.err
