"""Spawning's protocol, line by line."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from api import throttles
from registry import live, rates
from tests.server.api_support import DENY_PAGE, Answer, Caller, caller, problem, quiet_keys

__all__ = ["quiet_keys"]

pytestmark = pytest.mark.django_db
ADDRESSES = ["/api/v2/query/urls/", "/api/v2/query/urls"]


@pytest.fixture(autouse=True)
def _always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Valkey that is slow on a busy machine is waited for, and not taken for one that is away."""
    monkeypatch.setattr(rates, "_VALKEY_TIMEOUT", 20.0)
    rates._valkey.cache_clear()
    yield
    rates._valkey.cache_clear()


@pytest.fixture
def pipeline() -> Caller:
    gallery = caller(name="Gallery")
    for value, change in [
        ("https://denied.example/1.jpg", {}),
        ("https://terms.example/1.jpg", {"decision": "terms", "terms_url": "https://terms.example/t"}),
        ("https://allowed.example/1.jpg", {"decision": "allow"}),
    ]:
        body = {**DENY_PAGE, "selectors": [{"kind": "url", "value": value}], **change}
        assert gallery.post("claims", body).status_code == 201
    return caller("check", name="Pipeline")


def ask(who: Caller, body: bytes, address: str = ADDRESSES[0]) -> Answer:
    headers = {"Authorization": f"API {who.secret}"}
    return who.client.post(address, body, "text/plain", headers=headers)


def entries(who: Caller, body: bytes) -> list[dict[str, Any]]:
    answer = ask(who, body)
    assert answer.status_code == 200, answer.content
    document = answer.json()
    assert list(document) == ["urls"]
    found: list[dict[str, Any]] = document["urls"]
    assert all(list(entry) == ["url", "optIn", "optOut"] for entry in found)
    return found


@pytest.mark.parametrize("address", ADDRESSES)
def test_both_forms_of_the_address_answer(pipeline: Caller, address: str) -> None:
    answer = ask(pipeline, b"https://free.example/", address)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {"urls": [{"url": "https://free.example/", "optIn": False, "optOut": False}]}


def test_each_outcome_in_spawnings_words(pipeline: Caller) -> None:
    lines = [
        ("https://denied.example/1.jpg", False, True),
        ("https://terms.example/1.jpg", False, True),
        ("https://allowed.example/1.jpg", True, False),
        ("https://free.example/1.jpg", False, False),
        ("http://www.denied.example/1.jpg?utm_source=x", False, True),
    ]
    found = entries(pipeline, "\n".join(url for url, *_ in lines).encode())
    assert [(one["url"], one["optIn"], one["optOut"]) for one in found] == lines


def test_every_line_is_answered_in_its_place_and_echoed(pipeline: Caller) -> None:
    lines = [
        "",
        "https://denied.example/1.jpg",
        "https://denied.example/1.jpg",
        "  ",
        'https://free.example/"quoted"\\',
        "https://free.example/ünïcode/日本.jpg",
        "https://free.example/\r",
        "not a url",
        "javascript:alert(1)",
        "https://free.example/tab\tand\u2028separator\u0085",
        "",
    ]
    found = entries(pipeline, "\n".join(lines).encode())
    assert [one["url"] for one in found] == lines


@pytest.mark.parametrize(
    "line", [b"", b"  ", b"not a url", b"javascript:x", b"data:,x", b"https://a.example/\xff"]
)
def test_what_cannot_be_judged_is_opted_out(pipeline: Caller, line: bytes) -> None:
    found = entries(pipeline, b"https://free.example/\n" + line + b"\nhttps://free.example/")
    assert [one["optOut"] for one in found] == [False, True, False]
    assert not any(one["optIn"] for one in found)


def test_an_empty_body_is_one_blank_line(pipeline: Caller) -> None:
    assert entries(pipeline, b"") == [{"url": "", "optIn": False, "optOut": True}]


def test_ten_thousand_urls_are_one_chunk(pipeline: Caller) -> None:
    urls = [f"https://free.example/{n}" for n in range(10_000)]
    assert [one["url"] for one in entries(pipeline, "\n".join(urls).encode())] == urls
    problem(ask(pipeline, "\n".join([*urls, "x"]).encode()), 413, "too_many_items")


def test_a_body_over_the_limit_is_refused(pipeline: Caller, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    problem(ask(pipeline, b"x" * 101), 413, "body_too_large")


def test_what_comes_too_fast_waits_first(
    pipeline: Caller, patient: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RATES = {**settings.RATES, "spawning": "600/m burst 2"}
    begun = time.monotonic()
    assert [ask(pipeline, b"https://free.example/").status_code for _ in range(5)] == [200] * 5
    assert time.monotonic() - begun > 0.25
    # A turn a minute, so that none comes round while a busy machine is at it.
    settings.RATES = {**settings.RATES, "spawning": "1/m burst 1"}
    monkeypatch.setattr(throttles.Pacing, "longest", 0.01)
    hasty = caller("check", name="Hasty")
    first, second = [ask(hasty, b"https://free.example/") for _ in range(2)]
    assert first.status_code == 200
    problem(second, 429, "throttled")
    assert 1 < int(second["Retry-After"]) <= 60


def test_not_every_thread_waits(pipeline: Caller, patient: None, settings: Settings) -> None:
    settings.RATES = {**settings.RATES, "spawning": "60/m burst 1"}
    settings.API_PACED_REQUESTS = 1
    slots = throttles._slots(1)
    assert ask(pipeline, b"https://free.example/").status_code == 200
    with slots:
        problem(ask(pipeline, b"https://free.example/"), 429, "throttled")
