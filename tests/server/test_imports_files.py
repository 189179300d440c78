"""Files of claims: what cannot be used, what is refused at the door, which forms mean the same."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from registry import storage
from registry.actor import Actor
from registry.errors import Forbidden, InvalidInput
from registry.loading import load, load_import, unpack
from registry.models import Claim, Import
from registry.services.imports import start_import
from registry.services.keys import create_key
from tests.server.test_imports import big, counts, loaded, row, sent

__all__ = ["big"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("filename", "content", "code"),
    [
        ("a.parquet", b"PAR1 and then nothing", None),
        ("a.csv", b"name,address\nx,y\n", "missing_column"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_import_with_a_reason(
    big: Actor, filename: str, content: bytes, code: str | None
) -> None:
    source = loaded(big, content, filename)
    assert source.state == "failed"
    assert filename in source.error
    assert "/" not in source.error.replace(filename, "")
    assert code is None or source.error_code == code


def test_a_file_that_differs_from_what_was_sent_is_not_loaded(big: Actor) -> None:
    source = sent(big, [row(1)])
    storage.put(source.object_key, io.BytesIO(b"something else"))
    load_import(str(source.public_id))
    source.refresh_from_db()
    assert (source.state, source.error_code, Claim.objects.count()) == ("failed", "digest_differs", 0)


@pytest.mark.parametrize(
    ("filename", "content", "sha256", "field"),
    [
        ("a.txt", b"x", None, "file"),
        ("a.gz", b"x", None, "file"),
        ("a.parquet.gz", b"x", None, "file"),
        ("a.csv", b"", None, "file"),
        ("a.csv", b"x", "0" * 64, "sha256"),
    ],
)
def test_what_is_refused_at_the_door(
    big: Actor, filename: str, content: bytes, sha256: str | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        start_import(acting=big, file=io.BytesIO(content), filename=filename, sha256=sha256)
    assert list(caught.value.fields) == [field]
    assert not Import.objects.exists()


def test_a_key_without_the_scope_imports_nothing(big: Actor) -> None:
    key, _ = create_key(acting=big, name="k", scopes=["check"])
    with pytest.raises(Forbidden):
        sent(Actor(big.party, key=key), [row(1)])


def test_csv_and_parquet_mean_the_same_as_json_lines(big: Actor, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    rows = [row(number) for number in range(5)]
    loaded(big, rows)
    table = pa.Table.from_pylist(rows)
    pyarrow.csv.write_csv(table, tmp_path / "a.csv")
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        assert counts(loaded(big, (tmp_path / name).read_bytes(), name)) == (0, 5, 0)


@pytest.mark.parametrize("filename", ["a.jsonl.gz", "A.b.JSONL.GZ", "a.ndjson.gz"])
def test_compressed_files_mean_the_same(big: Actor, filename: str) -> None:
    rows = [row(number) for number in range(5)]
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    source = loaded(big, gzip.compress(lines), filename)
    assert (source.state, source.format, counts(source)) == ("done", "jsonl", (5, 0, 0))
    plain = b"selector,value,ref,owner\nurl,https://big.example.org/works/1.jpg,work-1,artist-1\n"
    assert counts(loaded(big, gzip.compress(plain), "b.csv.gz")) == (1, 0, 0)  # deny tdm: an amendment


def test_a_broken_gzip_file_loads_nothing_and_says_so(big: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "CHUNK_ROWS", 10)
    lines = b"".join(json.dumps(row(number)).encode() + b"\n" for number in range(1000))
    packed = gzip.compress(lines)
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # the checksum at the end
    for content in (packed[:-20], bytes(flipped), b"no gzip at all"):
        source = loaded(big, content, "a.jsonl.gz")
        assert (source.state, source.error_code) == ("failed", "broken_gzip")
        assert source.error.startswith("a.jsonl.gz is not a complete gzip file")
    assert not Claim.objects.exists()


def test_a_file_that_unpacks_to_too_much_loads_nothing(
    big: Actor, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b"".join(json.dumps(row(number)).encode() + b"\n" for number in range(1000))
    settings.OPTOUT_MAX_UPLOAD = len(lines) - 1
    source = loaded(big, gzip.compress(lines), "a.jsonl.gz")
    assert (source.state, source.error_code) == ("failed", "unpacks_too_large")
    settings.OPTOUT_MAX_UPLOAD = 1 << 30
    monkeypatch.setattr(unpack, "_ALWAYS_ALLOWED", 1 << 20)
    source = loaded(big, gzip.compress(bytes(1 << 23)), "zeros.csv.gz")
    assert (source.state, source.error_code) == ("failed", "unpacks_too_large")
    assert not Claim.objects.exists()
    assert loaded(big, gzip.compress(lines), "a.jsonl.gz").state == "done"
