"""The OpenAPI description: committed as it is, true to what the server does, shown without the internet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.formats import ARROW
from config.wsgi import application
from tests.server.api_support import Caller, caller, quiet_keys

__all__ = ["quiet_keys"]

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.yaml"
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@schemathesis.serializer(ARROW)
def arrow_bytes(context: object, value: Any) -> bytes:
    """Whatever was generated for a binary body, as it is."""
    return value if isinstance(value, bytes) else str(value).encode()


def closing_application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The server, and what every real one does at the end: close the answer, and with it uploaded files."""
    answer = application(environ, start_response)
    try:
        return [b"".join(answer)]
    finally:
        answer.close()


schema = schemathesis.openapi.from_path(str(COMMITTED))
schema.app = closing_application


def test_the_committed_description_is_the_one_of_the_code(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(made))
    assert made.read_text() == COMMITTED.read_text(), "run `make openapi`"


@pytest.mark.django_db
def test_the_server_shows_the_same_description() -> None:
    answer = Caller().get("openapi.json")
    assert answer.status_code == 200
    assert answer.json()["paths"].keys() == yaml.safe_load(COMMITTED.read_text())["paths"].keys()
    assert answer.json()["openapi"].startswith("3.1")


def test_every_operation_says_what_it_needs() -> None:
    for path, item in yaml.safe_load(COMMITTED.read_text())["paths"].items():
        for operation in item.values():
            assert {"401", "403", "429"} <= operation["responses"].keys(), path
            assert operation["summary"]
            assert len(operation["tags"]) == 1


@pytest.fixture
def key(db: None) -> Iterator[str]:
    """A key with every scope. The server keeps the test's connection, as with Django's own test client."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield caller().secret
    for signal in signals:
        signal.connect(close_old_connections)


@schema.parametrize()
@hypothesis_settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case: Any, key: str) -> None:
    # Headers are invented too, and a wrong host is answered before any operation is: see the next test.
    response = case.call(headers={"Authorization": f"Bearer {key}", "Host": "testserver"})
    case.validate_response(response, checks=CHECKS)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "host", ["", "evil.example", "testserver.evil.example", "testserver:x", "[::1", "\xff"]
)
def test_another_host_is_refused_before_anything_is_done(host: str) -> None:
    for path in ("/api/v1/check", "/api/v1/openapi.json", "/api/v2/query/urls/", "/"):
        answer = Caller().client.get(path, headers={"Host": host})
        assert answer.status_code == 400, path


@pytest.mark.django_db
def test_the_page_for_people_needs_nobody_else(settings: Settings) -> None:
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {"staticfiles": {"BACKEND": plain}}
    answer = Caller().client.get("/api/docs/")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "http://" not in page
    assert "https://" not in page
    assert "<style" not in page
    assert "<script>" not in page
    assert 'data-schema="/api/v1/openapi.json"' in page
