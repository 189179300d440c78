"""Registering, withdrawing and moderating claims through the services."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from optout.words import Decision, SelectorKind, Use
from registry.access import access_claim
from registry.actor import Actor
from registry.errors import Conflict, Forbidden, InvalidInput, NotFound
from registry.models import Claim, ClaimEvent, Membership, Party, Selector, User
from registry.services.claims import (
    MOST_SELECTORS,
    hold_claim,
    register_claim,
    release_claim,
    withdraw_as_operator,
    withdraw_claim,
)
from registry.services.events import canonical_json
from registry.services.keys import create_key
from registry.services.parties import create_party
from tests.server.parties import PAGE, claim_by, operator, person, platform, prove

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Actor:
    return person()


@pytest.fixture
def big() -> Actor:
    return platform()


def test_registering_records_claim_selectors_and_event(anna: Actor) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    claim = register_claim(
        acting=anna,
        decision=Decision.TERMS,
        uses=Use.TDM | Use.SEARCH,
        selectors=[
            (SelectorKind.URL, "HTTP://www.Gallery.example.org:80/a/../works/1.jpg#top"),
            (SelectorKind.DOMAIN, "Gallery.example.org."),
            (SelectorKind.NAME, "Anna ÅHL"),
            (SelectorKind.SHA256, "AB" * 32),
            (SelectorKind.URL, "https://gallery.example.org/works/1.jpg"),
        ],
        ref="A-1",
        valid_from=since,
        terms_url="https://gallery.example.org/terms",
        title="Works",
    )
    stored = Claim.objects.get()
    assert stored == claim
    assert (stored.use_labels, stored.decision_label, stored.valid_from) == (
        ["tdm", "search"],
        "terms",
        since,
    )
    assert set(stored.selectors.values_list("kind", "value")) == {
        (10, "gallery.example.org/works/1.jpg"),
        (12, "gallery.example.org"),
        (13, "anna ahl"),
        (1, "ab" * 32),
    }
    event = ClaimEvent.objects.get()
    assert (event.claim, event.type, event.party, event.user, event.application, event.request_id) == (
        claim,
        "registered",
        anna.party,
        anna.user,
        "portal",
        "r-1",
    )
    assert event.payload["selectors"] == 4
    assert bytes(event.digest) == hashlib.sha256(canonical_json(event.payload)).digest()


BAD: list[tuple[str, dict[str, Any]]] = [
    ("selectors", {"selectors": []}),
    ("selectors", {"selectors": [(SelectorKind.URL, PAGE)] * (MOST_SELECTORS + 1)}),
    ("selectors.1", {"selectors": [(SelectorKind.URL, PAGE), (SelectorKind.DOMAIN, "co.uk")]}),
    ("selectors.0", {"selectors": [(SelectorKind.DOMAIN, "*")]}),
    ("selectors.0", {"selectors": [(SelectorKind.DOMAIN, "github.io")]}),
    ("selectors.0", {"selectors": [(SelectorKind.URL, "javascript:alert(1)")]}),
    ("selectors.0", {"selectors": [(SelectorKind.SHA256, "xyz")]}),
    ("selectors.0", {"selectors": [(SelectorKind.PDQ, "00" * 32)]}),
    ("selectors.0", {"selectors": [(99, "x")]}),
    ("decision", {"decision": 7}),
    ("uses", {"uses": 0}),
    ("uses", {"uses": 64}),
    ("owner", {"owner": "a/b"}),
    ("ref", {"ref": "a\nb"}),
    ("ref", {"ref": "x" * 201}),
    ("title", {"title": "\0"}),
    ("terms_url", {"decision": Decision.TERMS}),
    ("terms_url", {"terms_url": "ftp://x.example/"}),
    ("terms_url", {"terms_url": "https://[x"}),
    ("valid_from", {"valid_from": datetime(2026, 1, 1)}),
]


@pytest.mark.parametrize(("field", "changed"), BAD)
def test_bad_values_are_named_and_nothing_is_kept(anna: Actor, field: str, changed: dict[str, Any]) -> None:
    fields = {"decision": Decision.DENY, "uses": Use.TDM, "selectors": [(SelectorKind.URL, PAGE)], **changed}
    with pytest.raises(InvalidInput) as caught:
        register_claim(acting=anna, **fields)
    assert list(caught.value.fields) == [field]
    assert caught.value.fields[field][0]
    assert not Claim.objects.exists()
    assert not ClaimEvent.objects.exists()


def test_a_ref_is_used_once_for_each_owner(big: Actor) -> None:
    claim_by(big, ref="1")
    claim_by(big, ref="1", owner="eva")
    with pytest.raises(Conflict) as caught:
        claim_by(big, ref="1", owner="eva")
    assert caught.value.code == "ref_exists"
    withdraw_claim(acting=big, claim=Claim.objects.get(owner="eva"))
    with pytest.raises(Conflict):
        claim_by(big, ref="1", owner="eva")
    assert Claim.objects.count() == ClaimEvent.objects.filter(type="registered").count() == 2


def test_only_platforms_speak_for_others(anna: Actor, big: Actor) -> None:
    with pytest.raises(Forbidden) as caught:
        claim_by(anna, owner="eva")
    assert caught.value.code == "not_a_platform"
    assert claim_by(anna, owner="anna-ahl").speaker == "anna-ahl"
    claim = claim_by(big, owner="eva")
    assert (claim.speaker, claim.grade) == ("big-gallery/eva", 1)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SelectorKind.DOMAIN, "gallery.example.org"),
        (SelectorKind.DOMAIN, "shop.gallery.example.org"),
        (SelectorKind.PREFIX, "https://gallery.example.org/works"),
        (SelectorKind.URL, "https://www.gallery.example.org:8443/works/1.jpg"),
    ],
)
def test_anothers_proven_domain_is_refused(anna: Actor, big: Actor, kind: SelectorKind, value: str) -> None:
    before = claim_by(big, value, kind=kind)
    prove(anna, "gallery.example.org")
    with pytest.raises(Conflict) as caught:
        claim_by(big, value, kind=kind)
    assert caught.value.code == "domain_verified_by_other"
    assert list(caught.value.fields) == ["selectors.0"]
    assert claim_by(anna, value, kind=kind).grade == 2
    assert before.grade == 0


def test_domains_beside_and_below_are_free(anna: Actor, big: Actor) -> None:
    prove(anna, "gallery.example.org")
    claim_by(big, "example.org", kind=SelectorKind.DOMAIN)
    claim_by(big, "notgallery.example.org", kind=SelectorKind.DOMAIN)
    prove(big, "shop.gallery.example.org")
    assert claim_by(big, "https://shop.gallery.example.org/1").grade == 2


def test_grade_is_proven_only_when_every_selector_is(anna: Actor) -> None:
    prove(anna, "gallery.example.org")
    mine = (SelectorKind.URL, "https://gallery.example.org/1")
    for selectors, grade in (
        ([mine], 2),
        ([mine, (SelectorKind.NAME, "Anna Ahl")], 0),
        ([mine, (SelectorKind.URL, "https://elsewhere.example.com/1")], 0),
    ):
        claim = register_claim(acting=anna, decision=3, uses=1, selectors=selectors)
        assert claim.grade == grade


def test_withdrawing_twice_is_one_event(anna: Actor) -> None:
    claim = claim_by(anna)
    first, second = withdraw_claim(acting=anna, claim=claim), withdraw_claim(acting=anna, claim=claim)
    assert first.withdrawn_at == second.withdrawn_at is not None
    assert [event.type for event in ClaimEvent.objects.order_by("id")] == ["registered", "withdrawn"]
    assert ClaimEvent.objects.latest("id").payload["status"] == "withdrawn"


def test_anothers_claim_and_no_claim_give_the_same_answer(anna: Actor, big: Actor) -> None:
    claim = claim_by(anna)
    answers = []
    for target in (claim, Claim(pk=10**9)):
        with pytest.raises(NotFound) as caught:
            withdraw_claim(acting=big, claim=target)
        answers.append((caught.value.code, caught.value.detail))
    assert answers[0] == answers[1]
    with pytest.raises(NotFound):
        access_claim(big, claim.public_id)
    assert access_claim(anna, claim.public_id) == claim
    assert Claim.objects.get().status == "active"


def test_scopes_are_needed(anna: Actor) -> None:
    key, _ = create_key(acting=anna, name="k", scopes=["check"])
    reader = Actor(anna.party, key=key)
    claim = claim_by(anna)
    attempts: list[Callable[[], Claim]] = [
        lambda: claim_by(reader),
        lambda: withdraw_claim(acting=reader, claim=claim),
        lambda: access_claim(reader, claim.public_id),
        lambda: claim_by(Actor(anna.party)),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden) as caught:
            attempt()
        assert caught.value.code == "missing_scope"


def test_moderation_keeps_to_its_states(anna: Actor) -> None:
    boss, claim = operator(), claim_by(anna)
    assert hold_claim(operator=boss, claim=claim).status == "held"
    assert hold_claim(operator=boss, claim=claim).status == "held"
    assert withdraw_as_operator(operator=boss, claim=claim).status == "withdrawn"
    for service in (hold_claim, release_claim):
        with pytest.raises(Conflict):
            service(operator=boss, claim=claim)
    with pytest.raises(NotFound):
        hold_claim(operator=boss, claim=Claim(pk=10**9))
    assert ClaimEvent.objects.count() == 3


def test_events_outlive_users_and_keys(anna: Actor) -> None:
    key, _ = create_key(acting=anna, name="k", scopes=["claims:write"])
    claim_by(Actor(anna.party, key=key))
    claim_by(anna)
    assert anna.user is not None
    user_id, key_id = anna.user.pk, key.pk
    key.delete()
    anna.user.delete()
    named = set(ClaimEvent.objects.values_list("user_id", "key_id"))
    assert named == {(None, key_id), (user_id, None)}


def test_parties_get_handles_of_their_own(anna: Actor) -> None:
    assert anna.user is not None
    second = create_party(anna.user, "organisation", "  Anna   Ahl ")
    assert (second.handle, second.display_name) == ("anna-ahl-2", "Anna Ahl")
    assert create_party(None, "person", "画家").handle == "person"
    assert create_party(None, "person", "X", handle="eva").handle == "eva"
    assert Membership.objects.get(party=second).user == anna.user
    assert list(Party.objects.of_user(anna.user)) == [anna.party, second]
    with pytest.raises(Conflict):
        create_party(None, "person", "X", handle="eva")
    for kind, name, handle in (("robot", "X", None), ("person", " ", None), ("person", "X", "A b")):
        with pytest.raises(InvalidInput):
            create_party(None, kind, name, handle=handle)


def test_addresses_are_kept_in_lower_case() -> None:
    user = User.objects.create_user(" Eva@Example.org ")
    assert (user.email, User.objects.get_by_natural_key("EVA@example.org")) == ("eva@example.org", user)
    assert not user.has_usable_password()
    with pytest.raises(ValueError, match="needs an e-mail address"):
        User.objects.create_user("")


def test_most_selectors_fit(anna: Actor) -> None:
    claim_by(anna, *(f"https://gallery.example.org/{number}" for number in range(MOST_SELECTORS)))
    assert Selector.objects.count() == MOST_SELECTORS
