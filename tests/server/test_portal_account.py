"""Making a party, API keys and imports in the portal; the frame that every page has."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone

from registry.models import ApiKey, Import, ImportRejection, Party, User
from registry.services.keys import digest_of
from registry.services.parties import create_party
from tests.server.parties import person
from tests.server.portal import signed_in, text_of

pytestmark = pytest.mark.django_db

PUBLIC = [
    "/",
    "/lookup/",
    "/how-it-works/",
    "/privacy/",
    "/accounts/login/",
    "/accounts/signup/",
    "/nothing/",
]


def newcomer() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("new@example.org"))
    return client


def test_the_first_visit_makes_a_party_and_leads_on() -> None:
    client = newcomer()
    page = client.post("/welcome/", {"display_name": "Zoë  Ahl", "kind": "person"}, follow=True)
    party = Party.objects.get()
    assert (party.display_name, party.handle, party.kind) == ("Zoë Ahl", "zoe-ahl", "person")
    assert page.redirect_chain == [("/opt-out/", 302)]
    assert "Welcome." in text_of(page)
    assert client.get("/welcome/")["Location"] == "/claims/"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"display_name": ""}, "Your name: This field is required."),
        ({"handle": "Zoë Ahl"}, "Use lower-case letters, digits and hyphens"),
        ({"handle": "taken"}, "Somebody already has this handle."),
        ({"kind": "platform"}, "Select a valid choice."),
    ],
)
def test_a_party_that_cannot_be_made_is_explained(fields: dict[str, Any], sentence: str) -> None:
    create_party(None, Party.Kind.PERSON, "Somebody", handle="taken")
    page = newcomer().post("/welcome/", {"display_name": "Zoë Ahl", "kind": "person", **fields})
    assert page.status_code == 400
    assert sentence in text_of(page)
    assert Party.objects.count() == 1


def test_the_account_page_keeps_public_and_private_apart() -> None:
    text = text_of(signed_in(person()).get("/account/"))
    assert text.index("anna-ahl") < text.index("What only you see") < text.index("anna.ahl@example.org")


def test_a_new_key_is_shown_once_and_works() -> None:
    client = signed_in(person())
    data = {"name": "A script", "scopes": ["check", "claims:read"], "days": "90"}
    page = client.post("/keys/new/", data)
    found = re.search(r"opt_[a-z0-9]{8}_[\w-]+", text_of(page))
    assert found
    assert "no-store" in page["Cache-Control"]
    key = ApiKey.objects.get()
    assert bytes(key.digest) == digest_of(found[0])
    assert key.scopes == ["check", "claims:read"]
    assert key.expires_at is not None
    assert timedelta(days=89) < key.expires_at - timezone.now() < timedelta(days=91)
    listed = text_of(client.get("/keys/"))
    assert "A script" in listed
    assert found[0] not in listed


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"scopes": []}, {"scopes": ["everything"]}, {"days": "1000000"}, {"name": "x" * 101}],
)
def test_a_key_that_cannot_be_made_is_explained(fields: dict[str, Any]) -> None:
    data = {"name": "A script", "scopes": ["check"], "days": "", **fields}
    page = signed_in(person()).post("/keys/new/", data)
    assert page.status_code == 400
    assert b'role="alert"' in page.content
    assert not ApiKey.objects.exists()


def test_revoking_a_key_asks_first() -> None:
    client = signed_in(person())
    client.post("/keys/new/", {"name": "A script", "scopes": ["check"], "days": ""})
    key = ApiKey.objects.get()
    assert key.expires_at is None
    assert "Revoke this key?" in text_of(client.get(f"/keys/{key.public_id}/revoke/"))
    assert "The key is revoked." in text_of(client.post(f"/keys/{key.public_id}/revoke/", follow=True))
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "Revoked" in text_of(client.get("/keys/"))


def test_an_import_is_shown_with_every_refused_row() -> None:
    actor = person()
    sent = an_import(actor.party, rows_done=1204, rows_good=1203, rows_bad=1)
    ImportRejection.objects.create(
        source_import=sent, row=17, code="host", detail="not a host", excerpt="url,,"
    )
    client = signed_in(actor)
    assert "1,204" in text_of(client.get("/imports/"))
    assert "17 not a host url,," in text_of(client.get(f"/imports/{sent.public_id}/"))
    assert signed_in(person("Bo Berg")).get(f"/imports/{sent.public_id}/").status_code == 404


def test_a_failed_import_says_why() -> None:
    actor = person()
    sent = an_import(actor.party, state=Import.State.FAILED, error="The file ends in the middle of row 4.")
    text = text_of(signed_in(actor).get(f"/imports/{sent.public_id}/"))
    assert "Stopped" in text
    assert "The file ends in the middle of row 4." in text


def an_import(party: Party, **fields: Any) -> Import:
    stated = {"state": Import.State.DONE, "finished_at": timezone.now(), **fields}
    return Import.objects.create(
        party=party,
        filename="spring.csv",
        format="csv",
        object_key="imports/1",
        sha256="ab" * 32,
        size_bytes=10,
        **stated,
    )


@pytest.mark.parametrize("address", PUBLIC)
def test_every_page_keeps_to_the_policy_and_has_the_frame(address: str) -> None:
    response = Client().get(address)
    body = response.content.decode()
    policy = response["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", body)
    assert '<html lang="en" dir="ltr">' in body
    assert '<a class="skip" href="#content">' in body
    assert body.count("<h1") == 1
    assert re.search(r"<title>\s*\S", body)


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_need_neither_a_request_nor_a_database(name: str) -> None:
    page = render_to_string(f"{name}.html")
    assert "To the first page" in page
    assert 'href="/accounts/login/"' in page
