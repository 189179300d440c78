"""`optout filter` of folders of pictures, with metadata in every form and with none."""

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.command_support import Home, Ran, build
from tests.cli.tar_support import picture

Command = Callable[..., Ran]

ROWS = {
    "a.jpg": ("https://www.denied.example/x.png", "one"),
    "sub/b.png": ("https://fine.example/b.png", 'two, "quoted"\nover two lines'),
    "c.jpg": ("javascript:alert(1)", "three"),
    "d.jpg": ("https://one.example/free.jpg", "four"),
}
KEPT = ["d.jpg", "sub/b.png"]


def lay(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    return folder


def write_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("file_name", "url", "text"), *((name, *row) for name, row in ROWS.items())])


def write_jsonl(path: Path) -> None:
    rows = [{"file_name": name, "url": url, "text": text} for name, (url, text) in ROWS.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path: Path) -> None:
    urls, texts = zip(*ROWS.values(), strict=True)
    pq.write_table(pa.table({"file_name": list(ROWS), "url": urls, "text": texts}), path)


def read_names(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        names: list[str] = pq.read_table(path)["file_name"].to_pylist()
        return names
    if path.suffix == ".jsonl":
        return [json.loads(line)["file_name"] for line in path.read_text().splitlines()]
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row["file_name"] for row in csv.DictReader(file)]


def listed(folder: Path) -> list[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if not path.name.startswith("."))


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


@pytest.mark.parametrize("form", WRITERS)
def test_pictures_and_their_rows_of_metadata(
    optout: Command, optout_filter: Command, home: Home, tmp_path: Path, form: str
) -> None:
    source = lay(tmp_path / "in", list(ROWS))
    metadata = source / f"metadata.{form}"
    WRITERS[form](metadata)
    ran = optout_filter(source, tmp_path / "out")
    assert ran.code == 0, ran.err
    assert [ran.json[key] for key in ("rows", "kept", "dropped", "errors")] == [4, 2, 1, 1]
    assert listed(tmp_path / "out") == sorted([*KEPT, metadata.name, "receipt.json"])
    assert read_names(tmp_path / "out" / metadata.name) == ["sub/b.png", "d.jpg"]
    assert all((tmp_path / "out" / name).read_bytes() == (source / name).read_bytes() for name in KEPT)
    assert optout("verify", ran.json["receipt"], "--trust", home.public).code == 0
    assert optout_filter(source, tmp_path / "out").json["resumed"] == 1


def test_rows_of_text_are_written_again_as_they_stand(optout_filter: Command, tmp_path: Path) -> None:
    source = lay(tmp_path / "in", list(ROWS))
    (source / "metadata.csv").write_bytes(
        b'text,file_name,url\r\n"a\r\nb",./d.jpg,https://fine.example/d\r\n\xff ,a.jpg,https://denied.example/\r\n'
        b'  c  ,"sub/b.png","https://fine.example/b"\r\n;,c.jpg,https://denied.example/'
    )
    assert optout_filter(source, tmp_path / "out").code == 0
    assert (tmp_path / "out" / "metadata.csv").read_bytes() == (
        b'text,file_name,url\r\n"a\r\nb",./d.jpg,https://fine.example/d\r\n  c  ,"sub/b.png","https://fine.example/b"\r\n'
    )


def test_a_folder_without_metadata_is_judged_by_its_files(
    optout: Command, home: Home, tmp_path: Path
) -> None:
    digest = hashlib.sha256(picture(1)).hexdigest()
    claims = [{"selector": "sha256", "value": digest, "decision": "deny", "owner": "a"}]
    snapshot = build(tmp_path / "snapshot", claims, home.private)
    source = lay(tmp_path / "in", ["x/a.jpg", "x/b.jpg", "y/c.jpg"])
    (source / "x" / "b.txt").write_text("a caption")
    (source / "x" / "a.txt").write_text("another")
    (source / "x" / "notes.md").write_text("about the folder")
    ran = optout("filter", source, "--snapshot", snapshot, "--out", tmp_path / "out", "--json")
    assert (ran.code, ran.json["shards"], ran.json["reasons"]) == (0, 2, {"sha256": 1})
    assert listed(tmp_path / "out") == ["x/a.jpg", "x/a.txt", "y/c.jpg"]
    assert ran.json["error_items"] == ["x: notes.md belongs to no picture: left out"]


def test_captions_and_json_beside_pictures(optout_filter: Command, tmp_path: Path) -> None:
    source = lay(tmp_path / "in", ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    for name, url in (("a", "https://denied.example/"), ("b", "https://fine.example/"), ("c", None)):
        (source / f"{name}.json").write_text(json.dumps({"url": url}))
    (source / "d.json").write_text("[]")
    (source / "b.txt").write_text("by Mara Lindqvist")
    ran = optout_filter(source, tmp_path / "out", "--names", "remove")
    assert (ran.code, ran.json["reasons"], ran.json["errors"]) == (0, {"domain": 1, "name": 1}, 2)
    assert ran.json["error_items"] == [
        ".: c.jpg has no URL, as others have",
        ".: d.json is not a JSON object",
    ]
    kept = optout_filter(source, tmp_path / "flagged")
    assert (kept.json["flagged"], listed(tmp_path / "flagged")) == (
        1,
        ["b.jpg", "b.json", "b.txt", "receipt.json"],
    )


def test_what_img2dataset_writes_as_files(optout_filter: Command, tmp_path: Path) -> None:
    source = lay(tmp_path / "in", ["00000/000000000.jpg", "00000/000000001.jpg", "00001/000010000.jpg"])
    for name, keys in (("00000", ["000000001", "000000000", "000000002"]), ("00001", ["000010000"])):
        urls = [f"https://{'denied' if key == '000000001' else 'fine'}.example/{key}" for key in keys]
        status = ["failed_to_download" if key == "000000002" else "success" for key in keys]
        pq.write_table(pa.table({"url": urls, "key": keys, "status": status}), source / f"{name}.parquet")
        (source / f"{name}_stats.json").write_text(json.dumps({"count": len(keys), "successes": len(keys)}))
    ran = optout_filter(source, tmp_path / "out")
    assert ran.code == 0, ran.err
    assert (ran.json["shards"], ran.json["kept"]) == (2, 2)
    assert pq.read_table(tmp_path / "out" / "00000.parquet")["key"].to_pylist() == ["000000000", "000000002"]
    stats = json.loads((tmp_path / "out" / "00000_stats.json").read_text())
    assert stats == {"count": 2, "successes": 1}


def test_folders_into_which_nothing_was_downloaded(optout_filter: Command, tmp_path: Path) -> None:
    source = lay(tmp_path / "in", ["00000/000000000.jpg"])
    (source / "00001").mkdir()
    for name, key, status in (
        ("00000", "000000000", "success"),
        ("00001", "000010000", "failed_to_download"),
    ):
        columns = {"url": [f"https://denied.example/{key}"], "key": [key], "status": [status]}
        pq.write_table(pa.table(columns), source / f"{name}.parquet")
        (source / f"{name}_stats.json").write_text(json.dumps({"count": 1, "successes": name == "00000"}))
    ran = optout_filter(source, tmp_path / "out")
    assert (ran.code, ran.json["shards"], ran.json["rows"]) == (0, 2, 1), ran.err
    assert pq.read_table(tmp_path / "out" / "00001.parquet").num_rows == 1
    # Nothing is left in either folder, and a newer snapshot is asked about what was kept.
    lay(tmp_path / "out", ["00002/000020000.jpg"])
    again = optout_filter(tmp_path / "out", tmp_path / "again")
    assert (again.code, again.json["shards"]) == (0, 3), again.err


def test_annotate_and_mask(optout_filter: Command, tmp_path: Path) -> None:
    source = lay(tmp_path / "in", list(ROWS))
    write_csv(source / "metadata.csv")
    assert optout_filter(source, tmp_path / "noted", "--mode", "annotate").code == 0
    assert listed(tmp_path / "noted") == sorted([*ROWS, "metadata.csv", "optout.parquet", "receipt.json"])
    answers = pq.read_table(tmp_path / "noted" / "optout.parquet")
    assert answers["file_name"].to_pylist() == ["a.jpg", "c.jpg", "d.jpg", "sub/b.png"]
    assert answers["optout_decision"].to_pylist() == ["denied", "error", "allowed", "unreserved"]
    assert optout_filter(source, tmp_path / "mask", "--mode", "mask").code == 0
    assert pq.read_table(tmp_path / "mask" / "optout.parquet").to_pydict() == {
        "file_name": ["a.jpg", "c.jpg"],
        "decision": ["denied", "error"],
        "reason": ["domain", "scheme"],
    }


def test_rows_and_pictures_that_do_not_line_up(optout_filter: Command, tmp_path: Path) -> None:
    source = lay(tmp_path / "in", ["a.jpg", "b.jpg", "c.jpg"])
    rows = [("a.jpg", "1"), ("gone.jpg", "2"), ("b.jpg", "3"), ("b.jpg", "4"), ("../a.jpg", "5")]
    lines = [{"file_name": name, "url": f"https://fine.example/{number}"} for name, number in rows]
    (source / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    ran = optout_filter(source, tmp_path / "out")
    assert (ran.code, listed(tmp_path / "out")) == (0, ["a.jpg", "metadata.jsonl", "receipt.json"])
    assert read_names(tmp_path / "out" / "metadata.jsonl") == ["a.jpg"]
    assert ran.json["error_items"] == [
        ".: b.jpg: the key occurs more than once",
        ".: c.jpg has no row in the metadata",
        "metadata.jsonl: 'gone.jpg' is not there: left out",
        "metadata.jsonl: '../a.jpg' is not there: left out",
    ]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("metadata.jsonl", '{"file_name": "a.jpg"}\n{"file', "bad_metadata"),
        ("metadata.jsonl", '"a.jpg"\n', "bad_metadata"),
        ("metadata.csv", 'file_name,url\n"a.jpg,x', "bad_metadata"),
        ("metadata.csv", "name,url\na.jpg,https://a.example/", "missing_column"),
        ("metadata.parquet", "no", "truncated_parquet"),
    ],
)
def test_metadata_that_cannot_be_read(
    optout_filter: Command, tmp_path: Path, name: str, content: str, code: str
) -> None:
    source = lay(tmp_path / "in", ["a.jpg"])
    (source / name).write_text(content)
    ran = optout_filter(source, tmp_path / "out")
    assert (ran.code, ran.json["error"]["code"]) == (3, code)
    assert name in ran.err
    assert listed(tmp_path / "out") == []


def test_what_cannot_be_told_is_asked(optout_filter: Command, tmp_path: Path) -> None:
    source = lay(tmp_path / "in", ["a.jpg"])
    pq.write_table(pa.table({"url": ["https://fine.example/"]}), source / "rows.parquet")
    asked = optout_filter(source, tmp_path / "out")
    assert (asked.code, "--format images or --format parquet" in asked.err) == (2, True)
    assert optout_filter(source, tmp_path / "rows", "--format", "parquet").json["rows"] == 1
    single = optout_filter(source / "a.jpg", tmp_path / "out", "--format", "images")
    assert (single.code, single.json["error"]["code"]) == (3, "unknown_format")
    write_csv(source / "metadata.csv")
    (source / "out").mkdir()
    (source / "out" / "b.jpg").write_bytes(b"x")
    inside = optout_filter(source, source / "out", "--format", "images")
    assert (inside.code, inside.json["error"]["code"]) == (2, "in_place")
