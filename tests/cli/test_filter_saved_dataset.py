"""`optout filter` of data sets that Hugging Face's `datasets` saved to disk: what describes them agrees."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.cli.command_support import Home, Ran

Command = Callable[..., Ran]

URLS = ["https://denied.example/a.jpg", "https://fine.example/b.jpg"]
FEATURES = {"url": {"dtype": "string", "_type": "Value"}}
SIZES = {"splits": {"train": {"num_examples": 4}}, "dataset_size": 10, "size_in_bytes": 20}


def write_arrow(path: Path, urls: list[str]) -> None:
    table = pa.table({"url": urls})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def save(folder: Path, shards: int = 2, **state: Any) -> Path:
    """As `save_to_disk` does it, with a file that `datasets` keeps of what was once computed."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{shards:05d}.arrow" for number in range(shards)]
    for name in (*names, "cache-0123.arrow"):
        write_arrow(folder / name, URLS)
    listed = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "d24ae4dd94d8e554"}
    (folder / "state.json").write_text(json.dumps({**listed, "_split": "train", **state}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES, "license": "", **SIZES}))
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_a_saved_data_set_stays_one(
    optout: Command, optout_filter: Command, home: Home, tmp_path: Path
) -> None:
    source, out = save(tmp_path / "in"), tmp_path / "out"
    ran = optout_filter(source, out)
    assert (ran.code, ran.json["rows"], ran.json["kept"]) == (0, 4, 2), ran.err
    before, after = read(source / "state.json"), read(out / "state.json")
    # What `datasets` computed of all rows, and keeps by this name, is nothing that it may take for these.
    assert after.pop("_fingerprint") != before.pop("_fingerprint")
    assert after == before
    assert read(out / "dataset_info.json") == {"features": FEATURES, "license": ""}
    assert not (out / "cache-0123.arrow").exists()
    assert all((out / each["filename"]).exists() for each in after["_data_files"])
    verify = ("verify", ran.json["receipt"], "--trust", home.public)
    assert optout(*verify).code == 0
    assert optout_filter(source, out).json["resumed"] == 2
    (out / "state.json").write_text("{}")
    assert optout(*verify).code == 1


def test_other_rows_have_other_fingerprints(optout_filter: Command, home: Home, tmp_path: Path) -> None:
    source, at = save(tmp_path / "in"), ("--at", "2026-01-31")
    for name, more in (("one", at), ("same", at), ("other", ("--at", "2026-02-01"))):
        assert optout_filter(source, tmp_path / name, *more).code == 0
    one, same, other = (
        read(tmp_path / name / "state.json")["_fingerprint"] for name in ("one", "same", "other")
    )
    assert one == same != other
    assert len(one) == 16


def test_splits(optout_filter: Command, tmp_path: Path) -> None:
    for split in ("train", "test"):
        save(tmp_path / "in" / split, shards=1)
    splits = json.dumps({"splits": ["train", "test"]})
    (tmp_path / "in" / "dataset_dict.json").write_text(splits)
    ran = optout_filter(tmp_path / "in", tmp_path / "out")
    assert (ran.code, ran.json["rows"]) == (0, 4), ran.err
    assert read(tmp_path / "out" / "dataset_dict.json") == json.loads(splits)
    assert (tmp_path / "out" / "test" / "state.json").exists()
    # A split by itself is a data set without the others.
    assert optout_filter(tmp_path / "in" / "train", tmp_path / "split").code == 0
    assert not (tmp_path / "split" / "dataset_dict.json").exists()


def test_annotate_names_the_columns_and_mask_writes_no_data_set(
    optout_filter: Command, tmp_path: Path
) -> None:
    source = save(tmp_path / "in")
    assert optout_filter(source, tmp_path / "noted", "--mode", "annotate").code == 0
    features = read(tmp_path / "noted" / "dataset_info.json")["features"]
    assert features["optout_decision"] == {"dtype": "string", "_type": "Value"}
    assert features["optout_flag"] == {"dtype": "bool", "_type": "Value"}
    assert features["url"] == FEATURES["url"]
    assert optout_filter(source, tmp_path / "mask", "--mode", "mask").code == 0
    assert [path.name for path in (tmp_path / "mask").glob("[!.]*.json")] == ["receipt.json"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("state.json", "{", "state.json"),
        ("state.json", '{"_data_files": [{"filename": "gone.arrow"}]}', "gone.arrow"),
        ("state.json", '{"_data_files": [{"filename": "../x.arrow"}]}', "x.arrow"),
        ("state.json", '{"_data_files": 7}', "does not list"),
        ("state.json", '{"_data_files": [], "_indices_data_files": [{"filename": "i.arrow"}]}', "indices"),
        ("dataset_info.json", "[]", "dataset_info.json"),
    ],
)
def test_descriptions_that_are_none(
    optout_filter: Command, tmp_path: Path, name: str, content: str, said: str
) -> None:
    source = save(tmp_path / "in")
    (source / name).write_text(content)
    ran = optout_filter(source, tmp_path / "out")
    assert (ran.code, ran.json["error"]["code"]) == (3, "bad_dataset")
    assert said in ran.err
    assert not list((tmp_path / "out").glob("[!.]*.json"))
