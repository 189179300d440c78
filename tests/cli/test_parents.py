"""Receipt chains: what is filtered again says what it came from, and all of it is checked."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optout import keys
from optout.receipt import sign_statement
from tests.cli.command_support import URLS, Home, Ran, write_rows

Command = Callable[..., Ran]


@pytest.fixture
def first(optout_filter: Command, tmp_path: Path) -> Path:
    """The receipt that a chain begins with."""
    write_rows(tmp_path / "in" / "a.parquet", URLS)
    assert optout_filter(tmp_path / "in", tmp_path / "first").code == 0
    return tmp_path / "first" / "receipt.json"


@pytest.fixture
def second(optout_filter: Command, first: Path, tmp_path: Path) -> Path:
    """The receipt of a run over what the first one wrote."""
    assert optout_filter(first.parent / "*.parquet", tmp_path / "second", "--parent-receipt", first).code == 0
    return tmp_path / "second" / "receipt.json"


def statement_of(receipt: Path) -> Any:
    return json.loads(base64.b64decode(json.loads(receipt.read_bytes())["payload"]))


def findings(ran: Ran) -> dict[str, str]:
    return {finding["what"].split()[0]: finding["code"] for finding in ran.json["findings"]}


def test_a_receipt_carries_those_it_came_after(
    optout: Command, optout_filter: Command, home: Home, first: Path, second: Path, tmp_path: Path
) -> None:
    third = tmp_path / "third" / "receipt.json"
    source = second.parent / "*.parquet"
    assert optout_filter(source, third.parent, "--parent-receipt", second).code == 0
    assert statement_of(first)["predicate"]["parents"] == []
    (parent,) = statement_of(third)["predicate"]["parents"]
    assert parent["receipt"].encode() == second.read_bytes()
    ran = optout("verify", third, "--trust", home.public, "--json")
    assert ran.code == 0
    parents = [finding for finding in ran.json["findings"] if "parent" in finding["what"]]
    assert [finding["what"].count("parent") for finding in parents] == [1, 2]
    assert all("2 rows passed snapshot" in finding["detail"] for finding in parents)


def test_parents_whose_signer_is_not_trusted(
    optout: Command, optout_filter: Command, home: Home, first: Path, tmp_path: Path
) -> None:
    stranger = home.stranger.with_name("private.pem")
    out = tmp_path / "second"
    more = ("--parent-receipt", first, "--key", stranger)
    assert optout_filter(first.parent / "*.parquet", out, *more).code == 0
    ran = optout("verify", out / "receipt.json", "--trust", home.stranger, "--json")
    assert (ran.code, findings(ran)["parent"]) == (1, "unknown_key")
    both = ("--trust", home.stranger, "--trust", home.public)
    assert optout("verify", out / "receipt.json", *both).code == 0


def test_a_parent_that_was_swapped_or_asked_something_else(
    optout: Command, optout_filter: Command, home: Home, second: Path, tmp_path: Path
) -> None:
    statement = statement_of(second)
    statement["predicate"]["parents"][0]["receipt"] += " "
    second.write_bytes(sign_statement(statement, keys.load_private(home.private)))
    ran = optout("verify", second, "--trust", home.public, "--json")
    assert (ran.code, findings(ran)["parent"]) == (1, "changed_parent")
    other = tmp_path / "search"
    assert optout_filter(tmp_path / "in", other, "--use", "search").code == 0
    out = tmp_path / "third"
    more = ("--parent-receipt", other / "receipt.json")
    assert optout_filter(other / "*.parquet", out, *more).code == 0
    ran = optout("verify", out / "receipt.json", "--trust", home.public, "--json")
    assert (ran.code, findings(ran)["parent"]) == (1, "other_use")


def test_a_parent_named_later_is_signed_anew(
    optout_filter: Command, first: Path, second: Path, tmp_path: Path
) -> None:
    before = second.read_bytes()
    source, out = first.parent / "*.parquet", second.parent
    again = optout_filter(source, out, "--parent-receipt", first)
    assert (again.code, again.json["resumed"], second.read_bytes()) == (0, 1, before)
    assert optout_filter(source, out).json["resumed"] == 1
    assert statement_of(second)["predicate"]["parents"] == []


def test_what_is_no_parent(optout_filter: Command, optout: Command, home: Home, first: Path) -> None:
    rows, out = first.parent.parent / "in", first.parent.parent / "out"
    ran = optout_filter(rows, out, "--parent-receipt", "none.json")
    assert (ran.code, ran.json["error"]["code"]) == (3, "no_such_file")
    ran = optout_filter(rows, out, "--parent-receipt", home.snapshot / "manifest.dsse.json")
    assert (ran.code, ran.json["error"]["code"]) == (3, "bad_receipt")
    assert "manifest.dsse.json is not a receipt" in ran.json["error"]["message"]
    alone = ("--snapshot", home.snapshot, "--out", out, "--parent-receipt", first, "--json")
    ran = optout("filter", rows, *alone)
    assert (ran.code, ran.json["error"]["code"]) == (2, "no_key")
    assert not out.exists()
