import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.errors import BadInput, UsageError
from optout.keys import PrivateKey
from optout.snapshot import Manifest, build_snapshot, inspect_snapshot, open_snapshot, verify_snapshot
from optout.words import SelectorKind
from tests.unit.picture_support import embedding, fingerprint, view
from tests.unit.snapshot_support import KEY, STRANGER, Row, built, claim, content, table

ROWS = [
    claim("url", "example.org/a.jpg"),
    claim("url", "example.org/b.jpg"),
    claim("url", "example.org/c.jpg", owner="bob", ref="c"),
    claim("domain", "example.net", owner="bob", title="Everything"),
    claim("prefix", "example.com/gallery", decision="terms", owner="cy", terms_url="https://example.com/t"),
    claim("sha256", "ab" * 32, owner="dan"),
    claim("md5", "cd" * 16, owner="dan"),
    claim("name", "greta garbo", owner="eve"),
    claim("name", "greta lovisa gustafsson", owner="eve"),
    claim("picture", fingerprint(view(1), view(2, name="centre"), view(3, name="stripped", quality=9))),
    claim("picture", fingerprint(view(1, pdq=4)), owner="bob"),
    claim("phash", view(4).phash),
    claim("pdq", view(5).pdq, owner="cy"),
    claim("clip", embedding(1), owner="cy"),
    claim("clip", embedding(2), owner="cy"),
]


def test_the_same_claims_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [*ROWS, *(claim("url", f"example.org/{n}.jpg", owner=f"owner-{n % 7}") for n in range(500))]
    first = build_snapshot([table(rows)], tmp_path / "first", private_key=KEY)
    random.Random(3).shuffle(rows)
    parts = [table(rows[:100]), table(rows[100:100]), table(rows[100:] + rows[:50])]
    second = build_snapshot(parts, tmp_path / "second", private_key=KEY)
    assert first == second
    assert content(tmp_path / "first") == content(tmp_path / "second")


@settings(max_examples=15, deadline=None)
@given(st.permutations(ROWS), st.integers(0, len(ROWS)))
def test_the_order_of_claims_never_matters(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("order")
    build_snapshot([table(ROWS)], folder / "a", private_key=KEY)
    build_snapshot([table(rows[:cut]), table(rows[cut:])], folder / "b", private_key=KEY)
    assert content(folder / "a") == content(folder / "b")


def test_other_claims_give_other_hashes(tmp_path: Path) -> None:
    one = build_snapshot([table(ROWS[:1])], tmp_path / "one", private_key=KEY)
    two = build_snapshot([table(ROWS[:2])], tmp_path / "two", private_key=KEY)
    assert one.sip_key != two.sip_key


def test_what_was_built_is_what_is_read(tmp_path: Path) -> None:
    snapshot = built(tmp_path / "snapshot", *ROWS)
    segment = snapshot.segments[0]
    assert segment.ids.to_pylist() == sorted({row["claim_id"] for row in ROWS})
    assert segment.owners.to_pylist() == ["ann", "bob", "cy", "dan", "eve"]
    assert segment.refs is not None
    assert sorted(segment.refs.to_pylist()) == [*[""] * 7, "c"]
    assert segment.longest.tolist() == [3]
    locators = {"sha256": 1, "md5": 1, "url": 3, "prefix": 1, "domain": 1, "name": 2}
    # Views of too little quality are no entries.
    assert snapshot.manifest.counts == locators | {"picture": 3, "phash": 1, "pdq": 1, "clip": 2}


def test_refs_take_no_room_when_there_are_none(tmp_path: Path) -> None:
    built(tmp_path / "snapshot", *(row for row in ROWS if not row["ref"]))
    assert not list(tmp_path.rglob("refs.arrow"))


def test_one_id_with_two_statements_is_two_claims(tmp_path: Path) -> None:
    changed = claim("url", "example.org/d.jpg", owner="bob", ref="c", decision="allow")
    segment = built(tmp_path / "snapshot", *ROWS, changed).segments[0]
    assert len(segment.find_claims([changed["claim_id"]])) == 2
    assert len(segment.find_claims([ROWS[0]["claim_id"]])) == 1
    assert not len(segment.find_claims([b"\xff" * 16]))


def test_a_snapshot_of_nothing_holds(tmp_path: Path) -> None:
    manifest = build_snapshot([], tmp_path / "snapshot", private_key=KEY)
    verify_snapshot(tmp_path / "snapshot", trust=[KEY.public])
    assert manifest.counts == {}
    assert inspect_snapshot(tmp_path / "snapshot")["bytes_per_selector"] is None


def test_checkpoint_and_previous_are_signed_with_the_rest(tmp_path: Path) -> None:
    checkpoint = {"origin": "log.example", "size": 7, "root": "00"}
    build_snapshot([table(ROWS)], tmp_path / "s", private_key=KEY, checkpoint=checkpoint, previous="ab" * 32)
    manifest = open_snapshot(tmp_path / "s", trust=[KEY.public]).manifest
    assert (manifest.checkpoint, manifest.previous) == (checkpoint, "ab" * 32)


def test_inspect_tells_what_a_person_wants_to_know(tmp_path: Path) -> None:
    built(tmp_path / "s", *ROWS)
    told = inspect_snapshot(tmp_path / "s")
    assert told["selectors"]["url"] == 3
    assert told["signed_by"] == [KEY.key_id]
    assert (told["claims"], told["owners"], told["statements"], told["withdrawn"]) == (8, 5, 7, 0)
    assert told["bytes"] == sum(path.stat().st_size for path in tmp_path.rglob("*.arrow"))


def test_building_the_same_again_changes_nothing(tmp_path: Path) -> None:
    first = build_snapshot([table(ROWS)], tmp_path / "s", private_key=KEY)
    made = (tmp_path / "s").stat().st_mtime_ns
    assert build_snapshot([table(ROWS)], tmp_path / "s", private_key=KEY) == first
    assert (tmp_path / "s").stat().st_mtime_ns == made
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("rows", "key", "said"),
    [(ROWS[1:], KEY, "another snapshot"), (ROWS, STRANGER, "not trusted")],
)
def test_another_snapshot_is_never_overwritten(
    tmp_path: Path, rows: list[Row], key: PrivateKey, said: str
) -> None:
    built(tmp_path / "s", *ROWS)
    before = content(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        build_snapshot([table(rows)], tmp_path / "s", private_key=key)
    assert caught.value.code == "exists"
    assert content(tmp_path) == before


def test_a_damaged_snapshot_is_not_taken_for_the_same(tmp_path: Path) -> None:
    built(tmp_path / "s", *ROWS)
    path = next(tmp_path.rglob("claims.arrow"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UsageError, match=r"claims\.arrow") as caught:
        build_snapshot([table(ROWS)], tmp_path / "s", private_key=KEY)
    assert caught.value.code == "exists"


def test_other_things_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("file", "folder"):
        with pytest.raises(UsageError, match=name):
            build_snapshot([table(ROWS)], tmp_path / name, private_key=KEY)
    build_snapshot([table(ROWS)], tmp_path / "empty", private_key=KEY)
    verify_snapshot(tmp_path / "empty", trust=[KEY.public])


def test_a_kind_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    row = ROWS[0] | {"kind": 77}
    with pytest.raises(BadInput) as caught:
        build_snapshot([table([row])], tmp_path / "s", private_key=KEY)
    assert caught.value.code == "unsupported_kind"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kind", [SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ, SelectorKind.CLIP]
)
def test_a_hash_that_is_none_is_refused(tmp_path: Path, kind: int) -> None:
    with pytest.raises(BadInput) as caught:
        build_snapshot([table([ROWS[0] | {"kind": kind}])], tmp_path / "s", private_key=KEY)
    assert caught.value.code == "bad_claims"


def test_a_table_that_is_none_of_claims_is_refused(tmp_path: Path) -> None:
    for wrong in (
        pa.table({"url": ["x"]}),
        table(ROWS).set_column(2, "value", pa.nulls(len(ROWS), pa.string())),
    ):
        with pytest.raises(BadInput) as caught:
            build_snapshot([wrong], tmp_path / "s", private_key=KEY)
        assert caught.value.code == "bad_claims"


def test_a_locator_that_is_none_is_refused_rather_than_lost(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a locator") as caught:
        build_snapshot([table([*ROWS, claim("url", "not a locator")])], tmp_path / "s", private_key=KEY)
    assert caught.value.code == "bad_claims"


def test_a_failing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    def source() -> Iterator[pa.Table]:
        yield table(ROWS)
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away"):
        build_snapshot(source(), tmp_path / "s", private_key=KEY)
    assert not list(tmp_path.iterdir())


def test_a_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    manifest = build_snapshot([table(ROWS)], tmp_path / "s", private_key=KEY)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
