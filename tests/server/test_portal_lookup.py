"""The public page that says what the registry knows about an address."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client

from optout.words import Decision, SelectorKind, Use
from registry import live
from registry.services.claims import withdraw_claim
from tests.server.parties import claim_by, person
from tests.server.portal import signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    live.reset()
    yield
    live.reset()


def ask(url: str, **more: str) -> str:
    response = Client().get("/lookup/?" + urlencode({"url": url, **more}))
    assert response.status_code == 200
    return text_of(response)


def test_nobody_has_reserved_it_and_that_is_not_permission() -> None:
    text = ask("http://WWW.Example.org:80/a.jpg?utm_source=x#top")
    assert "Nobody has reserved this. That is not permission." in text
    assert "Looked up as https://example.org/a.jpg" in text
    assert "The reasons" not in text


@pytest.mark.parametrize(
    ("kind", "value", "asked", "how"),
    [
        (SelectorKind.URL, "https://a.example/1.jpg", "http://www.a.example/1.jpg", "The same address."),
        (SelectorKind.URL, "https://a.example/1.jpg", "https://a.example/1-300x200.jpg", "A resized copy."),
        (
            SelectorKind.URL,
            "https://a.example/1.jpg",
            "https://i0.wp.com/a.example/1.jpg",
            "Through an image proxy.",
        ),
        (
            SelectorKind.URL,
            "https://a.example/1.jpg",
            "https://i0.wp.com/a.example/1-300x200.jpg",
            "A resized copy, through an image proxy.",
        ),
        (SelectorKind.PREFIX, "https://a.example/g", "https://a.example/g/1.jpg", "Within the claimed path."),
        (SelectorKind.DOMAIN, "a.example", "https://img.a.example/1.jpg", "On the claimed domain."),
    ],
)
def test_a_denial_names_the_claim_and_how_it_matched(
    kind: SelectorKind, value: str, asked: str, how: str
) -> None:
    claim = claim_by(person(), value, kind=kind)
    text = ask(asked)
    assert "Denied. Do not use it for this." in text
    assert "Claim by anna-ahl" in text
    assert how in text
    assert "Uses it speaks about Training any AI model" in text
    assert "Stated. The claimant confirmed an e-mail address." in text
    assert f"Recorded on {claim.created_at.day} " in text
    assert str(claim.public_id) in text


def test_terms_come_with_their_address() -> None:
    claim_by(person(), decision=Decision.TERMS, terms_url="https://gallery.example/terms")
    text = ask("https://gallery.example/works/1.jpg")
    assert "Only on terms." in text
    assert "Terms https://gallery.example/terms" in text


def test_each_use_has_its_own_answer() -> None:
    actor = person()
    claim_by(actor, uses=Use.AI_INPUT)
    claim_by(person("Bo Berg"), uses=Use.SEARCH, decision=Decision.ALLOW)
    asked = "https://gallery.example/works/1.jpg"
    assert "Nobody has reserved this." in ask(asked)
    assert "Search Allowed" in ask(asked)
    assert "Feeding a finished AI model Denied" in ask(asked)
    assert "Denied. Do not use it for this." in ask(asked, use="ai-input")
    assert "Allowed. Whoever spoke for this work" in ask(asked, use="search")
    assert "Asked about: Training generative AI" in ask(asked, use="nonsense")


def test_a_withdrawn_claim_is_no_longer_named() -> None:
    actor = person()
    claim = claim_by(actor)
    assert "Denied." in ask("https://gallery.example/works/1.jpg")
    withdraw_claim(acting=actor, claim=claim)
    live.reset()
    assert "Nobody has reserved this." in ask("https://gallery.example/works/1.jpg")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("", "Write or paste an address first."),
        ("   ", "Write or paste an address first."),
        ("javascript:alert(1)", "Only addresses of the web are taken"),
        ("data:image/png;base64,AAAA", "Only addresses of the web are taken"),
        ("https://exa mple/a", "There is no such site name."),
        ("https://a.example:99999/", "The number after the colon is not a port."),
        ("https://a.example/" + "x" * 9000, "The address is too long"),
        ('"><script>alert(1)</script>', "Only addresses of the web are taken"),
    ],
)
def test_what_is_no_address_is_told_kindly(asked: str, sentence: str) -> None:
    response = Client().get("/lookup/?" + urlencode({"url": asked}))
    assert response.status_code == 400
    assert sentence in text_of(response)
    assert b"<script>" not in response.content
    assert b'aria-describedby="id_url_error"' in response.content


def test_without_anything_to_judge_by_no_answer_is_given() -> None:
    response = without_database("https://gallery.example/works/1.jpg")
    assert response.status_code == 503
    text = text_of(response)
    assert "The registry cannot answer right now." in text
    assert "Nobody has reserved this." not in text


def test_what_is_known_is_answered_while_the_database_is_away() -> None:
    claim = claim_by(person())
    assert "Denied." in ask("https://gallery.example/works/1.jpg")
    text = text_of(without_database("https://gallery.example/works/1.jpg"))
    assert "Denied. Do not use it for this." in text
    assert str(claim.public_id) in text
    assert "Recorded on" not in text


def test_pages_that_need_the_records_say_when_to_come_back() -> None:
    client = signed_in(person())
    client.raise_request_exception = False
    response = without_database(path="/claims/", client=client)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")
    assert "Please try again in a minute." in text_of(response)
    assert client.get("/claims/").status_code == 200, "and whoever was signed in still is"


def without_database(url: str = "", *, path: str = "/lookup/", client: Client | None = None) -> Any:
    """The page as a process serves it that cannot reach PostgreSQL; a thread has a connection of its own."""

    def serve() -> Any:
        connection.settings_dict = {**connection.settings_dict, "HOST": "127.0.0.1", "PORT": "9"}
        return (client or Client()).get(path, {"url": url})

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(serve).result()


def test_the_page_asks_when_nothing_was_asked() -> None:
    text = text_of(Client().get("/lookup/"))
    assert "What does the registry say about this address?" in text
    assert "You need no account to ask" in text


def test_asking_changes_nothing_and_takes_no_post() -> None:
    assert Client().head("/lookup/?url=https://a.example/").status_code == 200
    assert Client().post("/lookup/", {"url": "https://a.example/"}).status_code == 405
