"""Two at once, on two connections to a real PostgreSQL."""

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction

from registry.actor import Actor
from registry.errors import Conflict, RegistryError
from registry.loading import load_import
from registry.models import Claim, ClaimEvent, Party
from registry.services.claims import withdraw_claim
from registry.services.domains import start_proof, verify_proof
from registry.services.events import lock_events
from registry.services.parties import create_party
from registry.services.snapshots import build_current
from tests.server.parties import claim_by, operator, person, platform
from tests.server.test_imports import loaded, row, sent

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls in threads that start together; what each returned or raised."""
    gate = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            gate.wait(10)
            results[place] = call()
        except RegistryError as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_two_withdrawals_are_one_event() -> None:
    anna = person()
    for number in range(5):
        claim = claim_by(anna, ref=str(number))
        first, second = at_once(*[lambda claim=claim: withdraw_claim(acting=anna, claim=claim)] * 2)
        assert first.withdrawn_at == second.withdrawn_at
        assert claim.events.filter(type="withdrawn").count() == 1


def test_one_ref_registered_twice_is_one_claim() -> None:
    anna = person()
    for number in range(5):
        results = at_once(*[lambda number=number: claim_by(anna, ref=str(number))] * 2)
        refused = [result for result in results if isinstance(result, Conflict)]
        assert [error.code for error in refused] == ["ref_exists"]
    assert Claim.objects.count() == ClaimEvent.objects.count() == 5


def test_event_ids_are_in_order_of_commit() -> None:
    """Who draws an id first commits first: a reader that has seen one id never meets a smaller one later."""
    anna = person()
    seen: list[list[int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(list(ClaimEvent.objects.order_by("id").values_list("id", flat=True)))

    def write(first: int) -> None:
        for number in range(first, first + 10):
            claim_by(anna, ref=str(number))
        if first == 300:
            done.set()

    at_once(watch, *[lambda first=first: write(first) for first in (0, 100, 200)], lambda: write(300))
    for before, after in pairwise(seen):
        assert after[: len(before)] == before


def test_waiting_too_long_for_the_turn_is_a_conflict() -> None:
    anna, claimed = person(), threading.Event()
    release = threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock_events()
            claimed.set()
            release.wait(30)

    def wait() -> Claim:
        claimed.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        try:
            return claim_by(anna)
        finally:
            release.set()

    _, result = at_once(hold, wait)
    assert isinstance(result, Conflict)
    assert (result.code, result.retry_after) == ("busy", 1)
    assert not Claim.objects.exists()


def test_one_domain_verified_twice_belongs_to_one() -> None:
    boss = operator()
    proofs = [start_proof(party=who.party, domain="example.org") for who in (person(), platform())]
    results = at_once(*[lambda proof=proof: verify_proof(operator=boss, proof=proof) for proof in proofs])
    assert sum(isinstance(result, Conflict) for result in results) == 1


def test_one_name_taken_twice_gives_two_handles() -> None:
    results = at_once(*[lambda: create_party(None, "person", "Eva Ek")] * 3)
    assert {party.handle for party in results} == {"eva-ek", "eva-ek-2", "eva-ek-3"}


def test_one_import_loaded_by_two_workers_is_loaded_once() -> None:
    big = platform()
    source = sent(big, [row(number) for number in range(500)])
    finished = at_once(*[lambda: load_import(str(source.public_id))] * 2)
    assert sorted(finished) in ([False, True], [False, False])
    load_import(str(source.public_id))
    source.refresh_from_db()
    assert (source.state, source.rows_good, Claim.objects.count()) == ("done", 500, 500)


def test_an_import_and_the_api_with_the_same_refs() -> None:
    big = platform()
    rows = [row(number, owner="eva") for number in range(200)]

    def register() -> int:
        made = 0
        for number in range(0, 200, 10):
            try:
                claim_by(Actor(Party.objects.get(), user=big.user), ref=f"work-{number}", owner="eva")
                made += 1
            except Conflict:
                pass
        return made

    source, made = at_once(lambda: loaded(big, rows), register)
    assert Claim.objects.count() == 200
    assert source.claims_created + made == 200


def test_only_one_builds() -> None:
    claim_by(person())
    results = at_once(*[build_current] * 3)
    assert sum(result is not None for result in results) == 1
