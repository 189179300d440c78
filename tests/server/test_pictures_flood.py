"""The flood guard: what resembles too many unrelated pictures waits for an operator."""

import io
import json
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django import Settings

from optout.hashes import format_fingerprint, hash_picture, parse_fingerprint
from optout.words import Decision, SelectorKind, Use
from registry.actor import Actor
from registry.loading import load_import
from registry.models import Claim, ClaimEvent
from registry.services import flood
from registry.services.claims import register_claim, withdraw_claim
from registry.services.hashing import hash_upload
from registry.services.imports import start_import
from registry.services.pictures import SentPicture, claim_with_pictures
from registry.stream import stream_claims
from tests.server.parties import person, platform
from tests.server.pictures import jpeg
from tests.unit.picture_support import embedding

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Actor:
    return person()


@pytest.fixture
def sample(tmp_path: Path, settings: Settings) -> Path:
    """1,000 unrelated pictures, three of which look like the picture of seed 1."""
    views = parse_fingerprint(hash_picture(jpeg(2)).fingerprint)
    other = [
        format_fingerprint([view._replace(phash=f"{number:016x}") for view in views]) for number in range(997)
    ]
    alike = [hash_picture(jpeg(1, quality=quality)).fingerprint for quality in (50, 70, 80)]
    path = tmp_path / "sample.txt"
    path.write_text("\n".join(other + alike))
    settings.OPTOUT_FLOOD_SAMPLE = str(path)
    return path


def claimed(actor: Actor, data: bytes) -> Claim:
    claim = claim_with_pictures(
        acting=actor,
        decision=Decision.DENY,
        uses=Use.TDM,
        pictures=[SentPicture(io.BytesIO(data), "a.jpg")],
        selectors=[(SelectorKind.URL, "https://ahl.example/a.jpg")],
    )
    hash_upload(str(claim.uploads.get().public_id))
    claim.refresh_from_db()
    return claim


def spoken() -> set[int]:
    with transaction.atomic():
        return {kind for table in stream_claims() for kind in table["kind"].to_pylist()}


def test_a_hash_that_matches_too_much_is_held_and_the_rest_of_the_claim_speaks(
    anna: Actor, sample: Path
) -> None:
    claim = claimed(anna, jpeg(1))
    assert (claim.status, claim.hold) == ("held", "flood")
    assert "resembles 0.3% of 1,000 unrelated pictures" in claim.hold_reason
    event = ClaimEvent.objects.latest("id")
    assert (event.type, event.application) == ("held", "flood-guard")
    assert spoken() == {SelectorKind.URL, SelectorKind.SHA256, SelectorKind.MD5}
    withdraw_claim(acting=anna, claim=claim)
    assert not spoken()


def test_a_hash_of_ones_own_is_not_held(anna: Actor, sample: Path) -> None:
    assert claimed(anna, jpeg(7)).status == "active"


def test_a_fingerprint_from_the_client_is_guarded_too(anna: Actor, sample: Path) -> None:
    claim = register_claim(
        acting=anna,
        decision=Decision.DENY,
        uses=Use.TDM,
        selectors=[(SelectorKind.PICTURE, hash_picture(jpeg(1)).fingerprint)],
    )
    assert claim.hold == "flood"


def test_a_sample_too_small_to_tell_holds_nobody_up(anna: Actor, sample: Path) -> None:
    lines = sample.read_text().splitlines()
    sample.write_text("\n".join(lines[-flood.LEAST_SAMPLE + 1 :]))
    assert claimed(anna, jpeg(1)).status == "active"


def test_without_a_file_the_pictures_of_others_are_the_sample_and_ones_own_are_not(
    anna: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flood, "LEAST_SAMPLE", 1)
    flood._of_others.cache_clear()
    bo = person("Bo Berg")
    claimed(bo, jpeg(1))
    flood._of_others.cache_clear()
    assert claimed(bo, jpeg(1)).status == "active"
    assert claimed(anna, jpeg(1)).status == "held"
    flood._of_others.cache_clear()


def test_rows_of_an_import_are_guarded_one_by_one(sample: Path) -> None:
    big = platform()
    rows = [
        {"selector": kind, "value": value, "decision": "deny", "uses": "tdm", "ref": ref}
        for ref, kind, value in (
            ("floods", "picture", hash_picture(jpeg(1)).fingerprint),
            ("floods", "url", "https://big.example.org/1.jpg"),
            ("own", "picture", hash_picture(jpeg(7)).fingerprint),
        )
    ]
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    for number in (1, 2):
        source = start_import(acting=big, file=io.BytesIO(content), filename=f"{number}.jsonl")
        load_import(str(source.public_id))
    assert dict(Claim.objects.values_list("ref", "hold")) == {"floods": "flood", "own": ""}
    assert ClaimEvent.objects.filter(type="held").count() == 1
    assert spoken() == {SelectorKind.URL, SelectorKind.PICTURE}


def test_an_embedding_that_resembles_too_much_is_held(anna: Actor, sample: Path) -> None:
    unrelated = [embedding(number) for number in range(1, 300)] + [embedding(0, near=0.1)] * 3
    sample.write_text("\n".join([sample.read_text(), *unrelated]))
    holds = {
        value: register_claim(
            acting=anna, decision=Decision.DENY, uses=Use.TDM, selectors=[(SelectorKind.CLIP, value)]
        )
        for value in (embedding(0), embedding(400), embedding(0, model="ViT-L/14@0123456789abcdef"))
    }
    assert [claim.hold for claim in holds.values()] == ["flood", "", ""]
    assert "embeddings resembles 1.0% of 302 unrelated pictures" in holds[embedding(0)].hold_reason
    assert spoken() == {SelectorKind.CLIP}
