"""Who may do what: keys, scopes, and the form of every refusal."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import Settings

from registry.actor import Actor
from registry.services import key_cache
from registry.services.keys import create_key, revoke_key
from tests.server.api_support import (
    ALL_SCOPES,
    DENY_PAGE,
    Answer,
    Caller,
    caller,
    key_for,
    problem,
    quiet_keys,
)

__all__ = ["quiet_keys"]

pytestmark = pytest.mark.django_db

NOBODY = UUID(int=0)
# Method, path, the scope it takes (None: any key).
ADDRESSES: list[tuple[str, str, str | None]] = [
    ("POST", "v1/check", "check"),
    ("POST", "v2/query/urls/", "check"),
    ("POST", "v2/query/urls", "check"),
    ("GET", "v1/claims", "claims:read"),
    ("POST", "v1/claims", "claims:write"),
    ("GET", f"v1/claims/{NOBODY}", "claims:read"),
    ("POST", f"v1/claims/{NOBODY}/withdraw", "claims:write"),
    ("GET", f"v1/claims/{NOBODY}/pictures", "claims:read"),
    ("POST", f"v1/claims/{NOBODY}/pictures", "claims:write"),
    ("GET", "v1/uploads", "claims:read"),
    ("GET", f"v1/uploads/{NOBODY}", "claims:read"),
    ("DELETE", f"v1/uploads/{NOBODY}", "claims:write"),
    ("GET", "v1/imports", "imports:write"),
    ("POST", "v1/imports", "imports:write"),
    ("GET", f"v1/imports/{NOBODY}", "imports:write"),
    ("GET", f"v1/imports/{NOBODY}/rejections", "imports:write"),
    ("GET", "v1/snapshots/keys", None),
    ("GET", "v1/snapshots/latest", "snapshots:read"),
    ("GET", f"v1/snapshots/{'0' * 64}/files/manifest.json", "snapshots:read"),
    ("GET", "v1/keys/me", None),
]
OPEN = {"v1/check", "v1/snapshots/keys"}  # anonymous callers are answered too


def ask(who: Caller, method: str, path: str, **headers: str) -> Answer:
    kind = "text/plain" if path.startswith("v2") else "application/json"
    return who.client.generic(method, f"/api/{path}", b'{"urls": []}', kind, headers=who.headers(headers))


@pytest.mark.parametrize(("method", "path", "scope"), ADDRESSES)
def test_a_key_with_the_scope_gets_in(method: str, path: str, scope: str | None) -> None:
    answer = ask(caller(scope or "check"), method, path)
    assert answer.status_code not in {401, 403}
    assert answer.status_code < 500


@pytest.mark.parametrize(("method", "path", "scope"), [row for row in ADDRESSES if row[2]])
def test_a_key_with_every_other_scope_does_not(method: str, path: str, scope: str) -> None:
    answer = ask(caller(*(other for other in ALL_SCOPES if other != scope)), method, path)
    document = problem(answer, 403, "missing_scope")
    assert document["scope"] == scope
    assert scope in document["detail"]
    assert f'scope="{scope}"' in answer["WWW-Authenticate"]


@pytest.mark.parametrize("path", [path for method, path, scope in ADDRESSES if method == "GET" and scope])
def test_head_needs_what_get_needs(path: str) -> None:
    assert ask(caller("check"), "HEAD", path).status_code == 403


@pytest.mark.parametrize(("method", "path", "scope"), [row for row in ADDRESSES if row[1] not in OPEN])
def test_without_a_key_nothing_opens(method: str, path: str, scope: str | None) -> None:
    answer = ask(Caller(), method, path)
    problem(answer, 401, "key_missing")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path", "scope"), ADDRESSES)
def test_a_wrong_key_opens_nothing(method: str, path: str, scope: str | None) -> None:
    answer = ask(Caller("opt_abcdefgh_wrong"), method, path)
    problem(answer, 401, "unknown_key")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "secret", ["x", "opt_", "opt_a_b_c", "opt_ABCDEFGH_x", "ü", "opt_abcdefgh_" + "x" * 4000]
)
def test_odd_keys_are_wrong_keys(secret: str) -> None:
    problem(Caller(secret).get("keys/me"), 401, "unknown_key")


def test_another_scheme_is_refused() -> None:
    answer = Caller().client.get("/api/v1/keys/me", headers={"Authorization": "Basic YTpi"})
    problem(answer, 401, "authentication_failed")


def test_an_expired_key_is_refused() -> None:
    party = caller().party
    assert party is not None
    soon = timezone.now() + timedelta(hours=1)
    key, secret = create_key(acting=Actor(party), name="short", scopes=["check"], expires_at=soon)
    assert Caller(secret).get("keys/me").status_code == 200
    key.expires_at = timezone.now() - timedelta(seconds=1)
    key.save(update_fields=["expires_at"])
    key_cache.forget(key.prefix)
    problem(Caller(secret).get("keys/me"), 401, "expired_key")


def test_a_revoked_key_is_refused(django_capture_on_commit_callbacks: Any) -> None:
    who = caller()
    assert who.party is not None
    assert who.key is not None
    with django_capture_on_commit_callbacks(execute=True):
        revoke_key(acting=Actor(who.party), key=who.key)
    problem(who.get("keys/me"), 401, "revoked_key")


def test_a_key_says_what_it_is() -> None:
    shown = caller("check", "claims:read", name="A gallery").get("keys/me").json()
    assert shown["party"] == "a-gallery"
    assert shown["scopes"] == ["check", "claims:read"]
    assert shown["expires_at"] is None
    assert "secret" not in shown


def test_spawnings_scheme_is_taken_everywhere() -> None:
    who = caller("check")
    answer = who.client.get("/api/v1/keys/me", headers={"Authorization": f"API {who.secret}"})
    assert answer.status_code == 200


# --- Refusals that are nobody's fault but the request's


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["v1/nothing", "nothing", "v1/claims/not-a-uuid", "v3/check", ""])
def test_nothing_answers_there(method: str, path: str) -> None:
    problem(ask(Caller(), method, path), 404, "not_found")


def test_a_wrong_method_is_a_problem() -> None:
    answer = ask(caller(), "DELETE", "v1/claims")
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer["Allow"]


def test_a_wrong_media_type_is_a_problem() -> None:
    who = caller()
    answer = who.client.post("/api/v1/claims", b"<a/>", "application/xml", headers=who.headers())
    problem(answer, 415, "unsupported_media_type")
    problem(who.get("claims", Accept="text/html"), 406, "not_acceptable")


@pytest.mark.parametrize("body", ["{", "[1,]", '"\\ud800"', "nul", b"\xff"])
def test_malformed_json_is_a_problem(body: str | bytes) -> None:
    problem(caller().post("claims", body), 400, "malformed_json")


def test_a_body_over_the_limit_is_a_problem() -> None:
    document = problem(caller().post("claims", b" " * (2 * 1024 * 1024 + 1)), 413, "body_too_large")
    assert document["limit"] == 2 * 1024 * 1024


def test_a_failure_of_ours_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("the secret plan")

    monkeypatch.setattr("api.claims.claim_with_pictures", broken)
    answer = caller().post("claims", DENY_PAGE)
    problem(answer, 500, "internal_error")
    assert b"secret plan" not in answer.content


@pytest.mark.parametrize(("sent", "kept"), [("my-1.a", True), ("a b", False), ("x" * 65, False), ("", False)])
def test_a_plain_request_id_comes_back(sent: str, kept: bool) -> None:
    answer = caller().get("keys/me", **{"X-Request-ID": sent})
    assert (answer["X-Request-ID"] == sent) is kept
    assert answer["X-Request-ID"]


# --- Rates


def test_a_key_that_asks_too_fast_is_told_when_to_come_back(settings: Settings) -> None:
    settings.RATES = {**settings.RATES, "key": "60/m burst 2"}
    who = caller()
    assert [who.get("keys/me").status_code for _ in range(3)] == [200, 200, 429]
    answer = who.get("keys/me")
    problem(answer, 429, "throttled")
    assert answer["Retry-After"] == "1"
    assert who.party is not None
    assert key_for(who.party).get("keys/me").status_code == 200


def test_callers_without_a_key_are_counted_by_address(settings: Settings) -> None:
    settings.RATES = {**settings.RATES, "anonymous": "1/m burst 1"}
    forged = [{"X-Forwarded-For": f"203.0.113.{n}"} for n in range(2)]
    assert [ask(Caller(), "POST", "v1/check", **one).status_code for one in forged] == [200, 429]


def test_without_valkey_nobody_is_throttled(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.RATES = {**settings.RATES, "key": "60/m burst 1"}
    before = REGISTRY.get_sample_value("optout_unthrottled_requests_total") or 0
    who = caller()
    assert [who.get("keys/me").status_code for _ in range(3)] == [200, 200, 200]
    assert REGISTRY.get_sample_value("optout_unthrottled_requests_total") == before + 3
