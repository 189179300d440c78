"""The operators' pages, through HTTP."""

import io
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from optout.words import Decision, Use
from registry import storage
from registry.actor import Actor
from registry.models import ApiKey, Claim, ClaimEvent, ClipModel, DomainProof, Import, SnapshotRecord, Upload
from registry.services.claims import hold_for_flood
from registry.services.domains import start_proof
from registry.services.hashing import hash_upload, park_upload
from registry.services.imports import start_import
from registry.services.keys import create_key
from registry.services.pictures import SentPicture, claim_with_pictures
from registry.services.snapshots import build_current
from tests.server.parties import claim_by, operator, person, platform
from tests.server.pictures import jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Actor:
    return person()


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(operator())
    return client


def act(client: Client, model: str, action: str, *things: Any) -> str:
    """Run an admin action on things; the page that follows."""
    response = client.post(
        reverse(f"admin:registry_{model}_changelist"),
        {"action": action, "_selected_action": [str(thing.pk) for thing in things]},
        follow=True,
    )
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    "model",
    "user party apikey domainproof claim claimevent import snapshotrecord upload clipmodel".split(),
)
def test_pages_open_for_staff_only(anna: Actor, staff: Client, model: str) -> None:
    claim_by(anna)
    create_key(acting=anna, name="k", scopes=["check"])
    start_proof(party=anna.party, domain="gallery.example.org")
    page = reverse(f"admin:registry_{model}_changelist")
    assert staff.get(page, {"q": "anna-ahl"}).status_code == 200
    signed_in = Client()
    assert anna.user is not None
    signed_in.force_login(anna.user)
    assert signed_in.get(page).status_code in {302, 403}
    assert Client().get(page).status_code == 302


def test_claim_page_shows_selectors_and_events_and_changes_nothing(anna: Actor, staff: Client) -> None:
    claim = claim_by(anna, "https://gallery.example.org/<b>.jpg")
    page = reverse("admin:registry_claim_change", args=[claim.pk])
    content = staff.get(page).content.decode()
    assert "gallery.example.org/%3Cb%3E.jpg" in content
    assert "registered" in content
    assert staff.post(page, {"status": "withdrawn"}).status_code == 403
    assert staff.post(reverse("admin:registry_claim_delete", args=[claim.pk])).status_code == 403


def test_moderation_goes_through_services(anna: Actor, staff: Client) -> None:
    claim = claim_by(anna)
    act(staff, "claim", "hold", claim)
    assert Claim.objects.get().status == "held"
    act(staff, "claim", "release", claim)
    assert Claim.objects.get().status == "active"
    act(staff, "claim", "withdraw", claim)
    assert Claim.objects.get().status == "withdrawn"
    page = act(staff, "claim", "hold", claim)
    assert "The claim is withdrawn, not active." in page
    events = ClaimEvent.objects.order_by("id")
    assert [event.type for event in events] == ["registered", "held", "released", "withdrawn"]
    assert {(event.party_id, event.application) for event in events[1:]} == {(None, "admin")}
    assert all(event.user is not None and event.user.is_staff for event in events[1:])


def test_event_page_is_read_only(anna: Actor, staff: Client) -> None:
    claim_by(anna)
    event = ClaimEvent.objects.get()
    page = reverse("admin:registry_claimevent_change", args=[event.pk])
    assert bytes(event.digest).hex() in staff.get(page).content.decode()
    assert staff.post(page, {"type": "held"}).status_code == 403


def test_verifying_a_domain(anna: Actor, staff: Client) -> None:
    big = platform()
    hers = start_proof(party=anna.party, domain="gallery.example.org")
    theirs = start_proof(party=big.party, domain="gallery.example.org")
    act(staff, "domainproof", "verify", hers)
    page = act(staff, "domainproof", "verify", theirs)
    assert "Another party has proven gallery.example.org." in page
    assert [proof.party for proof in DomainProof.objects.verified()] == [anna.party]


def test_revoking_a_key(anna: Actor, staff: Client) -> None:
    key, secret = create_key(acting=anna, name="k", scopes=["check"])
    page = staff.get(reverse("admin:registry_apikey_change", args=[key.pk])).content.decode()
    assert key.prefix in page
    assert secret not in page
    act(staff, "apikey", "revoke", key)
    assert ApiKey.objects.get().revoked_at is not None


def test_retrying_an_import(anna: Actor, staff: Client) -> None:
    source = start_import(acting=anna, file=io.BytesIO(b"selector,value\n"), filename="a.csv")
    assert "The import is received." in act(staff, "import", "retry", source)
    Import.objects.update(state="failed", finished_at=source.created_at, error="odd")
    act(staff, "import", "retry", source)
    assert Import.objects.get().state == "received"


@pytest.mark.django_db(transaction=True)
def test_asking_for_a_build(anna: Actor, staff: Client) -> None:
    claim_by(anna)
    build_current()
    assert "A build was asked for" in act(staff, "snapshotrecord", "build", SnapshotRecord.objects.get())


def test_a_claim_that_floods_says_why_and_is_released(anna: Actor, staff: Client) -> None:
    claim = claim_by(anna)
    hold_for_flood(claim, "It resembles 3.0% of 1,000 unrelated pictures.")
    page = staff.get(reverse("admin:registry_claim_change", args=[claim.pk])).content.decode()
    assert "It resembles 3.0% of 1,000 unrelated pictures." in page
    assert (
        str(claim.public_id)
        in staff.get(reverse("admin:registry_claim_changelist"), {"hold": "flood"}).content.decode()
    )
    act(staff, "claim", "release", claim)
    claim.refresh_from_db()
    assert (claim.status, claim.hold, claim.hold_reason) == ("active", "", "")


def test_trying_a_parked_picture_again(anna: Actor, staff: Client) -> None:
    sent = SentPicture(io.BytesIO(jpeg()), "sea.jpg")
    claim = claim_with_pictures(acting=anna, decision=Decision.DENY, uses=Use.TDM, pictures=[sent])
    upload = claim.uploads.get()
    assert "not parked" in act(staff, "upload", "retry", upload)
    park_upload(upload, "crashed", "Our fault.")
    act(staff, "upload", "retry", upload)
    upload.refresh_from_db()
    assert (upload.state, upload.reason, upload.attempts) == ("queued", "", 0)
    page = reverse("admin:registry_upload_change", args=[upload.pk])
    assert "sea.jpg" in staff.get(page).content.decode()
    assert staff.post(page, {"state": "hashed"}).status_code == 403


def picture_of(actor: Actor, data: bytes, name: str, content_type: str, *, keep: bool) -> Upload:
    """A picture of a claim of its own, hashed."""
    sent = SentPicture(io.BytesIO(data), name, content_type)
    claim = claim_with_pictures(
        acting=actor, decision=Decision.DENY, uses=Use.TDM, pictures=[sent], keep=keep
    )
    upload = claim.uploads.get()
    hash_upload(str(upload.public_id))
    upload.refresh_from_db()
    return upload


def body_of(response: Any) -> bytes:
    """What a file is answered with, closed without its signal, which ends the connection."""
    body = b"".join(response.streaming_content)
    for close in response._resource_closers:
        close()
    return body


def test_operators_alone_see_a_picture_that_is_kept(anna: Actor, staff: Client) -> None:
    upload = picture_of(anna, jpeg(), "sea.jpg", "image/jpeg", keep=True)
    address = reverse("admin:registry_upload_picture", args=[upload.pk])
    change = reverse("admin:registry_upload_change", args=[upload.pk])
    assert f'<img src="{address}" alt="sea.jpg"' in staff.get(change).content.decode()
    response = staff.get(address)
    assert body_of(response) == jpeg()
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]
    owner = Client()
    assert anna.user is not None
    owner.force_login(anna.user)
    assert [client.get(address).status_code for client in (owner, Client())] == [302, 302]
    storage.delete(upload.object_key)
    assert staff.get(address).status_code == 404


def test_a_picture_that_nobody_asked_to_keep_is_not_shown(anna: Actor, staff: Client) -> None:
    upload = picture_of(anna, jpeg(), "sea.jpg", "image/jpeg", keep=False)
    change = reverse("admin:registry_upload_change", args=[upload.pk])
    assert "Not kept" in staff.get(change).content.decode()
    assert staff.get(reverse("admin:registry_upload_picture", args=[upload.pk])).status_code == 404
    assert staff.get(reverse("admin:registry_upload_picture", args=[10**9])).status_code == 404


def test_what_calls_itself_a_page_is_downloaded(anna: Actor, staff: Client) -> None:
    upload = picture_of(anna, jpeg(), "sea.html", "text/html", keep=True)
    response = staff.get(reverse("admin:registry_upload_picture", args=[upload.pk]))
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"] == 'attachment; filename="sea.html"'
    assert body_of(response) == jpeg()


def test_a_claim_leads_to_its_pictures(anna: Actor, staff: Client) -> None:
    upload = picture_of(anna, jpeg(), "sea.jpg", "image/jpeg", keep=True)
    page = staff.get(reverse("admin:registry_claim_change", args=[upload.claim.pk])).content.decode()
    link = f"{reverse('admin:registry_upload_changelist')}?q={upload.claim.public_id}"
    assert f'<a href="{link}">1</a>' in page
    assert "sea.jpg" in staff.get(link).content.decode()
    assert "a case is open" not in page


def test_the_record_of_a_model_is_shown_and_not_changed(staff: Client) -> None:
    record = {"name": "ViT-B/32", "dimension": 512, "thresholds": {"match": 0.97, "review": 0.95}}
    model = ClipModel.objects.create(identifier="ViT-B/32@0123456789abcdef", record=record)
    page = reverse("admin:registry_clipmodel_change", args=[model.pk])
    content = staff.get(page).content.decode()
    assert "ViT-B/32@0123456789abcdef" in content
    assert "&quot;match&quot;: 0.97" in content
    assert staff.post(page, {"identifier": "x"}).status_code == 403


@pytest.mark.parametrize("made", ["command", "admin"])
def test_an_operator_signs_in_with_one_code(staff: Client, mailoutbox: list[Any], made: str) -> None:
    if made == "command":
        call_command("createsuperuser", "--noinput", "--email", "Ola@example.org", verbosity=0)
    else:
        staff.post(
            reverse("admin:registry_user_add"),
            {"email": "ola@example.org", "is_active": "on", "is_staff": "on", "is_superuser": "on"},
        )
    client = Client()
    client.post("/accounts/login/code/?next=/admin/", {"email": "ola@example.org"})
    code = re.search(r"^\s*([A-Z0-9]+-[A-Z0-9]+)\s*$", mailoutbox[-1].body, re.MULTILINE)
    assert code is not None
    response = client.post("/accounts/login/code/confirm/?next=/admin/", {"code": code[1]})
    assert response["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert len(mailoutbox) == 1
