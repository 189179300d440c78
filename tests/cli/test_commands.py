"""The other commands: keygen, hash, check, snapshot, verify; their exit codes and their JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.command_support import CLAIMS, Home, Ran, write_claims

Command = Callable[..., Ran]


def test_the_documented_story_works_as_it_stands(
    optout: Command, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_claims(tmp_path / "claims.jsonl", CLAIMS)
    Image.new("RGB", (64, 48), "teal").save("picture.jpg")
    codes = [
        optout("keygen", "keys/").code,
        optout("snapshot", "build", "claims.jsonl", "--key", "keys/private.pem", "--out", "snapshot/").code,
        optout("snapshot", "verify", "snapshot/", "--trust", "keys/public.pem").code,
        optout("check", "https://example.org/a.jpg", "--snapshot", "snapshot/", "--json").code,
        optout("hash", "picture.jpg", "--json").code,
        optout(
            *("filter", "rows.parquet", "--snapshot", "snapshot/", "--use", "ai-train-generative"),
            *("--mode", "drop", "--out", "filtered/", "--key", "keys/private.pem", "--json"),
        ).code,
        optout("verify", "filtered/receipt.json", "--data", "filtered/", "--trust", "keys/public.pem").code,
    ]
    assert codes == [0] * 7


def test_keygen_never_overwrites(optout: Command, tmp_path: Path) -> None:
    made = optout("keygen", tmp_path / "keys", "--json").json
    assert len(made["key_id"]) == 64
    again = optout("keygen", tmp_path / "keys", "--json")
    assert (again.code, again.json["error"]["code"]) == (2, "key_exists")


def test_hash_prints_an_object_a_picture(optout: Command, tmp_path: Path) -> None:
    Image.radial_gradient("L").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    ran = optout("hash", tmp_path / "a.png", tmp_path / "b.png", "--json")
    good, bad = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 3
    assert {"sha256", "md5", "fingerprint", "views"} <= good.keys()
    assert {"name", "phash", "pdq", "quality"} <= good["views"][0].keys()
    assert bad["error"]["code"] == "not_a_picture"
    assert "b.png" in ran.err
    assert good["fingerprint"] in optout("hash", tmp_path / "a.png").out


def test_check_answers_every_kind_of_item(optout: Command, home: Home) -> None:
    items = [
        "https://www.denied.example/x",
        "--sha256",
        "AB" * 32,
        "--md5",
        "cd" * 16,
        "--text",
        "Mara Lindqvist!",
    ]
    ran = optout("check", *items, "--snapshot", home.snapshot, "--json")
    assert ran.code == 0
    results = ran.json["results"]
    assert [result["outcome"] for result in results] == ["denied", "denied", "denied", "unreserved"]
    assert [flag["owner"] for flag in results[3]["flags"]] == ["mara"]
    text = optout("check", *items, "--snapshot", home.snapshot).out
    assert "dora says deny for domain denied.example" in text
    assert "flag: mara says deny" in text


def test_check_exit_codes(optout: Command, home: Home) -> None:
    ask = ("check", "https://denied.example/", "--snapshot", home.snapshot)
    assert optout(*ask).code == 0
    assert optout(*ask, "--fail-on", "denied").code == 1
    assert optout(*ask, "--fail-on", "error").code == 0
    assert optout("check", "--snapshot", home.snapshot).code == 2
    assert optout(*ask, "--use", "sing").code == 2
    assert optout(*ask, "--at", "yesterday").code == 2
    assert optout("check", "x").code == 2
    assert optout(*ask, "--trust", home.public).code == 0
    stranger = optout(*ask, "--trust", home.stranger, "--json")
    assert (stranger.code, stranger.json["error"]["code"]) == (1, "unknown_key")


def test_text_from_outside_does_not_steer_the_terminal(optout: Command, home: Home) -> None:
    ran = optout("check", "https://x.example/\x1b[2J[red]", "--snapshot", home.snapshot)
    assert "\x1b[2J" not in ran.out
    assert "[red]" in ran.out


def test_bad_rows_stop_a_build_unless_they_are_skipped(optout: Command, home: Home, tmp_path: Path) -> None:
    bad = [{"selector": "domain", "value": "co.uk", "decision": "deny"}, {"selector": "sing", "value": "x"}]
    source = write_claims(tmp_path / "claims.jsonl", [*CLAIMS, *bad])
    build = ("snapshot", "build", source, "--key", home.private, "--out", tmp_path / "snap", "--json")
    stopped = optout(*build)
    assert (stopped.code, stopped.json["error"]["code"]) == (3, "bad_rows")
    assert f"row {len(CLAIMS) + 1}" in stopped.err
    assert [path.name for path in tmp_path.iterdir()] == ["claims.jsonl"]
    skipped = optout(*build, "--skip-bad-rows").json
    assert skipped["rejected"] == 2
    listed = [json.loads(line) for line in Path(skipped["rejected_file"]).read_text().splitlines()]
    assert [(row["row"], row["file"]) for row in listed] == [(8, str(source)), (9, str(source))]
    assert optout("snapshot", "inspect", tmp_path / "snap", "--json").json["selectors"]["domain"] == 1


def test_when_the_claims_were_read_is_signed(optout: Command, home: Home, tmp_path: Path) -> None:
    source = write_claims(tmp_path / "claims.jsonl", CLAIMS)
    build = ("snapshot", "build", source, "--key", home.private, "--out", tmp_path / "snap")
    early = optout(*build, "--as-of", "2999-01-01", "--json")
    assert (early.code, early.json["error"]["code"]) == (2, "future")
    assert "as of      2026-01-02T00:00:00+00:00" in optout(*build, "--as-of", "2026-01-02").out
    told = optout("snapshot", "inspect", tmp_path / "snap", "--json").json
    assert told["checkpoint"] == {"as_of": "2026-01-02T00:00:00+00:00"}


def test_several_claim_files_and_a_grade(optout: Command, home: Home, tmp_path: Path) -> None:
    first = write_claims(tmp_path / "a.jsonl", CLAIMS[:2])
    (tmp_path / "b.csv").write_text("selector,value\ndomain,b.example\n")
    out = tmp_path / "snap"
    options = ("--key", home.private, "--out", out, "--grade", 2, "--default-owner", "nobody")
    assert optout("snapshot", "build", first, tmp_path / "b.csv", *options).code == 0
    found = optout("check", "https://b.example/", "--snapshot", out, "--json").json["results"][0]["reasons"][
        0
    ]
    assert (found["owner"], found["grade"]) == ("nobody", 2)
    missing = optout(
        "snapshot", "build", tmp_path / "none.jsonl", "--key", home.private, "--out", tmp_path / "x"
    )
    assert (missing.code, "none.jsonl" in missing.err) == (3, True)


def test_snapshot_verify_says_what_does_not_hold(optout: Command, home: Home, tmp_path: Path) -> None:
    assert optout("snapshot", "verify", home.snapshot, "--trust", home.public, "--json").json["holds"] is True
    stranger = optout("verify", home.snapshot, "--trust", home.stranger, "--json")
    assert (stranger.code, stranger.json["findings"][0]["code"]) == (1, "unknown_key")
    assert optout("snapshot", "verify", home.snapshot).code == 2
    assert optout("snapshot", "verify", tmp_path / "none", "--trust", home.public).code == 3
    (tmp_path / "half").mkdir()
    assert optout("snapshot", "verify", tmp_path / "half", "--trust", home.public).code == 1


def test_wrong_usage_is_one_line_and_json_where_asked(optout: Command) -> None:
    ran = optout("filter", "--json")
    assert (ran.code, ran.json["error"]["code"], ran.err.count("\n")) == (2, "usage", 1)
    assert optout("sync").code == 2
    assert optout().code == 2
    assert optout("--version").out.startswith("optout")
