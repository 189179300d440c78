"""Registering, listing, reading and withdrawing claims through HTTP."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from optout.words import SelectorKind
from registry.models import Claim, ClaimEvent, DomainProof, IdempotencyRecord, Selector
from tests.server.api_support import DENY_PAGE, Caller, caller, key_for, problem, quiet_keys

__all__ = ["quiet_keys"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def gallery() -> Caller:
    return caller()


def with_selector(kind: str, value: str) -> dict[str, Any]:
    return {**DENY_PAGE, "selectors": [{"kind": kind, "value": value}]}


def test_a_claim_is_registered_and_shown(gallery: Caller) -> None:
    answer = gallery.post("claims", {**DENY_PAGE, "ref": "no. 1", "title": "Sea"}, X_Request_ID="abc-1")
    assert answer.status_code == 201
    shown = answer.json()
    assert shown["selectors"] == [{"kind": "url", "value": "gallery.example/works/1.jpg"}]
    assert shown["uses"] == ["tdm"]
    assert shown["covers"] == ["tdm", "ai-train", "ai-train-generative"]
    assert (shown["status"], shown["decision"], shown["ref"]) == ("active", "deny", "no. 1")
    assert gallery.client.get(answer["Location"], headers=gallery.headers()).json() == shown
    event = ClaimEvent.objects.get()
    assert (event.request_id, event.application) == ("abc-1", "api")
    assert answer["X-Request-ID"] == "abc-1"


def test_claims_are_listed_newest_first_by_cursor(gallery: Caller) -> None:
    made = [gallery.post("claims", {**DENY_PAGE, "ref": str(n)}).json()["id"] for n in range(5)]
    caller(name="Another").post("claims", DENY_PAGE)
    seen, address = [], "claims?limit=2"
    while address:
        page = gallery.get(address).json()
        seen += [one["id"] for one in page["results"]]
        address = (page["next"] or "").partition("/api/v1/")[2]
    assert seen == made[::-1]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=²"])
def test_a_bad_limit_is_refused(gallery: Caller, query: str) -> None:
    problem(gallery.get(f"claims?{query}"), 400, "bad_limit")


def test_a_bad_cursor_is_refused(gallery: Caller) -> None:
    problem(gallery.get("claims?cursor=yesterday"), 400, "bad_cursor")


def test_withdrawing_ends_a_claim_and_can_be_repeated(gallery: Caller) -> None:
    made = gallery.post("claims", DENY_PAGE).json()
    first = gallery.post(f"claims/{made['id']}/withdraw")
    again = gallery.post(f"claims/{made['id']}/withdraw")
    assert first.status_code == again.status_code == 200
    assert first.json()["status"] == "withdrawn"
    assert first.json() == again.json()
    assert Claim.objects.get().status == "withdrawn"


def test_a_write_only_key_withdraws(gallery: Caller) -> None:
    assert gallery.party is not None
    writer = key_for(gallery.party, "claims:write")
    made = writer.post("claims", DENY_PAGE).json()
    assert writer.post(f"claims/{made['id']}/withdraw").json()["status"] == "withdrawn"


def test_anothers_claim_looks_like_none(gallery: Caller) -> None:
    made = caller(name="Another").post("claims", DENY_PAGE).json()
    problem(gallery.get(f"claims/{made['id']}"), 404, "not_found")
    problem(gallery.post(f"claims/{made['id']}/withdraw"), 404, "not_found")
    problem(gallery.post(f"claims/{uuid.uuid4()}/withdraw"), 404, "not_found")
    assert Claim.objects.get().status == "active"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("domain", "co.uk"),
        ("domain", "*"),
        ("domain", "*.example.org"),
        ("prefix", "*"),
        ("url", "javascript:alert(1)"),
        ("url", ""),
        ("sha256", "abc"),
        ("md5", "z" * 32),
    ],
)
def test_a_selector_that_cannot_stand_is_named(gallery: Caller, kind: str, value: str) -> None:
    answer = gallery.post("claims", with_selector(kind, value))
    assert answer.status_code in {400, 422}
    assert any(name.startswith("selectors") for name in answer.json()["fields"])
    assert not Claim.objects.exists()


def test_anothers_proven_domain_is_refused(gallery: Caller) -> None:
    owner = caller(name="Owner").party
    assert owner is not None
    DomainProof.objects.create(party=owner, domain="proven.example", verified_at=timezone.now())
    for kind, value in [
        ("domain", "proven.example"),
        ("domain", "shop.proven.example"),
        ("prefix", "https://proven.example/a"),
        ("url", "https://www.proven.example/a.jpg"),
    ]:
        document = problem(
            gallery.post("claims", with_selector(kind, value)), 409, "domain_verified_by_other"
        )
        assert list(document["fields"]) == ["selectors.0"]
    assert key_for(owner).post("claims", with_selector("domain", "proven.example")).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"decision": "maybe"}, "decision"),
        ({"uses": []}, "uses"),
        ({"uses": ["everything"]}, "uses.0"),
        ({"selectors": []}, "selectors"),
        ({"selectors": [{"kind": "tune", "value": "00"}]}, "selectors.0.kind"),
        ({"decision": "terms"}, "terms_url"),
        ({"terms_url": "javascript:1"}, "terms_url"),
        ({"valid_from": "yesterday"}, "valid_from"),
        ({"title": "a\u0000b"}, "title"),
        ({"ref": "x" * 201}, "ref"),
    ],
)
def test_bad_fields_are_named(gallery: Caller, change: dict[str, Any], field: str) -> None:
    answer = gallery.post("claims", {**DENY_PAGE, **change})
    assert answer.status_code in {400, 422}
    assert answer["Content-Type"] == "application/problem+json"
    assert list(answer.json()["fields"]) == [field]


@pytest.mark.parametrize("body", [[], '"text"', 1, None, {}])
def test_a_body_of_another_form_is_refused(gallery: Caller, body: Any) -> None:
    problem(gallery.post("claims", body), 400, "invalid")


def test_a_repeated_request_is_answered_as_before(gallery: Caller) -> None:
    first = gallery.post("claims", DENY_PAGE, Idempotency_Key="k1")
    again = gallery.post("claims", DENY_PAGE, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again["Location"] == first["Location"]
    assert again["Idempotency-Replayed"] == "true"
    assert Claim.objects.count() == 1


def test_a_key_for_another_body_is_refused(gallery: Caller) -> None:
    gallery.post("claims", DENY_PAGE, Idempotency_Key="k1")
    other = gallery.post("claims", {**DENY_PAGE, "title": "Other"}, Idempotency_Key="k1")
    problem(other, 422, "idempotency_key_reused")
    problem(gallery.post("claims", DENY_PAGE, Idempotency_Key="ü"), 400, "bad_idempotency_key")


def test_keys_of_parties_do_not_meet(gallery: Caller) -> None:
    gallery.post("claims", DENY_PAGE, Idempotency_Key="k1")
    assert (
        caller(name="Another").post("claims", {**DENY_PAGE, "title": "x"}, Idempotency_Key="k1").status_code
        == 201
    )


def test_a_request_that_still_runs_is_a_conflict(gallery: Caller) -> None:
    gallery.post("claims", DENY_PAGE, Idempotency_Key="k1")
    IdempotencyRecord.objects.update(state="running", response_status=None)
    answer = gallery.post("claims", DENY_PAGE, Idempotency_Key="k1")
    problem(answer, 409, "still_running")
    assert answer["Retry-After"] == "1"


def test_an_abandoned_request_is_done_again(gallery: Caller) -> None:
    gallery.post("claims", DENY_PAGE, Idempotency_Key="k1")
    long_ago = timezone.now() - timedelta(hours=1)
    IdempotencyRecord.objects.update(state="running", response_status=None, created_at=long_ago)
    assert gallery.post("claims", DENY_PAGE, Idempotency_Key="k1").status_code == 201


def test_a_failed_request_may_be_sent_again(gallery: Caller) -> None:
    bad = {**DENY_PAGE, "decision": "terms"}
    for _ in range(2):
        assert gallery.post("claims", bad, Idempotency_Key="k1").status_code == 422
    assert not IdempotencyRecord.objects.exists()


def test_of_a_large_claim_the_first_selectors_are_shown_with_their_number(gallery: Caller) -> None:
    made = gallery.post("claims", DENY_PAGE).json()
    assert made["selector_count"] == 1
    claim = Claim.objects.get()
    pairs = [(SelectorKind.URL, f"gallery.example/{number}") for number in range(1200)]
    Selector.objects.bulk_create(Selector.of(claim, pairs))
    read = gallery.get(f"claims/{made['id']}").json()
    assert (len(read["selectors"]), read["selector_count"]) == (1000, 1201)
    small = gallery.post("claims", DENY_PAGE).json()
    listed = gallery.get("claims").json()["results"]
    assert [(len(one["selectors"]), one["selector_count"]) for one in listed] == [(1, 1), (100, 1201)]
    assert listed[0] == small


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"valid_form": "2026-01-01T00:00:00Z"}, "valid_form"),
        ({"selectors": [{"kind": "url", "value": "https://a.example/", "use": "tdm"}]}, "selectors.0.use"),
        ({"selectors": [{"kind": "url", "value": "https://a.example/"}, {}]}, "selectors.1.kind"),
        ({"uses": ["tdm", "everything"]}, "uses.1"),
        ({"decision": "maybe"}, "decision"),
    ],
)
def test_every_refused_member_is_named_by_one_path(
    gallery: Caller, change: dict[str, object], field: str
) -> None:
    document = problem(gallery.post("claims", {**DENY_PAGE, **change}), 400, "invalid")
    assert next(iter(document["fields"])) == field
    assert all(isinstance(sentence, str) for sentence in document["fields"][field])
    assert not Claim.objects.exists()
