"""The list of one's claims, one claim, withdrawing; and that they are one's own."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from optout.words import Decision, SelectorKind
from registry.models import Claim, Selector, User
from registry.services.claims import hold_claim, withdraw_claim
from registry.services.keys import create_key
from tests.server.parties import claim_by, operator, person
from tests.server.portal import signed_in, text_of

pytestmark = pytest.mark.django_db

OWN_PAGES = ["/claims/", "/opt-out/", "/imports/", "/keys/", "/keys/new/", "/account/"]


def test_an_empty_list_says_how_to_begin() -> None:
    assert "Nothing is claimed yet" in text_of(signed_in(person()).get("/claims/"))


def test_the_list_shows_ones_own_claims_the_newest_first() -> None:
    actor = person()
    claim_by(actor, "https://a.example/old.jpg")
    claim_by(actor, "https://a.example/new.jpg", title="The new one")
    claim_by(person("Bo Berg"), "https://berg.example/1.jpg")
    text = text_of(signed_in(actor).get("/claims/"))
    assert text.index("The new one") < text.index("https://a.example/old.jpg")
    assert "berg.example" not in text


def test_ones_own_pages_are_kept_by_no_shared_cache() -> None:
    assert "private" in signed_in(person()).get("/claims/")["Cache-Control"]


def test_the_list_can_be_narrowed_by_status() -> None:
    actor = person()
    withdraw_claim(acting=actor, claim=claim_by(actor, "https://a.example/gone.jpg"))
    hold_claim(operator=operator(), claim=claim_by(actor, "https://a.example/held.jpg"))
    claim_by(actor, "https://a.example/here.jpg")
    client = signed_in(actor)
    shown = {
        status: [name for name in ("gone", "held", "here") if f"/{name}.jpg" in text_of(client.get(address))]
        for status in ("active", "held", "withdrawn", "nonsense")
        if (address := f"/claims/?status={status}")
    }
    assert shown == {
        "active": ["here"],
        "held": ["held"],
        "withdrawn": ["gone"],
        "nonsense": ["gone", "held", "here"],
    }


def test_a_long_list_has_pages_and_a_bounded_number_of_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    actor = person()
    for number in range(23):
        claim_by(actor, f"https://a.example/{number}.jpg")
    client = signed_in(actor)
    with django_assert_max_num_queries(30):
        first = text_of(client.get("/claims/"))
    second, beyond = (text_of(client.get(f"/claims/?page={page}")) for page in (2, 99))
    assert "Page 1 of 2" in first
    assert "https://a.example/22.jpg" in first
    assert "https://a.example/2.jpg" in second
    assert beyond == second


def test_a_claim_tells_what_it_matches_its_evidence_and_its_history() -> None:
    actor = person()
    claim = claim_by(actor, "example.org", kind=SelectorKind.DOMAIN, decision=Decision.DENY)
    client = signed_in(actor)
    client.post(f"/claims/{claim.public_id}/withdraw/")
    text = text_of(client.get(f"/claims/{claim.public_id}/"))
    assert "Every page and file on example.org and on its sub-domains" in text
    assert "Stated." in text
    assert "It rises when" in text
    assert "Registered in the portal" in text
    assert "Withdrawn in the portal" in text
    assert str(claim.public_id) in text


def test_a_claim_with_very_many_selectors_shows_the_first() -> None:
    actor = person()
    claim = claim_by(actor, "https://a.example/first.jpg")
    Selector.objects.bulk_create(
        Selector.of(claim, [(SelectorKind.URL, f"a.example/{number}") for number in range(300)])
    )
    page = signed_in(actor).get(f"/claims/{claim.public_id}/")
    assert "There are more; the first 200 are shown." in text_of(page)


def test_withdrawing_asks_first() -> None:
    actor = person()
    claim = claim_by(actor)
    client = signed_in(actor)
    assert "Withdraw this claim?" in text_of(client.get(f"/claims/{claim.public_id}/withdraw/"))
    claim.refresh_from_db()
    assert claim.status == Claim.Status.ACTIVE
    page = client.post(f"/claims/{claim.public_id}/withdraw/", follow=True)
    assert "The claim is withdrawn." in text_of(page)
    claim.refresh_from_db()
    assert claim.status == Claim.Status.WITHDRAWN
    assert "It is withdrawn already." in text_of(client.get(f"/claims/{claim.public_id}/withdraw/"))


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("address", ["/claims/{claim}/", "/claims/{claim}/withdraw/", "/keys/{key}/revoke/"])
def test_anothers_things_are_not_there(address: str, method: str) -> None:
    owner = person()
    claim, (key, _) = claim_by(owner), create_key(acting=owner, name="mine", scopes=["check"])
    path = address.format(claim=claim.public_id, key=key.public_id)
    assert signed_in(owner).get(path).status_code == 200
    stranger = getattr(signed_in(person("Bo Berg")), method)(path)
    assert stranger.status_code == (405 if method == "post" and path.endswith(f"{claim.public_id}/") else 404)
    claim.refresh_from_db()
    key.refresh_from_db()
    assert (claim.status, key.revoked_at) == (Claim.Status.ACTIVE, None)


@pytest.mark.parametrize("address", OWN_PAGES)
def test_who_has_not_signed_in_is_asked_to_and_comes_back(address: str) -> None:
    response = Client().get(address)
    assert response.status_code == 302
    assert response["Location"] == f"/accounts/login/?next={address}"


@pytest.mark.parametrize("address", OWN_PAGES)
def test_who_has_no_party_yet_is_asked_for_a_name(address: str) -> None:
    client = Client()
    client.force_login(User.objects.create_user("new@example.org"))
    assert client.get(address)["Location"] == "/welcome/"


@pytest.mark.parametrize("address", ["/opt-out/", "/keys/new/", "/welcome/", "/claims/{claim}/withdraw/"])
def test_a_form_sent_from_elsewhere_is_refused(address: str) -> None:
    actor = person()
    claim = claim_by(actor)
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in(actor).cookies
    response = client.post(address.format(claim=claim.public_id))
    assert response.status_code == 403
    assert "This form has grown old" in text_of(response)
    claim.refresh_from_db()
    assert claim.status == Claim.Status.ACTIVE
