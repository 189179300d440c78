"""What must hold is refused by the database itself, whoever writes."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from optout.words import SelectorKind
from registry.models import (
    ApiKey,
    Claim,
    ClaimEvent,
    DomainProof,
    IdempotencyRecord,
    Import,
    Party,
    Selector,
    SnapshotRecord,
    User,
)
from registry.models.claims import selector_digest
from tests.server.parties import claim_by, person, platform

pytestmark = pytest.mark.django_db


def a_key(**changed: Any) -> ApiKey:
    fields = {"name": "k", "prefix": "abcdefgh", "digest": bytes(32), "scopes": ["check"], **changed}
    return ApiKey.objects.create(party=Party.objects.get(handle="anna-ahl"), **fields)


def a_claim(**changed: Any) -> Claim:
    fields = {"decision": 3, "uses": 2, **changed}
    return Claim.objects.create(party=Party.objects.get(handle="anna-ahl"), **fields)


def a_selector(**changed: Any) -> Selector:
    fields = {"kind": 10, "digest": uuid.uuid4(), "value": "x.example/a", **changed}
    return Selector.objects.create(claim=Claim.objects.earliest("id"), **fields)


def an_import(**changed: Any) -> Import:
    fields = {"filename": "a.csv", "format": "csv", "object_key": "k", "sha256": "0" * 64, "size_bytes": 1}
    return Import.objects.create(party=Party.objects.get(handle="anna-ahl"), **{**fields, **changed})


def a_party(**changed: Any) -> Party:
    return Party.objects.create(**{"kind": "person", "handle": "x", "display_name": "X", **changed})


def a_proof(**changed: Any) -> DomainProof:
    fields = {"party": Party.objects.get(handle="anna-ahl"), "domain": "example.org", **changed}
    return DomainProof.objects.create(**fields)


def a_snapshot(**changed: Any) -> SnapshotRecord:
    fields = {
        "digest": "0" * 64,
        "checkpoint": 1,
        "claims": 0,
        "selectors": 0,
        "size_bytes": 0,
        "seconds": 0.1,
    }
    return SnapshotRecord.objects.create(
        **{**fields, "directory": "d", "object_prefix": "p", "manifest": {}, **changed}
    )


def a_record(**changed: Any) -> IdempotencyRecord:
    fields = {"party": Party.objects.get(handle="anna-ahl"), "key": "k", "request_digest": bytes(32)}
    return IdempotencyRecord.objects.create(**{**fields, **changed})


def a_user(**changed: Any) -> User:
    return User.objects.create(**{"email": "x@example.org", **changed})


NOW = timezone.now()
REFUSED: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
    ("user_email_lower_case", a_user, {"email": "X@example.org"}),
    ("user_email_not_empty", a_user, {"email": ""}),
    ("party_kind_known", a_party, {"kind": "robot"}),
    ("party_handle_format", a_party, {"handle": "Anna"}),
    ("party_handle_format", a_party, {"handle": "-anna"}),
    ("party_handle_format", a_party, {"handle": "anna/eva"}),
    ("party_handle_format", a_party, {"handle": "anna\n"}),
    ("party_display_name_not_empty", a_party, {"display_name": ""}),
    ("apikey_prefix_format", a_key, {"prefix": "ABCDEFGH"}),
    ("apikey_prefix_format", a_key, {"prefix": "abc"}),
    ("apikey_digest_length", a_key, {"digest": bytes(31)}),
    ("apikey_name_not_empty", a_key, {"name": ""}),
    ("apikey_scopes_known", a_key, {"scopes": ["everything"]}),
    ("apikey_scopes_known", a_key, {"scopes": []}),
    ("claim_decision_known", a_claim, {"decision": 0}),
    ("claim_decision_known", a_claim, {"decision": 4}),
    ("claim_uses_known", a_claim, {"uses": 0}),
    ("claim_uses_known", a_claim, {"uses": 32}),
    ("claim_grade_known", a_claim, {"grade": 5}),
    ("claim_status_known", a_claim, {"status": "gone"}),
    ("claim_withdrawn_iff_withdrawn_at", a_claim, {"status": "withdrawn"}),
    ("claim_withdrawn_iff_withdrawn_at", a_claim, {"withdrawn_at": NOW}),
    ("claim_terms_need_terms_url", a_claim, {"decision": 2}),
    ("claim_terms_url_format", a_claim, {"terms_url": "javascript:alert(1)"}),
    ("claim_terms_url_format", a_claim, {"terms_url": "https://a.example/ b"}),
    ("claim_owner_format", a_claim, {"owner": "a/b"}),
    ("claim_owner_format", a_claim, {"owner": "a\tb"}),
    ("claim_ref_format", a_claim, {"ref": "a\nb"}),
    ("claim_title_format", a_claim, {"title": "a\x7fb"}),
    ("claim_ref_or_content_key", a_claim, {"ref": "a", "content_key": uuid.uuid4()}),
    ("selector_kind_known", a_selector, {"kind": 99}),
    ("selector_value_length", a_selector, {"value": ""}),
    ("selector_value_length", a_selector, {"value": "x" * 32_769}),
    ("import_state_known", an_import, {"state": "odd"}),
    ("import_format_known", an_import, {"format": "xml"}),
    ("import_sha256_format", an_import, {"sha256": "Z" * 64}),
    ("import_size_not_negative", an_import, {"size_bytes": -1}),
    ("import_rows_add_up", an_import, {"rows_done": 2, "rows_good": 1}),
    ("import_rows_not_negative", an_import, {"rows_good": 1, "rows_bad": -1}),
    ("import_finished_iff_finished_at", an_import, {"state": "done"}),
    ("import_finished_iff_finished_at", an_import, {"finished_at": NOW}),
    ("import_error_only_when_failed", an_import, {"error": "odd"}),
    ("domainproof_domain_format", a_proof, {"domain": "Example.org"}),
    ("domainproof_domain_format", a_proof, {"domain": "org"}),
    ("snapshot_state_known", a_snapshot, {"state": "odd"}),
    ("snapshot_digest_format", a_snapshot, {"digest": "0"}),
    ("snapshot_checkpoint_not_negative", a_snapshot, {"checkpoint": -1}),
    ("idempotency_state_known", a_record, {"state": "odd"}),
    ("idempotency_digest_length", a_record, {"request_digest": b""}),
    ("idempotency_done_iff_response", a_record, {"state": "done"}),
]


@pytest.mark.parametrize(("constraint", "make", "fields"), REFUSED)
def test_check_constraint_refuses(constraint: str, make: Callable[..., Any], fields: dict[str, Any]) -> None:
    claim_by(person())
    make()  # the same without the bad value is accepted
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make(**{**_different(make), **fields})


def _different(make: Callable[..., Any]) -> dict[str, Any]:
    """Values that keep a second row from meeting a uniqueness constraint first."""
    return {
        a_user: {"email": "y@example.org"},
        a_party: {"handle": "y"},
        a_key: {"prefix": "bcdefghi"},
        a_proof: {"domain": "example.com"},
        a_record: {"key": "l"},
    }.get(make, {})


def test_unique_constraints_refuse() -> None:
    anna, big = person(), platform()
    claim_by(anna, ref="1")
    claim_by(big, ref="1", owner="eva")
    claim_by(big, ref="1", owner="ida")
    made: dict[str, Callable[[], Any]] = {
        "claim_party_owner_ref_unique": lambda: a_claim(ref="1"),
        "domainproof_party_domain_unique": lambda: [a_proof(), a_proof()],
        "domainproof_verified_once": lambda: [
            a_proof(domain="example.com", verified_at=NOW),
            a_proof(domain="example.com", verified_at=NOW, party=big.party),
        ],
        "idempotency_party_key_unique": lambda: [a_record(), a_record()],
    }
    for name, make in made.items():
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            make()


def test_content_key_is_unique_for_a_party_only() -> None:
    anna, big = person(), platform()
    key = uuid.uuid4()
    Claim.objects.create(party=anna.party, decision=3, uses=1, content_key=key)
    Claim.objects.create(party=big.party, decision=3, uses=1, content_key=key)
    with pytest.raises(IntegrityError, match="claim_party_content_key_unique"):
        Claim.objects.create(party=anna.party, decision=3, uses=1, content_key=key)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE registry_claimevent SET type = 'held'",
        "DELETE FROM registry_claimevent",
        "TRUNCATE registry_claimevent",
        "DELETE FROM registry_claim",
        "TRUNCATE registry_claim CASCADE",
        "UPDATE registry_selector SET value = 'x.example'",
        "TRUNCATE registry_selector",
    ],
)
def test_history_cannot_be_rewritten(statement: str) -> None:
    claim_by(person())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else TRUNCATE stumbles over checks still to come
        with pytest.raises(IntegrityError, match="is refused"), transaction.atomic():
            cursor.execute(statement)
    assert ClaimEvent.objects.count() == Claim.objects.count() == 1


def test_selector_needs_an_existing_claim() -> None:
    with (
        pytest.raises(IntegrityError, match="registry_selector of claim 77, which does not exist"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("INSERT INTO registry_selector VALUES (77, 10, gen_random_uuid(), 'x.example')")


def test_selector_table_has_one_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'registry_selector'")
        assert [row[0].partition(" USING ")[2] for row in cursor.fetchall()] == [
            "btree (claim_id, kind, digest)"
        ]


def test_every_kind_of_selector_has_room() -> None:
    claim = claim_by(person())
    pairs = [(kind, "aa" * 48) for kind in SelectorKind]
    Selector.objects.bulk_create(Selector.of(claim, pairs))
    assert set(claim.selectors.values_list("kind", flat=True)) == {int(kind) for kind in SelectorKind}


def test_selectors_of_one_claim_are_told_apart_and_sorted() -> None:
    claim = claim_by(person())
    made = Selector.of(
        claim, [(SelectorKind.NAME, "b"), (SelectorKind.URL, "a.example/"), (SelectorKind.NAME, "b")]
    )
    assert [(selector.kind, selector.value) for selector in made] == [(10, "a.example/"), (13, "b")]
    assert made[0].digest == selector_digest("a.example/")


def test_query_sets_keep_parties_apart() -> None:
    anna, big = person(), platform()
    first, second = claim_by(anna, ref="1"), claim_by(anna, ref="2")
    claim_by(big)
    assert list(Claim.objects.for_party(anna.party).newest_first()) == [second, first]


def test_held_denials_speak_and_other_held_claims_do_not() -> None:
    anna = person()
    denies, allows, gone = claim_by(anna), claim_by(anna, decision=1), claim_by(anna)
    Claim.objects.filter(pk__in=[denies.pk, allows.pk]).update(status="held")
    Claim.objects.filter(pk=gone.pk).update(status="withdrawn", withdrawn_at=NOW - timedelta(days=1))
    assert list(Claim.objects.speaking()) == [denies]
    assert not Claim.objects.active().exists()
