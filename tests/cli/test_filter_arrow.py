"""`optout filter` of Arrow files and streams."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.command_support import CAPTIONS, OUTCOMES, URLS, Home, Ran

Command = Callable[..., Ran]

KEPT = [3, 4]
FORMS = {"file": pa.ipc.new_file, "stream": pa.ipc.new_stream}
READERS = {"file": pa.ipc.open_file, "stream": pa.ipc.open_stream}


def table() -> pa.Table:
    rows = range(len(URLS))
    columns = {
        "url": pa.array(URLS, pa.string_view()),
        "caption": pa.array(CAPTIONS, pa.large_string()),
        "label": pa.array(["cat", "dog"] * 3 + ["cat"]).dictionary_encode(),
        "image": pa.array([{"bytes": b"x" * row, "path": None} for row in rows]),
        "n": pa.array(rows),
    }
    return pa.table(columns).replace_schema_metadata({"huggingface": '{"info": {}}'})


def write(path: Path, form: str, **options: Any) -> Path:
    found = table()
    with pa.OSFile(str(path), "wb") as sink, FORMS[form](sink, found.schema, **options) as writer:
        writer.write_table(found, max_chunksize=3)
    return path


def read(path: Path, form: str) -> pa.Table:
    with pa.OSFile(str(path), "rb") as source:
        return READERS[form](source).read_all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("codec", [None, "zstd"])
def test_rows_go_and_everything_else_stays(
    optout: Command, optout_filter: Command, home: Home, tmp_path: Path, form: str, codec: str | None
) -> None:
    source = write(tmp_path / "a.arrow", form, options=pa.ipc.IpcWriteOptions(compression=codec))
    ran = optout_filter(source, tmp_path / "out", *(("--codec", codec) if codec else ()))
    assert ran.code == 0, ran.err
    assert ran.json["reasons"] == {"domain": 1, "prefix": 1, "url": 1}
    written = read(tmp_path / "out" / "a.arrow", form)
    assert written.schema.equals(table().schema, check_metadata=True)
    assert written.to_pydict() == {
        name: [column[row] for row in KEPT] for name, column in table().to_pydict().items()
    }
    assert optout("verify", ran.json["receipt"], "--trust", home.public).code == 0


def test_annotate_and_mask(optout_filter: Command, tmp_path: Path) -> None:
    source = write(tmp_path / "a.arrow", "stream")
    assert optout_filter(source, tmp_path / "noted", "--mode", "annotate").code == 0
    noted = read(tmp_path / "noted" / "a.arrow", "stream")
    assert noted["optout_decision"].to_pylist() == OUTCOMES
    assert optout_filter(source, tmp_path / "mask", "--mode", "mask").code == 0
    mask = pq.read_table(tmp_path / "mask" / "a.parquet")
    assert mask["row"].to_pylist() == [0, 1, 2, 5, 6]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_short_is_refused_wherever_that_is(
    optout_filter: Command, tmp_path: Path, form: str
) -> None:
    whole = write(tmp_path / "whole.arrow", form).read_bytes()
    folder = tmp_path / "in"
    folder.mkdir()
    cuts = [0, 5, 100, len(whole) // 2, len(whole) - 8, len(whole) - 1]
    for cut in cuts:
        (folder / f"{cut:06d}.arrow").write_bytes(whole[:cut])
    ran = optout_filter(folder, tmp_path / "out")
    assert ran.code == 3
    codes = {failed["shard"]: failed["code"] for failed in ran.json["failed"]}
    assert len(codes) == len(cuts)
    assert set(codes.values()) == {"empty_file", "truncated_arrow"}


def test_a_codec_that_arrow_does_not_have(optout_filter: Command, tmp_path: Path) -> None:
    ran = optout_filter(write(tmp_path / "a.arrow", "file"), tmp_path / "out", "--codec", "snappy")
    assert (ran.code, ran.json["error"]["code"]) == (2, "unknown_codec")
