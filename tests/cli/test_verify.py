"""`optout verify`: what holds about a filtered data set, and what does not."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optout import dsse, keys
from tests.cli.command_support import URLS, Home, Ran, write_rows

Command = Callable[..., Ran]


@pytest.fixture
def filtered(optout_filter: Command, tmp_path: Path) -> Path:
    for name in ("a.parquet", "deep/b.parquet"):
        write_rows(tmp_path / "in" / name, URLS)
    assert optout_filter(tmp_path / "in", tmp_path / "out").code == 0
    return tmp_path / "out"


def findings(ran: Ran) -> dict[str, str]:
    return {finding["what"]: finding["code"] for finding in ran.json["findings"]}


def test_untouched_output_holds(optout: Command, home: Home, filtered: Path) -> None:
    check = ("verify", filtered / "receipt.json", "--data", filtered, "--trust", home.public)
    ran = optout(*check, "--snapshot", home.snapshot, "--json")
    assert (ran.code, ran.json["holds"]) == (0, True)
    assert findings(ran) == dict.fromkeys(("signature", "a.parquet", "deep/b.parquet", "snapshot"), "ok")
    assert "Everything holds." in optout(*check).out


def test_each_change_is_found(optout: Command, home: Home, filtered: Path) -> None:
    content = bytearray((filtered / "a.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (filtered / "a.parquet").write_bytes(content)
    (filtered / "deep" / "b.parquet").unlink()
    (filtered / "extra.parquet").write_bytes(b"")
    check = ("verify", filtered / "receipt.json", "--trust", home.public)
    ran = optout(*check, "--snapshot", home.other_snapshot, "--json")
    assert (ran.code, ran.json["holds"]) == (1, False)
    assert findings(ran) == {
        "signature": "ok",
        "a.parquet": "changed_file",
        "deep/b.parquet": "missing_file",
        "extra.parquet": "extra_file",
        "snapshot": "other_snapshot",
    }
    assert "4 of 5 things checked do not hold" in optout(*check, "--snapshot", home.other_snapshot).out


def test_signatures_that_do_not_hold(optout: Command, home: Home, filtered: Path) -> None:
    receipt = filtered / "receipt.json"
    unknown = optout("verify", receipt, "--trust", home.stranger, "--json")
    assert (unknown.code, findings(unknown)) == (1, {"signature": "unknown_key"})
    envelope: dict[str, Any] = json.loads(receipt.read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["counts"]["kept"] += 1
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    receipt.write_text(json.dumps(envelope))
    assert findings(optout("verify", receipt, "--trust", home.public, "--json")) == {
        "signature": "bad_signature"
    }
    receipt.write_text("{}")
    assert findings(optout("verify", receipt, "--trust", home.public, "--json")) == {
        "signature": "bad_envelope"
    }
    private = keys.load_private(home.private)
    receipt.write_bytes(dsse.sign(b"[]", "application/vnd.in-toto+json", private))
    assert findings(optout("verify", receipt, "--trust", home.public, "--json")) == {
        "signature": "wrong_statement"
    }


def test_wrong_usage_and_missing_files(optout: Command, home: Home, filtered: Path, tmp_path: Path) -> None:
    receipt = filtered / "receipt.json"
    assert optout("verify", receipt).code == 2
    assert optout("verify", tmp_path / "none.json", "--trust", home.public).code == 3
    assert optout("verify", receipt, "--data", tmp_path / "none", "--trust", home.public).code == 3
    assert optout("verify", receipt, "--trust", receipt).code == 3


def test_receipt_says_what_was_asked_and_what_came_of_it(home: Home, filtered: Path) -> None:
    public = keys.load_public(home.public)
    payload = dsse.open_envelope(
        (filtered / "receipt.json").read_bytes(), [public], "application/vnd.in-toto+json"
    )
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert [subject["name"] for subject in statement["subject"]] == ["a.parquet", "deep/b.parquet"]
    predicate = statement["predicate"]
    assert [(one["name"], one["rows"]) for one in predicate["inputs"]] == [
        ("a.parquet", 7),
        ("deep/b.parquet", 7),
    ]
    assert predicate["question"]["use"] == "ai-train-generative"
    assert predicate["settings"]["mode"] == "drop"
    assert predicate["snapshot"]["signed_by"] == [public.key_id]
    assert (predicate["counts"]["rows"], predicate["counts"]["kept"]) == (14, 4)
    assert predicate["domains"] == {
        "domains": 2,
        "rows": 4,
        "top": [{"domain": "one.example", "rows": 2}, {"domain": "other.example", "rows": 2}],
    }
    assert {"optout", "pyarrow", "numba"} <= predicate["tools"].keys()
