"""A newer snapshot and data that an older one let pass."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command_support import build
from tests.trainer.support import Ran, picture, samples, tiny, write_tar

Command = Callable[..., Ran]

OTHERS = {"selector": "domain", "value": "elsewhere.example", "decision": "deny", "owner": "Ada"}


def claim_on(*keys: int, decision: str = "deny") -> list[dict[str, str]]:
    """Claims on samples by their addresses, as `write_tar` states them."""
    url = "https://art.example/{:09d}.png"
    return [
        {"selector": "url", "value": url.format(key), "decision": decision, "owner": "Mara"} for key in keys
    ]


@pytest.fixture
def world(tmp_path: Path, signer: Path) -> Callable[[str, list[dict[str, str]]], Path]:
    """Builds snapshots."""

    def make(name: str, claims: list[dict[str, str]]) -> Path:
        return build(tmp_path / name, [OTHERS, *claims], signer / "private.pem")

    return make


@pytest.fixture
def data(optout: Command, tmp_path: Path, signer: Path, world: Callable[..., Path]) -> Path:
    """Really filtered data: one tar of 24 samples, of which one is opted out from the beginning."""
    write_tar(tmp_path / "source" / "00000.tar", samples(24))
    out = tmp_path / "data"
    signed = ("--key", signer / "private.pem", "--out", out)
    before = world("before", claim_on(23))
    assert optout("filter", tmp_path / "source", "--snapshot", before, *signed).code == 0
    return out


def test_data_that_still_passes_says_so(
    trainer: Command, data: Path, signer: Path, world: Callable[..., Path], tmp_path: Path
) -> None:
    newer = world("newer", claim_on(23, 100))
    where = ("--data", data, "--snapshot", newer, "--trust", signer / "public.pem")
    ran = trainer("recheck", *where, "--json")
    assert (ran.code, ran.json["opted_out"], ran.json["seen"]) == (0, [], None)
    out = tmp_path / "model"
    assert trainer("train", *where, "--out", out, "--steps", 1, *tiny()).code == 0
    assert ran.json["snapshot"] in (out / "README.md").read_text()


def test_data_with_a_new_opt_out_is_refused(
    trainer: Command, data: Path, signer: Path, world: Callable[..., Path], tmp_path: Path
) -> None:
    newer = world("newer", claim_on(23, 3, 7))
    where = ("--data", data, "--snapshot", newer, "--trust", signer / "public.pem")
    ran = trainer("train", *where, "--out", tmp_path / "model", "--steps", 1, "--json", *tiny())
    assert (ran.code, ran.json["error"]["code"]) == (1, "opted_out_since")
    for said in ("2 samples", "00000.tar:000000003 (denied by url)", "optout filter"):
        assert said in ran.json["error"]["message"]
    assert not (tmp_path / "model").exists()


def test_a_run_that_goes_on_learns_what_it_has_seen(
    trainer: Command, data: Path, signer: Path, world: Callable[..., Path], tmp_path: Path
) -> None:
    """23 samples in batches of 4: one step has seen 4 of them, seven have seen all."""
    trust = ("--data", data, "--trust", signer / "public.pem")
    newer = world("newer", claim_on(*range(24)))
    few, all_seen = tmp_path / "few", tmp_path / "all"
    for out, steps in ((few, 1), (all_seen, 7)):
        assert trainer("train", *trust, "--out", out, "--steps", steps, *tiny()).code == 0
    counts = [
        trainer("recheck", *trust, "--snapshot", newer, "--out", out, "--json").json["seen"]
        for out in (few, all_seen)
    ]
    assert counts == [4, 23]
    ran = trainer("recheck", *trust, "--snapshot", newer, "--out", all_seen)
    assert (ran.code, ran.out.count("trained on already")) == (1, 20)
    assert "by its checkpoint of step 7 the run has trained on 23 of them" in ran.out


def test_pictures_in_folders_are_known_by_their_paths(
    trainer: Command,
    optout: Command,
    signer: Path,
    world: Callable[..., Path],
    tmp_path: Path,
) -> None:
    source, data, out = (tmp_path / name for name in ("source", "data", "model"))
    (source / "sub").mkdir(parents=True)
    contents = {"one.png": picture("red"), "sub/two.png": picture("blue"), "sub/three.png": picture("green")}
    for name, content in contents.items():
        (source / name).write_bytes(content)
    signed = ("--key", signer / "private.pem", "--out", data)
    assert optout("filter", source, "--snapshot", world("before", []), *signed).code == 0
    where = ("--data", data, "--trust", signer / "public.pem", "--out", out)
    assert trainer("train", *where, "--steps", 2, *tiny()).code == 0
    digests = [hashlib.sha256(contents[name]).hexdigest() for name in ("one.png", "sub/two.png")]
    claims = [{**OTHERS, "selector": "sha256", "value": digest} for digest in digests]
    ran = trainer("recheck", *where, "--snapshot", world("newer", claims), "--json")
    assert [(row["name"], row["seen"]) for row in ran.json["opted_out"]] == [
        ("one.png", True),
        ("sub/two.png", True),
    ]


def test_what_no_run_or_another_one_has_seen_is_not_guessed(
    trainer: Command, data: Path, filtered: Path, signer: Path, world: Callable[..., Path], tmp_path: Path
) -> None:
    trust, out = ("--trust", signer / "public.pem"), tmp_path / "model"
    where = ("--data", data, "--snapshot", world("newer", claim_on(3)), "--out", out, *trust, "--json")
    ran = trainer("recheck", *where)
    assert (ran.code, ran.json["error"]["code"]) == (3, "no_run")
    assert trainer("train", "--data", filtered, "--out", out, *trust, "--steps", 1, *tiny()).code == 0
    ran = trainer("recheck", *where)
    assert (ran.code, ran.json["error"]["code"]) == (2, "other_run")


def test_terms_and_errors_do_not_pass_either(
    trainer: Command, data: Path, signer: Path, world: Callable[..., Path]
) -> None:
    terms = [{**claim, "terms_url": "https://art.example/licence"} for claim in claim_on(5, decision="terms")]
    newer = world("newer", [*claim_on(23), *terms])
    ran = trainer("recheck", "--data", data, "--snapshot", newer, "--trust", signer / "public.pem", "--json")
    assert (ran.code, [row["decision"] for row in ran.json["opted_out"]]) == (1, ["terms"])


def test_a_snapshot_by_nobody_known_says_nothing(
    trainer: Command, data: Path, signer: Path, world: Callable[..., Path], tmp_path: Path
) -> None:
    newer = world("newer", claim_on(3))
    forged = tmp_path / "forged"
    shutil.copytree(newer, forged)
    manifest = forged / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    ran = trainer("recheck", "--data", data, "--snapshot", forged, "--trust", signer / "public.pem", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "bad_signature")
