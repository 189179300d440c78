"""`optout filter` of Parquet that holds pictures or their hashes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optout.hashes import hash_picture
from tests.cli.command_support import Home, Ran, build
from tests.cli.test_filter_pictures import CLAIMED, EDITED, copies
from tests.unit.picture_support import code, flipped

Command = Callable[..., Ran]

HASH, OTHER = code(1, 64), code(2, 64)
PDQ, OTHER_PDQ = code(1, 256), code(2, 256)


@pytest.fixture(scope="module")
def claimed(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    selectors = [
        ("picture", hash_picture(CLAIMED).fingerprint),
        ("sha256", hash_picture(copies()["free1"]).sha256),
        ("phash", f"{HASH:016x}"),
        ("pdq", f"{PDQ:064x}"),
        ("domain", "denied.example"),
    ]
    claims = [
        {"selector": kind, "value": value, "decision": "deny", "owner": "eva"} for kind, value in selectors
    ]
    return build(tmp_path_factory.mktemp("claimed") / "snapshot", claims, home.private)


@pytest.fixture
def go(optout: Command, claimed: Path, tmp_path: Path) -> Command:
    """Writes a table with numbered rows, and filters it."""

    def go(columns: dict[str, Any], *arguments: object, out: str = "out") -> Ran:
        rows = len(next(iter(columns.values())))
        pq.write_table(pa.table({**columns, "n": range(rows)}), tmp_path / "rows.parquet", row_group_size=3)
        where = ("--snapshot", claimed, "--out", tmp_path / out)
        return optout("filter", tmp_path / "rows.parquet", *where, "--json", *arguments)

    return go


def kept(tmp_path: Path, out: str = "out") -> list[int]:
    numbers: list[int] = pq.read_table(tmp_path / out / "rows.parquet")["n"].to_pylist()
    return numbers


def in_structs(bodies: list[bytes | None], paths: list[str | None] | None = None) -> pa.Array:
    """Pictures as Hugging Face's data sets hold them."""
    rows = [
        {"bytes": body, "path": path}
        for body, path in zip(bodies, paths or [None] * len(bodies), strict=True)
    ]
    return pa.array(rows, pa.struct({"bytes": pa.binary(), "path": pa.string()}))


FREE = [number for number, name in enumerate(copies()) if name in {"free0", "free2"}]


@pytest.mark.parametrize(
    ("name", "make"),
    [("image", in_structs), ("jpg", lambda bodies: pa.array(bodies, pa.large_binary()))],
    ids=["structs", "bytes"],
)
def test_pictures_in_a_column(
    go: Command, tmp_path: Path, name: str, make: Callable[[list[bytes]], pa.Array]
) -> None:
    column = make(list(copies().values()))
    ran = go({name: column, "label": [1] * len(column)})
    assert ran.code == 0, ran.err
    assert ran.json["reasons"] == {"picture": len(EDITED), "sha256": 1}
    assert kept(tmp_path) == FREE
    table = pq.read_table(tmp_path / "out" / "rows.parquet")
    assert table[name].combine_chunks() == column.take(pa.array(FREE))
    assert go({name: column}, "--mode", "mask", out="mask").json["kept"] == 2


def test_pictures_beside_addresses(go: Command, tmp_path: Path) -> None:
    pictures = copies()
    bodies = [pictures["resized"], pictures["free0"], pictures["free0"], None, pictures["free0"]]
    urls = [f"https://{host}.example/" for host in ("fine", "denied", "fine", "fine")]
    ran = go({"image": in_structs(bodies), "url": [*urls, None]})
    assert (ran.code, ran.json["reasons"], ran.json["error_reasons"]) == (
        0,
        {"domain": 1, "picture": 1},
        {"null": 1},
    )
    assert kept(tmp_path) == [2, 3]


def test_pictures_that_cannot_be_judged(go: Command, tmp_path: Path) -> None:
    bodies = [b"junk", copies()["free0"], None, None, b""]
    ran = go({"image": in_structs(bodies, [None, None, "a/b.jpg", None, None])})
    assert (ran.code, ran.json["error_reasons"]) == (0, {"null": 1, "picture": 3})
    assert kept(tmp_path) == [1]
    assert [sentence.split(" is ")[0] for sentence in ran.json["error_items"]] == [
        "rows.parquet: the picture of row 0",
        "rows.parquet: the picture of row 2 lies elsewhere: only its path",
        "rows.parquet: row 3 cannot be judged: null",
        "rows.parquet: the picture of row 4",
    ]


def test_hashes_in_a_column(go: Command, tmp_path: Path) -> None:
    near = [f"{flipped(HASH, bits, 64):016x}" for bits in (0, 4, 12)]
    phashes = [*near, f"{OTHER:016X}", None, "no hash"]
    urls = ["https://fine.example/"] * 6
    ran = go({"image_phash": phashes, "url": urls})
    # A hash of 64 bits never decides alone.
    assert (ran.code, kept(tmp_path), ran.json["error_reasons"]) == (0, [0, 1, 2, 3, 4], {"digest": 1})
    ran = go({"image_phash": phashes, "url": urls}, "--evidence", "review", out="review")
    assert (ran.json["reasons"], kept(tmp_path, "review")) == ({"phash": 2}, [2, 3, 4])


def test_pdq_in_a_column(go: Command, tmp_path: Path) -> None:
    pdqs = [f"{flipped(PDQ, bits, 256):064x}" for bits in (0, 30, 40)] + [f"{OTHER_PDQ:064x}"]
    ran = go({"hash": pdqs}, "--pdq-column", "hash")
    assert ran.code == 0, ran.err
    assert ran.json["reasons"] == {"pdq": 2}
    assert kept(tmp_path) == [2, 3]
    go({"pdq": pdqs}, "--evidence", "probable", out="probable")
    assert kept(tmp_path, "probable") == [3]


@pytest.mark.parametrize(
    ("columns", "arguments", "code"),
    [
        ({"image": ["a.jpg"]}, (), "missing_column"),
        ({"image": ["a.jpg"]}, ("--image-column", "image"), "column_type"),
        ({"phash": [1]}, ("--phash-column", "phash"), "column_type"),
        ({"phash": [1]}, (), "missing_column"),
    ],
)
def test_columns_that_hold_something_else(
    go: Command, columns: dict[str, Any], arguments: tuple[str, ...], code: str
) -> None:
    ran = go(columns, *arguments)
    assert (ran.code, ran.json["error"]["code"]) == (3, code)
