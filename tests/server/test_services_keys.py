"""Keys: what they open, and how soon they stop."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis.exceptions import ConnectionError as ValkeyAway

from registry.actor import Actor
from registry.errors import InvalidInput, NotFound, Unauthenticated, Unavailable
from registry.models import ApiKey
from registry.services import key_cache
from registry.services.keys import authenticate, create_key, revoke_key
from tests.server.parties import person, platform
from tests.server.working import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(key_cache, "_valkey_back_at", 0.0)
    yield
    wait_until(lambda: key_cache._writer is None or not key_cache._writer.is_alive(), 5)


@pytest.fixture
def anna() -> Actor:
    return person()


def refused(secret: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        authenticate(secret)
    return caught.value.code


def test_a_key_opens_what_its_scopes_say(anna: Actor) -> None:
    key, secret = create_key(acting=anna, name=" laptop ", scopes=["check", "claims:read", "check"])
    actor = authenticate(secret, request_id="r-9")
    assert secret.startswith(f"opt_{key.prefix}_")
    assert (actor.party, actor.key, actor.request_id, actor.application) == (anna.party, key, "r-9", "api")
    assert actor.may("check")
    assert not actor.may("claims:write")
    assert (key.name, key.scopes, key.created_by) == ("laptop", ["check", "claims:read"], anna.user)


def test_the_secret_is_kept_nowhere(anna: Actor) -> None:
    key, secret = create_key(acting=anna, name="k", scopes=["check"])
    authenticate(secret)
    stored = str(ApiKey.objects.filter(pk=key.pk).values()) + str(cache.get(f"key:{key.prefix}"))
    assert secret not in stored
    assert secret.split("_", 2)[2] not in stored


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: secret[:-1],
        lambda secret: secret + "x",
        lambda secret: "opt_aaaaaaaa_" + secret.split("_", 2)[2],
        lambda secret: secret.replace("opt_", "opq_"),
        lambda _: "",
        lambda _: "opt_",
        lambda _: "opt_ä\ud800_x",
        lambda _: "x" * 100_000,
    ],
)
def test_a_wrong_secret_opens_nothing(anna: Actor, change: Callable[[str], str]) -> None:
    _, secret = create_key(acting=anna, name="k", scopes=["check"])
    assert refused(change(secret)) == "unknown_key"


def test_a_revoked_key_stops_everywhere(anna: Actor) -> None:
    key, secret = create_key(acting=anna, name="k", scopes=["check"])
    authenticate(secret)
    revoke_key(acting=anna, key=key)
    assert refused(secret) == "revoked_key"
    first = revoke_key(acting=anna, key=key).revoked_at
    assert first == ApiKey.objects.get().revoked_at is not None


def test_a_process_that_read_the_key_before_cannot_bring_it_back(anna: Actor) -> None:
    key, secret = create_key(acting=anna, name="k", scopes=["check"])
    read_before = ApiKey.objects.select_related("party").get()
    revoke_key(acting=anna, key=key)
    cache.add(f"key:{key.prefix}", key_cache._packed(read_before), 60)
    key_cache.clear_local()
    assert refused(secret) == "revoked_key"


def test_an_expired_key_stops_even_when_it_is_cached(anna: Actor) -> None:
    soon = timezone.now() + timedelta(seconds=0.5)
    _, secret = create_key(acting=anna, name="k", scopes=["check"], expires_at=soon)
    authenticate(secret)
    key_cache.clear_local()
    authenticate(secret)
    time.sleep(0.6)
    assert refused(secret) == "expired_key"
    key_cache.clear_local()
    assert refused(secret) == "expired_key"


def test_another_partys_key_cannot_be_revoked(anna: Actor) -> None:
    key, secret = create_key(acting=anna, name="k", scopes=["check"])
    with pytest.raises(NotFound):
        revoke_key(acting=platform(), key=key)
    authenticate(secret)


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 101}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["check", "everything"]}),
        ("expires_at", {"expires_at": timezone.now() - timedelta(seconds=1)}),
    ],
)
def test_bad_values_are_named(anna: Actor, field: str, changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        create_key(acting=anna, **{"name": "k", "scopes": ["check"], **changed})
    assert list(caught.value.fields) == [field]


def test_a_known_key_needs_no_database(anna: Actor) -> None:
    _, secret = create_key(acting=anna, name="k", scopes=["check"])
    authenticate(secret)
    for forgotten in (False, True):
        if forgotten:
            key_cache.clear_local()
        with CaptureQueriesContext(connection) as queries:
            authenticate(secret)
        assert len(queries) == 0


def test_without_valkey_the_database_is_asked(anna: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = create_key(acting=anna, name="k", scopes=["check"])
    asked: list[str] = []

    def away(name: str, *_: Any) -> None:
        asked.append(name)
        raise ValkeyAway("refused")

    for method in ("get", "add", "set"):
        monkeypatch.setattr(cache, method, away)
    assert authenticate(secret).party == anna.party
    assert refused("opt_aaaaaaaa_x") == "unknown_key"
    assert len(asked) == 1, "Valkey that is away is left alone for a moment"


def test_without_both_nobody_gets_in(anna: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = create_key(acting=anna, name="k", scopes=["check"])

    def away(*_: Any, **__: Any) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(ApiKey.objects, "select_related", away)
    with pytest.raises(Unavailable) as caught:
        authenticate(secret)
    assert (caught.value.status, caught.value.retry_after) == (503, 5)


def test_use_is_noted_once_a_minute(anna: Actor) -> None:
    key, secret = create_key(acting=anna, name="k", scopes=["check"])
    authenticate(secret)
    wait_until(lambda: ApiKey.objects.get().last_used_at is not None, 5)
    first = ApiKey.objects.get().last_used_at
    for _ in range(3):
        key_cache.clear_local()
        authenticate(secret)
    wait_until(lambda: key_cache._uses.empty(), 5)
    wait_until(lambda: not key_cache._writer or not key_cache._writer.is_alive(), 5)
    assert ApiKey.objects.get(pk=key.pk).last_used_at == first
