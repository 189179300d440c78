"""The library's face: one shard, a data set, an open snapshot; no command, no processes."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import optout
from optout import keys
from optout.errors import UsageError
from optout.exchange import parse_claims
from optout.filter import ColumnNames, Settings, Summary


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    claims = parse_claims(pa.table({"selector": ["domain"], "value": ["denied.example"]})).claims
    optout.build_snapshot([claims], tmp_path / "snapshot", private_key=keys.generate(tmp_path / "keys"))
    return tmp_path / "snapshot"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    urls = [f"https://{host}.example/{number}" for number in range(500) for host in ("denied", "other")]
    pq.write_table(pa.table({"link": urls, "n": range(1000)}), tmp_path / "rows.parquet", row_group_size=300)
    return tmp_path / "rows.parquet"


LINK = Settings(columns=ColumnNames(url="link"))


def test_a_shard_with_an_open_snapshot_or_a_path(snapshot: Path, rows: Path, tmp_path: Path) -> None:
    question = optout.Question(optout.Use.AI_TRAIN, datetime(2026, 1, 1, tzinfo=UTC))
    done: list[int] = []
    first = optout.filter_shard(
        rows, tmp_path / "a.parquet", optout.open_snapshot(snapshot), question, LINK, progress=done.append
    )
    second = optout.filter_shard(rows, tmp_path / "b.parquet", snapshot, question, LINK)
    assert (first.counts.rows, first.counts.kept, sum(done)) == (1000, 500, 1000)
    assert first.counts == second.counts
    assert first.output_file.sha256 == second.output_file.sha256
    assert pq.read_table(tmp_path / "a.parquet")["n"].to_pylist() == list(range(1, 1000, 2))


def test_a_folder_of_pictures_as_one_shard(snapshot: Path, tmp_path: Path) -> None:
    for name, host in (("a", "denied"), ("b", "other")):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.jpg").write_bytes(name.encode())
        (folder / f"{name}.json").write_text(f'{{"url": "https://{host}.example/"}}')
    question = optout.Question(optout.Use.AI_TRAIN, datetime(2026, 1, 1, tzinfo=UTC))
    result = optout.filter_shard(tmp_path / "in", tmp_path / "out", snapshot, question)
    assert sorted(result.outputs) == ["b.jpg", "b.json"]
    assert (tmp_path / "out" / "b.jpg").read_bytes() == b"b"


def test_a_data_set_without_a_key_has_no_receipt(snapshot: Path, rows: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    for expected in (0, 1):
        summary = optout.filter_dataset(
            rows,
            tmp_path / "out",
            snapshot=optout.open_snapshot(snapshot),
            question=optout.Question(optout.Use.AI_TRAIN),
            settings=LINK,
            progress=seen.append,
        )
        assert (summary.counts.kept, summary.resumed, summary.receipt) == (500, expected, None)
    assert sum(seen) == 2000


def test_a_key_given_later_does_again_what_no_receipt_could_speak_of(
    snapshot: Path, rows: Path, tmp_path: Path
) -> None:
    def run(key: Path | None) -> Summary:
        return optout.filter_dataset(
            rows,
            tmp_path / "out",
            snapshot=optout.open_snapshot(snapshot),
            question=optout.Question(optout.Use.AI_TRAIN),
            settings=LINK,
            key=key,
        )

    key = tmp_path / "keys" / "private.pem"
    assert [run(which).resumed for which in (None, key, None, key)] == [0, 0, 1, 1]
    assert run(key).receipt == str(tmp_path / "out" / "receipt.json")


def test_wrong_settings(snapshot: Path, rows: Path, tmp_path: Path) -> None:
    question = optout.Question(optout.Use.AI_TRAIN)
    wrong = Settings(codec="zip")
    with pytest.raises(UsageError, match="zip"):
        optout.filter_dataset(rows, tmp_path / "out", snapshot=snapshot, question=question, settings=wrong)
    with pytest.raises(AttributeError, match="sync"):
        _ = optout.sync
