"""Imports: what the rows become, what is refused and why, and that nothing is done twice."""

import hashlib
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from registry import storage
from registry.actor import Actor
from registry.loading import chunk, load, load_import
from registry.models import Claim, ClaimEvent, Import, ImportRejection, Selector, SnapshotRecord
from registry.services.claims import hold_claim, withdraw_claim
from registry.services.events import canonical_json
from registry.services.imports import retry_import, start_import
from tests.server.parties import claim_by, operator, person, platform, prove
from tests.server.working import wait_until, worker
from workers.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def big() -> Actor:
    return platform()


def row(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "selector": "url",
        "value": f"https://big.example.org/works/{number}.jpg",
        "decision": "deny",
        "uses": "ai-train",
        "owner": f"artist-{number % 3}",
        "ref": f"work-{number}",
        **changed,
    }


def sent(actor: Actor, rows: list[dict[str, Any]] | bytes, filename: str = "works.jsonl") -> Import:
    """An import that waits to be loaded."""
    content = rows if isinstance(rows, bytes) else b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return start_import(acting=actor, file=io.BytesIO(content), filename=filename)


def loaded(actor: Actor, rows: list[dict[str, Any]] | bytes, filename: str = "works.jsonl") -> Import:
    """An import that has been loaded here and now, by what the task calls."""
    source = sent(actor, rows, filename)
    load_import(str(source.public_id))
    source.refresh_from_db()
    return source


def counts(source: Import) -> tuple[int, int, int]:
    return source.rows_good, source.rows_unchanged, source.rows_bad


def refusals(source: Import) -> list[tuple[int, str]]:
    return list(
        ImportRejection.objects.filter(source_import=source).order_by("row").values_list("row", "code")
    )


def test_rows_become_claims_selectors_and_events(big: Actor) -> None:
    rows = [row(1), row(2), row(1, value="https://big.example.org/works/1-detail.jpg"), row(3, owner="")]
    source = loaded(big, rows)
    assert (source.state, counts(source), source.claims_created) == ("done", (4, 0, 0), 3)
    first = Claim.objects.get(ref="work-1")
    assert (first.speaker, first.decision_label, first.use_labels, first.grade) == (
        "big-gallery/artist-1",
        "deny",
        ["ai-train"],
        1,
    )
    assert set(first.selectors.values_list("value", flat=True)) == {
        "big.example.org/works/1.jpg",
        "big.example.org/works/1-detail.jpg",
    }
    assert Claim.objects.get(ref="work-3").grade == 0
    assert first.source_import == source
    event = ClaimEvent.objects.get(claim=first)
    assert (event.type, event.party, event.user, event.payload["selectors"]) == (
        "registered",
        big.party,
        big.user,
        2,
    )


def test_events_digest_their_payload_and_tell_nothing_personal(big: Actor) -> None:
    loaded(big, [row(1, title="Portrait of Eva")])
    event = ClaimEvent.objects.get()
    assert hashlib.sha256(canonical_json(event.payload)).digest() == bytes(event.digest)
    text = json.dumps(event.payload)
    assert not any(word in text for word in ("artist", "Eva", "big.example.org", "big-gallery"))


@pytest.mark.parametrize("with_refs", [True, False])
def test_sending_the_same_file_again_changes_nothing(big: Actor, with_refs: bool) -> None:
    rows = [row(number) for number in range(30)]
    if not with_refs:
        for one in rows:
            del one["ref"]
    first = loaded(big, rows)
    before = (Claim.objects.count(), Selector.objects.count(), ClaimEvent.objects.count())
    again = loaded(big, rows)
    assert (counts(first), counts(again)) == ((30, 0, 0), (0, 30, 0))
    assert before == (Claim.objects.count(), Selector.objects.count(), ClaimEvent.objects.count())


def test_a_changed_row_amends_its_claim(big: Actor) -> None:
    loaded(big, [row(1), row(2)])
    source = loaded(big, [row(1, decision="allow"), row(2)])
    assert (counts(source), source.claims_amended, source.claims_created) == ((1, 1, 0), 1, 0)
    assert Claim.objects.get(ref="work-1").decision_label == "allow"
    assert [event.type for event in ClaimEvent.objects.order_by("id")] == [
        "registered",
        "registered",
        "amended",
    ]


def test_another_title_or_other_terms_are_an_amendment(big: Actor) -> None:
    loaded(big, [row(1), row(2)])
    terms = {"decision": "deny", "terms_url": "https://big.example.org/terms"}
    for changed in ({"title": "Sea"}, {"title": "Sea", **terms}, {}):
        source = loaded(big, [row(1, **changed), row(2)])
        assert (counts(source), source.claims_amended) == ((1, 1, 0), 1)
        claim = Claim.objects.get(ref="work-1")
        assert (claim.title, claim.terms_url) == (changed.get("title", ""), changed.get("terms_url", ""))
        event = ClaimEvent.objects.latest("id")
        assert (event.type, event.payload["terms_sha256"] is not None) == ("amended", "terms_url" in changed)
        assert counts(loaded(big, [row(1, **changed), row(2)])) == (0, 2, 0)


@pytest.mark.parametrize("chunk_rows", [1, 50_000])
def test_of_differing_titles_the_first_counts_each_time(
    big: Actor, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr(load, "CHUNK_ROWS", chunk_rows)
    page = "https://big.example.org/works"
    rows = [row(1, title=f"Page {n}", terms_url=f"{page}/terms-{n}", value=f"{page}/{n}") for n in range(5)]
    loaded(big, [row(1)])
    for expected in ((5, 0, 0), (0, 5, 0)):
        source = loaded(big, rows)
        assert (counts(source), Claim.objects.count()) == (expected, 1)
        assert Claim.objects.get().title == "Page 0"
        assert Claim.objects.get().terms_url == f"{page}/terms-0"
    assert [event.type for event in ClaimEvent.objects.order_by("id")].count("amended") == 1


def test_a_new_selector_extends_its_claim(big: Actor) -> None:
    loaded(big, [row(1)])
    source = loaded(big, [row(1), row(1, selector="sha256", value="ab" * 32)])
    assert counts(source) == (1, 1, 0)
    event = ClaimEvent.objects.latest("id")
    assert (event.type, event.payload["selectors"]) == ("extended", 1)


def test_a_ref_registered_over_the_api_is_the_same_claim(big: Actor) -> None:
    claim = claim_by(big, "https://big.example.org/works/1.jpg", ref="work-1", owner="artist-1")
    source = loaded(big, [row(1)])
    assert (counts(source), Claim.objects.get()) == ((0, 1, 0), claim)


def test_bad_rows_are_counted_and_explained_and_the_good_ones_loaded(big: Actor) -> None:
    lines = [
        json.dumps(row(1)).encode(),
        b"{not json",
        json.dumps(row(2, value="javascript:alert(1)")).encode(),
        json.dumps(row(3, selector="domain", value="co.uk")).encode(),
        json.dumps(row(4, uses="everything")).encode(),
        json.dumps(row(5, owner="a/b")).encode(),
        json.dumps(row(6)).encode(),
    ]
    source = loaded(big, b"\n".join(lines))
    assert (source.state, counts(source), source.rows_done) == ("done", (2, 0, 5), 7)
    assert [number for number, _ in refusals(source)] == [2, 3, 4, 5, 6]
    with storage.open(source.rejections_key) as file:
        listed = [json.loads(line) for line in file]
    assert [one["row"] for one in listed] == [2, 3, 4, 5, 6]
    assert all(one["detail"] for one in listed)
    assert [key for key in storage.list_keys("imports") if "rejected/" in key] == []


def test_only_platforms_speak_for_others() -> None:
    anna = person()
    source = loaded(anna, [row(1), row(2, owner=""), row(3, owner="anna-ahl")])
    assert (counts(source), refusals(source)) == ((2, 0, 1), [(1, "not_a_platform")])


def test_rows_on_anothers_proven_domain_are_refused(big: Actor) -> None:
    anna = person()
    prove(anna, "anna.example.org")
    prove(big, "big.example.org")
    rows = [
        row(1, value="https://www.anna.example.org:8080/1.jpg"),
        row(2, selector="domain", value="shop.anna.example.org"),
        row(3),
        row(4, selector="name", value="Anna Ahl"),
    ]
    source = loaded(big, rows)
    assert refusals(source) == [(1, "domain_verified_by_other"), (2, "domain_verified_by_other")]
    assert dict(Claim.objects.values_list("ref", "grade")) == {"work-3": 2, "work-4": 1}


def test_rows_of_withdrawn_and_held_claims_are_refused(big: Actor) -> None:
    loaded(big, [row(1), row(2), row(3)])
    withdraw_claim(acting=big, claim=Claim.objects.get(ref="work-1"))
    hold_claim(operator=operator(), claim=Claim.objects.get(ref="work-2"))
    source = loaded(big, [row(1), row(2, decision="allow"), row(3)])
    assert (refusals(source), counts(source)) == ([(1, "withdrawn"), (2, "held")], (0, 1, 2))
    assert Claim.objects.get(ref="work-1").status == "withdrawn"
    assert Claim.objects.get(ref="work-2").decision_label == "deny"


def test_an_interrupted_load_goes_on_where_it_stopped(big: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "CHUNK_ROWS", 10)
    source = sent(
        big,
        [
            row(number, value="no url" if number % 50 == 7 else f"https://b.example.org/{number}")
            for number in range(200)
        ],
    )
    done = 0

    def breaks_after_some(source: Import, batch: Any) -> chunk.ChunkResult:
        nonlocal done
        done += 1
        if done == 3:
            raise OperationalError("the database went away")
        return chunk.load_chunk(source, batch)

    with monkeypatch.context() as patch:
        patch.setattr(load, "load_chunk", breaks_after_some)
        with pytest.raises(OperationalError):
            load_import(str(source.public_id))
    source.refresh_from_db()
    assert source.state == "running"
    assert 0 < source.rows_done < 200
    assert source.rows_good == Claim.objects.count()
    load_import(str(source.public_id))
    source.refresh_from_db()
    assert (source.state, counts(source), Claim.objects.count()) == ("done", (196, 0, 4), 196)
    with storage.open(source.rejections_key) as file:
        assert len(file.readlines()) == 4


def test_only_the_first_refusals_are_kept_in_the_table(big: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "STORED_REJECTIONS", 5)
    monkeypatch.setattr(load, "CHUNK_ROWS", 10)
    source = loaded(big, [row(number, value="javascript:x") for number in range(40)])
    assert (source.rows_bad, len(refusals(source))) == (40, 5)
    with storage.open(source.rejections_key) as file:
        assert len(file.readlines()) == 40


def test_a_finished_import_is_left_alone(big: Actor) -> None:
    source = loaded(big, [row(1)])
    assert not load_import(str(source.public_id))
    assert not load_import("00000000-0000-0000-0000-000000000000")


def test_a_failed_import_can_be_tried_again(big: Actor) -> None:
    source = sent(big, [row(1)])
    load.fail_import(str(source.public_id), "unavailable", "away")
    retry_import(source_import=source)
    load_import(str(source.public_id))
    source.refresh_from_db()
    assert (source.state, source.error, counts(source)) == ("done", "", (1, 0, 0))


def test_what_was_forgotten_is_sent_again(big: Actor) -> None:
    source = sent(big, [row(1)])
    app.control.purge()  # the broker lost the message
    with worker():
        app.send_task("workers.imports.sweep")
        app.send_task("workers.imports.sweep")
        Import.objects.update(created_at=timezone.now() - timedelta(minutes=2))
        app.send_task("workers.imports.sweep")
        wait_until(lambda: Import.objects.get().is_finished)
    source.refresh_from_db()
    assert (source.state, counts(source)) == ("done", (1, 0, 0))


def test_a_worker_loads_what_was_sent_and_builds_a_snapshot(big: Actor) -> None:
    with worker():
        source = sent(big, [row(number) for number in range(20)])
        wait_until(lambda: Import.objects.get().is_finished)
        wait_until(SnapshotRecord.objects.exists)
    source.refresh_from_db()
    assert (source.state, counts(source)) == ("done", (20, 0, 0))
    assert SnapshotRecord.objects.get().claims == 20
