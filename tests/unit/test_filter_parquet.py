"""Rewriting Parquet: everything but the rows left out stays as it was."""

import datetime as dt
import decimal
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optout.errors import BadInput
from optout.filter import parquet
from optout.filter.parquet import Source, Writer

ROWS = 3000


def nasty() -> pa.Table:
    """Every kind of column that data sets have been seen with, and some more."""
    n = np.arange(ROWS)
    moments = [dt.datetime(2020, 1, 1) + dt.timedelta(hours=int(i)) for i in n]
    columns: dict[str, Any] = {
        "URL": pa.array([f"https://h{i % 7}.example/{i}" for i in n]),
        "few": pa.array([None if i % 11 == 0 else f"kind {i % 3}" for i in n]),
        "dictionary": pa.array([f"d{i % 5}" for i in n]).dictionary_encode(),
        "large": pa.array([f"text {i}" for i in n], pa.large_string()),
        "view": pa.array([f"view {i}" for i in n], pa.string_view()),
        "binary": pa.array([b"\xff\x00" * (i % 4) for i in n], pa.binary()),
        "fixed": pa.array([bytes([i % 256]) * 16 for i in n], pa.binary(16)),
        "boxes": pa.array([[[float(i), 0.5]] * (i % 3) for i in n], pa.list_(pa.list_(pa.float64()))),
        "struct": pa.array([{"a": int(i), "b": {"c": [str(i)]}} if i % 5 else None for i in n]),
        "map": pa.array([[("k", int(i))] for i in n], pa.map_(pa.string(), pa.int32())),
        "decimal": pa.array([decimal.Decimal(int(i)) / 100 for i in n], pa.decimal128(12, 2)),
        "ns": pa.array(moments, pa.timestamp("ns")),
        "zoned": pa.array(moments, pa.timestamp("us", tz="Europe/Vienna")),
        "date": pa.array([moment.date() for moment in moments]),
        "time": pa.array([moment.time() for moment in moments], pa.time64("us")),
        "u32": pa.array(n, pa.uint32()),
        "i8": pa.array(n % 100, pa.int8()),
        "half": pa.array(n.astype(np.float16)),
        "bool": pa.array(n % 2 == 0),
        "null": pa.nulls(ROWS),
    }
    fields = [
        pa.field(name, column.type, metadata={b"note": name.encode()}) for name, column in columns.items()
    ]
    fields[0] = fields[0].with_nullable(False)
    schema = pa.schema(fields, metadata={b"pandas": b"{}", b"mine": "größer".encode()})
    return pa.table(list(columns.values()), schema=schema)


def rewrite(source: Path, out: Path, keep: np.ndarray, codec: str | None = None) -> None:
    with Source(source, "x") as opened, out.open("wb") as sink:
        writer, first = Writer(sink, opened, codec=codec), 0
        for group in range(opened.groups):
            for batch in opened.batches(group):
                writer.add(batch.filter(pa.array(keep[first : first + batch.num_rows])))
                first += batch.num_rows
            writer.end_group()
        writer.close()


def filtered(table: pa.Table) -> pa.Table:
    """The rows of `KEEP`; Arrow cannot filter views as they are."""
    at = table.schema.get_field_index("view")
    return table.set_column(at, "view", table["view"].cast(pa.string())).filter(pa.array(KEEP))


KEEP = np.random.default_rng(1).random(ROWS) < 0.8


@pytest.mark.parametrize("version", ["1.0", "2.4", "2.6"])
@pytest.mark.parametrize("store_schema", [True, False])
def test_everything_else_is_kept(tmp_path: Path, version: str, store_schema: bool) -> None:
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(nasty(), source, row_group_size=1000, version=version, store_schema=store_schema)
    rewrite(source, out, KEEP)
    before, after = pq.read_table(source), pq.read_table(out)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after.to_pydict() == filtered(before).to_pydict()
    old, new = pq.read_metadata(source), pq.read_metadata(out)
    assert new.metadata == old.metadata
    assert new.format_version == old.format_version
    assert pq.ParquetFile(out).schema.equals(pq.ParquetFile(source).schema)
    kept = [int(KEEP[at : at + 1000].sum()) for at in range(0, ROWS, 1000)]
    assert [new.row_group(group).num_rows for group in range(new.num_row_groups)] == kept


def test_each_column_keeps_codec_dictionary_and_statistics(tmp_path: Path) -> None:
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = nasty().select(["URL", "few", "u32", "boxes"])
    codecs = {"URL": "zstd", "few": "gzip", "u32": "lz4", "boxes.list.element.list.element": "none"}
    options = {"compression": codecs, "use_dictionary": ["few"], "write_statistics": ["u32"]}
    pq.write_table(table, source, **options)
    rewrite(source, out, KEEP)
    for column in range(4):
        old = pq.read_metadata(source).row_group(0).column(column)
        new = pq.read_metadata(out).row_group(0).column(column)
        assert new.path_in_schema == old.path_in_schema
        assert new.compression == old.compression
        assert new.has_dictionary_page == old.has_dictionary_page
        assert new.is_stats_set == old.is_stats_set
    rewrite(source, out, KEEP, codec="snappy")
    group = pq.read_metadata(out).row_group(0)
    assert {group.column(column).compression for column in range(4)} == {"SNAPPY"}


def test_dictionaries_that_the_source_gave_up_are_not_built_again(tmp_path: Path) -> None:
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    long = pa.array([f"{number:0200}" for number in range(20_000)])
    pq.write_table(pa.table({"long": long, "few": pa.array(np.arange(20_000) % 3)}), source)
    with Source(source, "x") as opened:
        assert opened.dictionary_paths == ["few"]
    rewrite(source, out, np.ones(20_000, np.bool_))
    assert not pq.read_metadata(out).row_group(0).column(0).has_dictionary_page
    assert pq.read_table(out).equals(pq.read_table(source))


def test_large_row_groups_are_read_and_written_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(nasty(), source)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 500)
    monkeypatch.setattr(parquet, "GROUP_BYTES", 300_000)
    rewrite(source, out, KEEP)
    assert pq.read_metadata(out).num_row_groups > 1
    assert pq.read_table(out).to_pydict() == filtered(pq.read_table(source)).to_pydict()


def test_legacy_files_keep_their_old_types(tmp_path: Path) -> None:
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = pa.table({"when": pa.array([dt.datetime(2020, 1, 1)], pa.timestamp("ns")), "l": [[1, 2]]})
    options = {"use_deprecated_int96_timestamps": True, "use_compliant_nested_type": False, "version": "1.0"}
    pq.write_table(table, source, **options)
    rewrite(source, out, np.ones(1, np.bool_))
    assert pq.ParquetFile(out).schema.equals(pq.ParquetFile(source).schema)


@pytest.mark.parametrize("size", [0, 3, 100, -10])
def test_files_cut_short_are_named(tmp_path: Path, size: int) -> None:
    buffer = io.BytesIO()
    pq.write_table(nasty(), buffer)
    (tmp_path / "short.parquet").write_bytes(buffer.getvalue()[:size])
    with pytest.raises(BadInput, match="short one") as caught:
        Source(tmp_path / "short.parquet", "short one")
    assert caught.value.code == ("truncated_parquet" if size else "empty_file")
