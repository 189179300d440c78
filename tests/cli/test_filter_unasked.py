"""`optout filter` says which claims the data could not be compared with; so does the receipt."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optout.keys import load_public
from optout.receipt import read_statement
from tests.cli import test_filter_embeddings as embeddings
from tests.cli.command_support import Home, Ran, build
from tests.cli.test_filter_folders import lay
from tests.unit.picture_support import embedding, fingerprint, view

Command = Callable[..., Ran]


@pytest.fixture(scope="module")
def everything(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot with claims of every sort."""
    claims = {
        "url": "https://one.example/a.jpg",
        "domain": "denied.example",
        "sha256": "ab" * 32,
        "picture": fingerprint(view(1)),
        "clip": embedding(1),
        "name": "Mara Lindqvist",
    }
    rows = [{"selector": kind, "value": value, "owner": "o"} for kind, value in claims.items()]
    return build(tmp_path_factory.mktemp("all") / "snapshot", rows, home.private)


@pytest.fixture
def go(optout: Command, everything: Path, home: Home, tmp_path: Path) -> Command:
    def go(source: Path, *arguments: object) -> Ran:
        where = ("--snapshot", everything, "--out", tmp_path / "out", "--key", home.private, "--overwrite")
        return optout("filter", source, *where, *arguments)

    return go


def write(path: Path, **columns: list[str]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_metadata_say_nothing_of_what_pictures_look_like(go: Command, home: Home, tmp_path: Path) -> None:
    source = write(tmp_path / "a.parquet", url=["https://x.example/a.jpg"] * 3, caption=[""] * 3)
    ran = go(source, "--json")
    assert (ran.code, ran.json["unasked"]) == (0, {"clip": 3, "picture": 3, "sha256": 3})
    predicate = read_statement(ran.json["receipt"], [load_public(home.public)])["predicate"]
    assert predicate["counts"]["unasked"] == ran.json["unasked"]
    said = go(source).out
    assert (
        "unasked               3   not compared with claims: 3 by clip (no embeddings here), "
        "3 by picture (no pictures here), 3 by sha256 (no digests here)"
    ) in said


def test_pictures_have_no_embeddings(go: Command, tmp_path: Path) -> None:
    source = lay(tmp_path / "in", ["a.jpg", "b.jpg"])
    (source / "a.txt").write_text("a hill")
    assert go(source, "--json").json["unasked"] == {"clip": 2, "domain": 2, "url": 2}


def test_embeddings_of_the_model_are_compared(go: Command, tmp_path: Path) -> None:
    source = embeddings.lay(tmp_path / "in", embeddings.unit(embeddings.VECTORS[:, :64]))
    ran = go(source, "--json", "--clip-model", "ViT-B/32@0123456789abcdef")
    rows = embeddings.ROWS
    assert (ran.code, ran.json["unasked"]) == (0, {"picture": rows, "sha256": rows})


def test_a_bare_phash_is_compared_for_review_only(go: Command, tmp_path: Path) -> None:
    source = write(tmp_path / "coyo.parquet", image_phash=[view(1).phash], url=["https://x.example/a.jpg"])
    assert "picture" in go(source, "--json").json["unasked"]
    found = go(source, "--json", "--evidence", "review").json
    assert ("picture" in found["unasked"], found["reasons"]) == (False, {"picture": 1})


def test_nothing_is_said_where_all_was_asked(optout_filter: Command, tmp_path: Path) -> None:
    columns = {"url": ["https://x.example/a.jpg"], "text": [""], "sha256": ["0" * 64], "md5": ["0" * 32]}
    ran = optout_filter(write(tmp_path / "a.parquet", **columns), tmp_path / "out")
    assert ran.json["unasked"] == {}
