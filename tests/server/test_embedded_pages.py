"""The small pages of the service itself: mail, metrics, health."""

import pytest
from django.core.mail import EmailMessage, get_connection
from django.db import connection
from django.test import Client, override_settings
from pytest_django import Settings

from config.mailbox import SHOWN, read_mails

FOLDER_BACKEND = "config.mailbox.FolderBackend"


def _send(subject: str) -> None:
    mail = EmailMessage(subject, "Your code is <b>ABC123</b>.", to=["ada@example.org"])
    mail.connection = get_connection(FOLDER_BACKEND)
    mail.send()


def test_mail_is_shown_newest_first_and_escaped(client: Client) -> None:
    _send("First")
    _send("Zwölf Dinge")
    page = client.get("/mail/").content.decode()
    assert page.index("Zwölf Dinge") < page.index("First")
    assert "ada@example.org" in page
    assert "&lt;b&gt;ABC123&lt;/b&gt;" in page


def test_only_the_newest_mails_are_read() -> None:
    for number in range(SHOWN + 3):
        _send(str(number))
    mails = read_mails()
    assert len(mails) == SHOWN
    assert mails[0].subject == str(SHOWN + 2)


def test_the_mail_page_is_not_for_other_machines(client: Client) -> None:
    assert client.get("/mail/", REMOTE_ADDR="192.0.2.7").status_code == 404
    assert client.get("/mail/", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404
    assert client.get("/mail/", REMOTE_ADDR="::1").status_code == 200
    assert client.post("/mail/").status_code == 405


def test_metrics_are_for_this_machine_or_for_the_token(client: Client, settings: Settings) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    settings.OPTOUT_METRICS_TOKEN = "right"
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    answer = client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers={"Authorization": "Bearer right"})
    assert answer.status_code == 200
    assert b"django_http_requests_total" in answer.content


def test_alive_needs_nothing(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}


@pytest.mark.django_db
def test_ready_asks_database_and_valkey(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "valkey": "ok"})


@pytest.mark.django_db(transaction=True)
def test_not_ready_names_what_is_away(client: Client) -> None:
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = 1
    backend = "django.core.cache.backends.redis.RedisCache"
    nowhere = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1/0"}}
    try:
        with override_settings(CACHES=nowhere):
            answer = client.get("/readyz")
    finally:
        connection.settings_dict["PORT"] = port
    assert (answer.status_code, answer.json()) == (503, {"database": "away", "valkey": "away"})


def test_every_page_is_under_a_strict_policy(client: Client) -> None:
    policy = client.get("/mail/")["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
