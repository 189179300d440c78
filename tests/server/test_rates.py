"""How often one may ask: rates in Valkey, whose turns are counted, and pages that were asked too often."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.test import Client, RequestFactory
from pytest_django import Settings

from registry import live, rates
from tests.server.pictures import jpeg, named
from tests.server.portal import text_of

pytestmark = pytest.mark.django_db
PAGE = "/lookup/?url=https://gallery.example/1.jpg"
PICTURES = "/lookup/picture/"


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    live.reset()
    yield
    live.reset()


def send(client: Client, **headers: str) -> Any:
    return client.post(PICTURES, {"picture": named(jpeg(), "found.jpg")}, headers=headers)


def test_who_looks_up_too_fast_is_asked_to_wait_and_need_not_write_again(settings: Settings) -> None:
    settings.RATES = {**settings.RATES, "lookup": "2/m burst 2"}
    assert [Client().get(PAGE).status_code for _ in range(2)] == [200, 200]
    response = Client().get(PAGE)
    assert response.status_code == 429
    assert 25 <= int(response["Retry-After"]) <= 30
    text = text_of(response)
    assert "That was a lot in a short while." in text
    assert f"Ask again in {response['Retry-After']} seconds." in text
    assert "Nobody has reserved this." not in text
    assert b'value="https://gallery.example/1.jpg"' in response.content
    assert Client().get("/lookup/").status_code == 200


def test_pictures_are_counted_apart(settings: Settings) -> None:
    settings.RATES = {**settings.RATES, "lookup": "1/m burst 1", "lookup-picture": "1/m burst 1"}
    assert [send(Client()).status_code for _ in range(2)] == [200, 429]
    response = send(Client())
    assert 50 <= int(response["Retry-After"]) <= 60
    assert f"Ask again in {response['Retry-After']} seconds." in text_of(response)
    assert Client().get(PAGE).status_code == 200
    assert Client().get(PICTURES).status_code == 200


def test_without_valkey_everybody_may_look_up(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.RATES = {**settings.RATES, "lookup": "1/m burst 1"}
    assert [Client().get(PAGE).status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize(
    ("proxies", "direct", "forwarded", "counted"),
    [
        (0, "192.0.2.1", "", "192.0.2.1"),
        (0, "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        (1, "192.0.2.1", "203.0.113.9", "203.0.113.9"),
        (1, "192.0.2.1", "", "192.0.2.1"),
        (1, "192.0.2.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        (2, "192.0.2.1", "6.6.6.6, 198.51.100.7, 203.0.113.9", "198.51.100.7"),
        (2, "192.0.2.1", "203.0.113.9", "203.0.113.9"),
        (0, "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        (0, "::ffff:192.0.2.1", "", "192.0.2.1"),
        (1, "192.0.2.1", " , 2001:db8:1:2::1 ,", "2001:db8:1:2::/64"),
        (1, "192.0.2.1", "unknown", "unknown"),
        (0, "", "", ""),
    ],
)
def test_whose_turns_are_counted(
    settings: Settings, proxies: int, direct: str, forwarded: str, counted: str
) -> None:
    settings.NUM_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory(REMOTE_ADDR=direct).get("/", headers=headers)
    assert rates.client_address(request) == counted


def test_a_forged_address_does_not_help(settings: Settings) -> None:
    settings.RATES = {**settings.RATES, "lookup-picture": "1/m burst 1"}
    forged = [f"203.0.113.{n}" for n in range(3)]
    statuses = [send(Client(), **{"X-Forwarded-For": one}).status_code for one in forged]
    assert statuses == [200, 429, 429]
    settings.NUM_PROXIES = 1
    assert [send(Client(), **{"X-Forwarded-For": one}).status_code for one in forged] == [200, 200, 200]


def test_rates_hold_when_valkey_is_back(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RATES = {**settings.RATES, "key": "60/m burst 1"}
    monkeypatch.setattr(rates, "_RETRY_VALKEY_AFTER", 0.0)
    valkey = rates._valkey(settings.REDIS_URL)

    def away(**_: Any) -> None:
        raise redis.ConnectionError("gone")

    with monkeypatch.context() as gone:
        gone.setattr(valkey, "_script", away)
        assert [rates.take("key", "somebody") for _ in range(3)] == [0, 0, 0]
    assert rates.take("key", "somebody") == 0
    assert rates.take("key", "somebody") > 0


@pytest.mark.parametrize("text", ["", "60/m", "60 burst 1", "0/m burst 1", "1/m burst 0", "1/w burst 1"])
def test_a_rate_in_another_form_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="a rate is written like"):
        rates.Rate.parse(text)


def test_the_log_does_not_believe_a_forged_address(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "django_structlog"):
        for settings.NUM_PROXIES in (0, 1):
            Client().get("/healthz", headers={"X-Forwarded-For": "198.51.100.7, 203.0.113.9"})
    said: list[Any] = [record.msg for record in caplog.records if record.name.startswith("django_structlog")]
    assert [line["ip"] for line in said] == ["127.0.0.1", "203.0.113.9"]
