"""Callers of the API for the tests: a party, its key, and requests with it."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from django.http import HttpResponse
from django.test import Client

from registry.actor import Actor
from registry.models import ApiKey, Party
from registry.services import key_cache
from registry.services.keys import create_key
from registry.services.parties import create_party

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer
else:
    Answer = HttpResponse

__all__ = ["ALL_SCOPES", "DENY_PAGE", "Answer", "Caller", "caller", "key_for", "problem", "quiet_keys"]

ALL_SCOPES = ("check", "claims:read", "claims:write", "imports:write", "snapshots:read", "pictures:read")
DENY_PAGE: dict[str, Any] = {
    "decision": "deny",
    "uses": ["tdm"],
    "selectors": [{"kind": "url", "value": "https://gallery.example/works/1.jpg"}],
}


@pytest.fixture(autouse=True)
def quiet_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The use of keys is not noted: the thread that does it would outlive the test's transaction."""
    monkeypatch.setattr(key_cache, "note_use", lambda key: None)


@dataclass
class Caller:
    """Somebody who calls the API; without a secret, anonymously."""

    secret: str = ""
    party: Party | None = None
    key: ApiKey | None = None
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def headers(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        return {**({"Authorization": f"Bearer {self.secret}"} if self.secret else {}), **(extra or {})}

    def get(self, path: str, **headers: str) -> Answer:
        return self.client.get(f"/api/v1/{path}", headers=self.headers(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.client.post(
            f"/api/v1/{path}",
            data=body if isinstance(body, bytes | str) else json.dumps(body),
            content_type="application/json",
            headers=self.headers({name.replace("_", "-"): value for name, value in headers.items()}),
        )


def caller(*scopes: str, kind: str = "organisation", name: str = "A gallery") -> Caller:
    """A new party with a key of these scopes (all of them when none are named)."""
    party = create_party(None, kind, name)
    return key_for(party, *scopes)


def key_for(party: Party, *scopes: str) -> Caller:
    """One more key of `party`."""
    key, secret = create_key(acting=Actor(party), name="test", scopes=scopes or ALL_SCOPES)
    return Caller(secret, party, key)


def problem(response: Answer, status: int, code: str) -> dict[str, Any]:
    """The problem document in `response`, after checking its form."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(response.content)
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"urn:optout:problem:{code}"
    assert document["title"]
    assert response["X-Request-ID"]
    return document
