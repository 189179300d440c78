"""`optout check` of pictures: found as copies, refused when broken, told in words."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from optout.hashes import hash_picture
from tests.cli.command_support import Home, Ran, build, write_claims
from tests.unit.picture_support import PHOTOGRAPHS, embedding, fingerprint, view

Command = Callable[..., Ran]


@pytest.fixture(scope="module")
def claimed(tmp_path_factory: pytest.TempPathFactory, home: Home) -> Path:
    """A snapshot in which photographs are claimed."""
    claims = [
        {
            "selector": "picture",
            "value": hash_picture(path).fingerprint,
            "owner": path.stem,
            "decision": "deny",
        }
        for path in PHOTOGRAPHS
    ]
    claims.append({"selector": "phash", "value": view(4).phash, "owner": "phil", "decision": "deny"})
    claims.append({"selector": "clip", "value": embedding(1), "owner": "clio", "decision": "deny"})
    return build(tmp_path_factory.mktemp("claimed") / "snapshot", claims, home.private)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A mirrored, smaller copy of a claimed photograph, on white."""
    image = Image.open(PHOTOGRAPHS[1]).convert("RGB").resize((300, 200))
    padded = Image.new("RGB", (300, 300), "white")
    padded.paste(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (0, 50))
    padded.save(tmp_path / "copy.jpg", quality=60)
    return tmp_path / "copy.jpg"


def test_a_copy_is_found_and_the_answer_says_how(
    optout: Command, claimed: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = optout("check", copy, "--snapshot", claimed, "--json")
    (result,) = ran.json["results"]
    assert (ran.code, result["outcome"]) == (0, "denied")
    assert result["item"] == {"path": str(copy), "picture": hash_picture(copy).fingerprint} | {
        name: getattr(hash_picture(copy), name) for name in ("sha256", "md5")
    }
    (reason,) = result["reasons"]
    assert (reason["owner"], reason["tier"], reason["orientation"]) == ("chelsea", "match", "mirrored")
    monkeypatch.chdir(copy.parent)
    text = optout("check", "copy.jpg", "--snapshot", claimed).out
    assert "chelsea says deny for a picture (whole view), mirrored:" in text
    assert "of 256 bits of pdq apart (match up to 31, grade 0)" in text


def test_pictures_and_addresses_are_told_apart(
    optout: Command, claimed: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    urls = ("https://example.org/copy.jpg", "example.org/copy.jpg")
    ran = optout("check", "copy.jpg", "mising.jpg", "./pics/x.PNG", *urls, "-s", claimed, "--json")
    assert [next(iter(result["item"])) for result in ran.json["results"]] == [*["path"] * 3, "url", "url"]
    assert [result["outcome"] for result in ran.json["results"]] == [
        "denied",
        # Nobody is told that a picture is unreserved whose name was mistyped.
        "error",
        "error",
        "unreserved",
        "unreserved",
    ]
    assert (ran.code, "mising.jpg" in ran.err) == (3, True)


def test_a_broken_picture_is_an_error_and_stops_no_other(
    optout: Command, claimed: Path, copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(copy.read_bytes()[:2000])
    ran = optout("check", tmp_path / "broken.jpg", copy, "--snapshot", claimed, "--json")
    assert [(result["outcome"], result["error"]) for result in ran.json["results"]] == [
        ("error", "picture"),
        ("denied", None),
    ]
    assert ran.code == 3
    assert "broken.jpg" in ran.err


def test_unclaimed_and_plain_pictures_match_nothing(optout: Command, claimed: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "white").save(tmp_path / "white.png")
    drawn = Image.radial_gradient("L").convert("RGB")
    ImageDraw.Draw(drawn).ellipse((20, 60, 110, 200), fill="red")
    drawn.save(tmp_path / "drawn.png")
    ran = optout("check", tmp_path / "white.png", tmp_path / "drawn.png", "--snapshot", claimed, "--json")
    assert [result["outcome"] for result in ran.json["results"]] == ["unreserved"] * 2


def test_weak_evidence_is_a_flag_unless_it_is_to_count(optout: Command, claimed: Path) -> None:
    ask = ("check", "--phash", view(4, phash=5).phash, "--snapshot", claimed)
    flagged = optout(*ask).out
    assert (
        "unreserved  flag: phil says deny for a phash: 5 of 64 bits of phash apart (review up to 8" in flagged
    )
    said = optout("check", "--clip", embedding(1, near=0.05), "--snapshot", claimed).out
    assert "clio says deny for a picture by its embedding: 1 - cosine is 0.00" in said
    assert optout(*ask, "--evidence", "review", "--json").json["results"][0]["outcome"] == "denied"


def test_hashes_are_asked_about_without_the_picture(optout: Command, claimed: Path) -> None:
    photograph = hash_picture(PHOTOGRAPHS[0])
    asked = ("--fingerprint", photograph.fingerprint, "--pdq", photograph.views[0].pdq)
    ran = optout("check", *asked, "--fingerprint", fingerprint(view(9)), "-s", claimed, "--json")
    assert [result["outcome"] for result in ran.json["results"]] == ["denied", "denied", "unreserved"]


def test_a_plain_picture_cannot_be_claimed(optout: Command, home: Home, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "white").save(tmp_path / "white.png")
    plain = {"selector": "picture", "value": hash_picture(tmp_path / "white.png").fingerprint}
    source = write_claims(tmp_path / "claims.jsonl", [plain | {"decision": "deny"}])
    ran = optout("snapshot", "build", source, "--key", home.private, "--out", tmp_path / "out")
    assert ran.code == 3
    assert "cannot be matched by hash" in ran.err
