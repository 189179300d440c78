"""Asking about pictures: files in a form, fingerprints and bare hashes in JSON and Arrow."""

import hashlib
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps
from pytest_django import Settings

from optout.embeddings.value import format_embedding
from optout.hashes import hash_picture
from optout.words import Decision, SelectorKind, Use
from registry import live
from registry.actor import Actor
from registry.models import Claim
from registry.services.claims import hold_for_flood, register_claim, release_claim, withdraw_claim
from registry.services.hashing import hash_upload
from registry.services.pictures import SentPicture, claim_with_pictures
from registry.services.snapshots import build_current
from tests.server.api_support import Answer, Caller, caller, problem, quiet_keys
from tests.server.parties import operator, person
from tests.server.pictures import jpeg, named, white

__all__ = ["quiet_keys"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Actor:
    return person()


@pytest.fixture
def claim(anna: Actor) -> Claim:
    """A claim about the picture of seed 1, hashed."""
    sent = SentPicture(io.BytesIO(jpeg(1)), "harbour.jpg")
    made = claim_with_pictures(acting=anna, decision=Decision.DENY, uses=Use.TDM, pictures=[sent])
    hash_upload(str(made.uploads.get().public_id))
    live.reset()
    return made


def edited(data: bytes, *, mirror: bool = False, pad: int = 0, quality: int = 70) -> bytes:
    """The picture as somebody else would have it: encoded anew, mirrored, on a larger canvas."""
    image: Image.Image = Image.open(io.BytesIO(data))
    image = ImageOps.mirror(image) if mirror else image
    image = ImageOps.expand(image, pad, "white") if pad else image
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    return target.getvalue()


def ask(who: Caller, *files: bytes, **fields: str) -> Answer:
    pictures = [named(data, f"{number}.jpg") for number, data in enumerate(files)]
    return who.client.post("/api/v1/check", {**fields, "pictures": pictures}, headers=who.headers())


def answers(response: Answer) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["answers"]
    return found


def test_a_copy_is_denied_however_it_was_edited_and_says_how_it_was_found(claim: Claim) -> None:
    data = jpeg(1)
    copies = [data, edited(data), edited(data, mirror=True), edited(data, pad=30), jpeg(2)]
    same, again, mirrored, padded, other = answers(ask(caller(), *copies))
    assert [reason["selector"] for reason in same["reasons"]] == ["sha256", "md5", "picture"]
    for answer in (again, mirrored, padded):
        (reason,) = answer["reasons"]
        assert (answer["outcome"], reason["selector"], reason["tier"]) == ("denied", "picture", "match")
        assert (reason["claim"], reason["how"]) == (str(claim.public_id), "pdq")
        assert reason["distance"] <= reason["threshold"] == 31
    assert again["reasons"][0]["orientation"] == "upright"
    assert mirrored["reasons"][0]["orientation"] == "mirrored"
    assert (other["outcome"], other["reasons"]) == ("unreserved", [])


@pytest.mark.django_db(transaction=True)
def test_it_is_found_in_a_snapshot_as_in_what_is_newer_and_no_more_once_withdrawn(
    anna: Actor, claim: Claim
) -> None:
    copy = edited(jpeg(1))
    build_current()
    live.reset()
    assert answers(ask(caller(), copy))[0]["outcome"] == "denied"
    withdraw_claim(acting=anna, claim=claim)
    live.reset()
    assert answers(ask(caller(), copy))[0]["outcome"] == "unreserved"


def test_hashes_in_json_and_in_arrow_are_answered_alike(claim: Claim) -> None:
    made, who = hash_picture(edited(jpeg(1))), caller()
    items = [{"picture": made.fingerprint}, {"pdq": made.views[0].pdq}, {"phash": made.views[0].phash}]
    items.append({"picture": "ofp1:nonsense"})
    found = answers(who.post("check", {"items": items}))
    assert [one["outcome"] for one in found] == ["denied", "denied", "unreserved", "error"]
    assert [[flag["tier"] for flag in one["flags"]] for one in found] == [[], [], ["review"], []]
    assert found[3]["error"]["code"] == "picture"

    table = pa.table({name: [item.get(name) for item in items] for name in ("picture", "pdq", "phash")})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    kind = "application/vnd.apache.arrow.stream"
    response = who.client.post("/api/v1/check", sink.getvalue(), content_type=kind, headers=who.headers())
    assert [one["outcome"] for one in answers(response)] == [one["outcome"] for one in found]


def test_embeddings_are_by_whatever_models_but_not_by_any_number_of_them() -> None:
    vector = np.zeros(64)
    vector[0] = 1
    values = [format_embedding(f"{model}@1", vector) for model in range(9)]
    who = caller()
    items = [{"clip": value} for value in ("oce1:nonsense", *values[:8])]
    found = answers(who.post("check", {"items": items}))
    assert [one["outcome"] for one in found] == ["error", *["unreserved"] * 8]
    assert found[0]["error"]["code"] == "embedding"
    refused = problem(who.post("check", {"items": [{"clip": value} for value in values]}), 400, "invalid")
    assert "clip" in refused["fields"]


def test_weak_evidence_is_a_flag_unless_it_is_asked_for(anna: Actor) -> None:
    made = hash_picture(jpeg(1)).views[0]
    register_claim(
        acting=anna, decision=Decision.DENY, uses=Use.TDM, selectors=[(SelectorKind.PHASH, made.phash)]
    )
    live.reset()
    who = caller()
    (plain,) = answers(ask(who, jpeg(1)))
    assert (plain["outcome"], [flag["tier"] for flag in plain["flags"]]) == ("unreserved", ["review"])
    (asked,) = answers(ask(who, jpeg(1), evidence="review"))
    assert (asked["outcome"], asked["flags"]) == ("denied", [])
    problem(ask(who, jpeg(1), evidence="hearsay"), 400, "invalid")


def test_what_the_flood_guard_holds_is_silent_until_an_operator_lets_it_speak(
    anna: Actor, claim: Claim
) -> None:
    hold_for_flood(claim, "It resembles too much.")
    live.reset()
    copy = edited(jpeg(1))
    assert answers(ask(caller(), copy))[0]["outcome"] == "unreserved"
    release_claim(operator=operator(), claim=claim)
    live.reset()
    assert answers(ask(caller(), copy))[0]["outcome"] == "denied"


def test_a_picture_that_cannot_be_read_is_an_error_and_the_others_are_answered(
    claim: Claim, settings: Settings
) -> None:
    settings.OPTOUT_MAX_PICTURE = 50_000
    found = answers(ask(caller(), b"no picture", white(), jpeg(1) + bytes(60_000), jpeg(1)))
    assert [one["outcome"] for one in found] == ["error", "unreserved", "error", "denied"]
    assert found[0]["error"]["code"] == found[2]["error"]["code"] == "picture"


def test_the_file_itself_is_denied_by_its_digest_even_when_it_cannot_be_read(anna: Actor) -> None:
    digest = hashlib.sha256(b"no picture").hexdigest()
    register_claim(
        acting=anna, decision=Decision.DENY, uses=Use.TDM, selectors=[(SelectorKind.SHA256, digest)]
    )
    live.reset()
    (answer,) = answers(ask(caller(), b"no picture"))
    assert answer["outcome"] == "denied"
    assert answer["error"]["code"] == "picture"


def test_without_a_key_one_picture_at_a_time(claim: Claim) -> None:
    nobody = Caller()
    assert answers(ask(nobody, jpeg(1)))[0]["outcome"] == "denied"
    assert problem(ask(nobody, jpeg(1), jpeg(2)), 413, "too_many_items")["limit"] == 1
    assert problem(ask(caller(), *[jpeg(1)] * 21), 413, "too_many_items")["limit"] == 20


def test_a_form_without_pictures_or_too_large_is_refused(settings: Settings) -> None:
    who = caller()
    problem(ask(who), 400, "picture_missing")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = settings.OPTOUT_MAX_PICTURE = 5_000
    problem(ask(who, jpeg(1, 400)), 413, "body_too_large")


@pytest.mark.django_db(transaction=True)
def test_hashes_of_pictures_leave_in_snapshots_only_with_a_scope_of_their_own(claim: Claim) -> None:
    build_current()
    plain, trusted = caller("snapshots:read"), caller("snapshots:read", "pictures:read")
    files = plain.get("snapshots/latest").json()["files"]
    needs = {file["path"].rpartition("/")[2]: file["scope"] for file in files}
    assert needs["sha256.arrow"] == "snapshots:read"
    assert needs["picture.arrow"] == needs["picture.offsets.arrow"] == "pictures:read"
    for file in files:
        path = file["url"].partition("/api/v1/")[2]
        answered = trusted.get(path), plain.get(path)
        expected = 200 if file["scope"] == "snapshots:read" else 403
        assert [answer.status_code for answer in answered] == [200, expected]
        assert all(answer.getvalue() for answer in answered)
