"""Claims by picture over the API: files in a form, hashes computed by the client, what became of each."""

import io
import json
from typing import Any

import pytest
from django.test import TestCase
from pytest_django import Settings

from optout.hashes import hash_picture
from registry import storage
from registry.models import Claim, Upload
from registry.services.hashing import hash_upload
from tests.server.api_support import DENY_PAGE, Answer, Caller, caller, key_for, problem, quiet_keys
from tests.server.pictures import jpeg, named, white

__all__ = ["quiet_keys"]

pytestmark = pytest.mark.django_db
STATED = {"decision": "deny", "uses": ["ai-train"]}


def send(who: Caller, *files: bytes, path: str = "claims", fields: Any = None, **headers: str) -> Answer:
    pictures = [named(data, f"{number}.jpg") for number, data in enumerate(files)]
    form = {"claim": json.dumps(STATED)} if fields is None else fields
    data = {**form, **({"pictures": pictures} if pictures else {})}
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return who.client.post(f"/api/v1/{path}", data, headers=who.headers(extra))


def work() -> None:
    with TestCase.captureOnCommitCallbacks(execute=True):
        for upload in Upload.objects.waiting():
            hash_upload(str(upload.public_id))


def test_a_claim_by_picture_says_how_far_it_is_and_then_what_it_matches() -> None:
    who, data = caller(), jpeg()
    answer = send(who, data, b"no picture")
    assert answer.status_code == 201
    body = answer.json()
    assert body["selectors"] == []
    assert body["pictures"] == {"waiting": 2, "hashed": 0, "parked": 0}
    work()

    body = who.get(f"claims/{body['id']}").json()
    made = hash_picture(data)
    assert body["pictures"] == {"waiting": 0, "hashed": 1, "parked": 1}
    assert {(one["kind"], one["value"], one["computed_by"]) for one in body["selectors"]} == {
        ("sha256", made.sha256, "registry"),
        ("md5", made.md5, "registry"),
        ("picture", made.fingerprint, "registry"),
    }
    parked, hashed = who.get(f"claims/{body['id']}/pictures").json()["results"]
    assert (parked["state"], parked["name"]) == ("parked", "1.jpg")
    assert parked["reason_code"] == "not_a_picture"
    assert "not a picture that can be read" in parked["reason"]
    assert (hashed["state"], hashed["fingerprint"], hashed["kept"]) == ("hashed", made.fingerprint, False)
    assert who.get(f"uploads/{hashed['id']}").json() == hashed
    assert who.get("uploads?limit=1").json()["results"] == [parked]


def test_hashes_computed_by_the_client_are_marked_as_such() -> None:
    made = hash_picture(jpeg())
    selectors = [
        {"kind": "picture", "value": made.fingerprint},
        {"kind": "sha256", "value": made.sha256},
        {"kind": "url", "value": "https://gallery.example/1.jpg"},
    ]
    body = caller().post("claims", {**STATED, "selectors": selectors}).json()
    assert {one["kind"]: one.get("computed_by") for one in body["selectors"]} == {
        "picture": "client",
        "sha256": "client",
        "url": None,
    }


def test_a_plain_white_picture_is_told_that_it_is_too_plain() -> None:
    who = caller()
    selectors = [{"kind": "picture", "value": hash_picture(white()).fingerprint}]
    document = problem(who.post("claims", {**STATED, "selectors": selectors}), 422, "invalid_input")
    assert "cannot be matched by hash" in document["fields"]["selectors.0"][0]
    send(who, white())
    work()
    (upload,) = who.get("uploads").json()["results"]
    assert upload["state"] == "parked"
    assert "cannot be matched by hash" in upload["reason"]


def test_pictures_are_added_and_removed() -> None:
    who = caller()
    claim = send(who, jpeg(1)).json()["id"]
    answer = send(who, jpeg(2), jpeg(3), path=f"claims/{claim}/pictures", fields={"keep": "true"})
    assert answer.status_code == 202
    first, second = answer.json()["results"]
    assert [first["name"], second["name"], first["state"]] == ["0.jpg", "1.jpg", "queued"]
    with TestCase.captureOnCommitCallbacks(execute=True):
        gone = who.client.delete(f"/api/v1/uploads/{second['id']}", headers=who.headers())
    assert gone.json()["state"] == "deleted"
    work()
    assert who.get(f"uploads/{first['id']}").json()["kept"] is True
    assert who.get(f"claims/{claim}").json()["pictures"] == {"waiting": 0, "hashed": 2, "parked": 0}


def test_the_form_may_name_selectors_as_well() -> None:
    stated = {**STATED, "selectors": [{"kind": "name", "value": "Ada Lindqvist"}], "keep": True}
    body = send(caller(), jpeg(), fields={"claim": json.dumps(stated)}).json()
    assert [one["kind"] for one in body["selectors"]] == ["name"]
    assert Upload.objects.get().keep is True


def test_sending_again_with_the_same_key_claims_once() -> None:
    who = caller()
    first, second = (send(who, jpeg(), Idempotency_Key="once") for _ in range(2))
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert Upload.objects.count() == Claim.objects.count() == len(list(storage.list_keys())) == 1


def test_what_belongs_to_another_is_not_there() -> None:
    who, other = caller(), caller(name="Another")
    claim = send(who, jpeg()).json()["id"]
    upload = Upload.objects.get().public_id
    problem(other.get(f"claims/{claim}/pictures"), 404, "not_found")
    problem(send(other, jpeg(), path=f"claims/{claim}/pictures"), 404, "not_found")
    problem(other.get(f"uploads/{upload}"), 404, "not_found")
    problem(other.client.delete(f"/api/v1/uploads/{upload}", headers=other.headers()), 404, "not_found")
    assert other.get("uploads").json() == {"results": [], "next": None}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"claim": "{"}, 400, "malformed_json"),
        ({}, 400, "malformed_json"),
        ({"claim": "[]"}, 400, "invalid"),
        ({"claim": json.dumps({"decision": "deny"})}, 400, "invalid"),
        ({"claim": json.dumps({**STATED, "decision": "terms"})}, 422, "invalid_input"),
    ],
)
def test_a_form_that_is_wrong_is_a_problem_and_leaves_nothing(
    fields: dict[str, str], status: int, code: str
) -> None:
    problem(send(caller(), jpeg(), fields=fields), status, code)
    assert not Claim.objects.exists()
    assert list(storage.list_keys()) == []


def test_a_form_without_pictures_is_a_problem() -> None:
    who = caller()
    problem(send(who), 400, "picture_missing")
    claim = send(who, jpeg()).json()["id"]
    problem(send(who, path=f"claims/{claim}/pictures", fields={"pictures": "text"}), 400, "picture_missing")
    bad = {"keep": "perhaps"}
    problem(send(who, jpeg(), path=f"claims/{claim}/pictures", fields=bad), 400, "invalid")


def test_too_large_too_many_and_too_much_waiting(settings: Settings) -> None:
    who = caller()
    settings.OPTOUT_MAX_PICTURE = 100
    document = problem(send(who, jpeg()), 422, "invalid_input")
    assert document["fields"] == {"pictures.0": ["0.jpg has more than 100 bytes."]}
    document = problem(send(who, *[b"x"] * 101), 422, "invalid_input")
    assert document["fields"] == {"pictures": ["Send 100 pictures at a time, not 101."]}
    settings.OPTOUT_MOST_WAITING = 1
    answer = send(who, b"x", b"y")
    problem(answer, 503, "too_much_waiting")
    assert answer["Retry-After"] == "60"
    assert not Claim.objects.exists()


def test_a_form_that_announces_too_much_is_not_read() -> None:
    who = caller()
    answer = who.client.generic(
        "POST",
        "/api/v1/claims",
        b"--x",
        "multipart/form-data; boundary=x",
        headers=who.headers(),
        CONTENT_LENGTH=str(10**10),
    )
    problem(answer, 413, "body_too_large")


def test_pictures_have_a_rate_of_their_own(settings: Settings) -> None:
    settings.RATES = {**settings.RATES, "uploads": "60/m burst 1"}
    who = caller()
    assert [send(who, jpeg()).status_code for _ in range(2)] == [201, 429]
    assert who.get("uploads").status_code == 200


def test_a_key_that_may_only_read_sends_nothing() -> None:
    who = caller()
    assert who.party is not None
    claim = send(who, jpeg()).json()["id"]
    reader = key_for(who.party, "claims:read")
    for path in ("claims", f"claims/{claim}/pictures"):
        assert problem(send(reader, jpeg(), path=path), 403, "missing_scope")["scope"] == "claims:write"
    assert len(list(storage.list_keys())) == 1


def test_a_kept_file_is_closed_and_whole(tmp_path: Any) -> None:
    data = jpeg()
    stated = {"claim": json.dumps({**STATED, "keep": True})}
    send(caller(), data, fields=stated)
    with storage.open(Upload.objects.get().object_key) as file:
        assert io.BytesIO(file.read()).getvalue() == data


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("check", {"evidense": "review"}),
        ("check", {"urls": "https://a.example/"}),
        ("claims", {"claim": json.dumps(STATED), "keep": "true"}),
        ("claims/{claim}/pictures", {"kept": "true"}),
    ],
)
def test_a_field_that_no_form_has_is_refused(path: str, fields: dict[str, str]) -> None:
    who = caller()
    claim = who.post("claims", DENY_PAGE).json()["id"]
    document = problem(send(who, jpeg(), path=path.format(claim=claim), fields=fields), 400, "invalid")
    assert list(document["fields"]) == [list(fields)[-1]]
    assert not Upload.objects.exists()
