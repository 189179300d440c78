"""A registry with something in it, and every page of the portal by name."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from django.utils import timezone

from optout.words import Decision, SelectorKind, Use
from registry.actor import Actor
from registry.models import ApiKey, Claim, Import, ImportRejection, Party, User
from registry.services.claims import hold_for_flood, register_claim, withdraw_claim
from registry.services.hashing import hash_upload
from registry.services.keys import create_key
from registry.services.parties import create_party
from registry.services.pictures import SentPicture, claim_with_pictures
from tests.server.pictures import jpeg, white

__all__ = ["PAGES", "Gallery", "fill"]

PICTURE = "https://www.example.org/pictures/harbour.jpg?utm_source=mail"
RESIZED = "https://i0.wp.com/example.org/pictures/harbour-300x200.jpg"


@dataclass(frozen=True)
class Gallery:
    """What `fill` made."""

    claim: Claim
    pictured: Claim
    held: Claim
    key: ApiKey
    sent: Import
    newcomer: User
    beginner: User


def fill(user: User) -> Gallery:
    """Claims of every decision and status, a key, an import; users without claims and without a party."""
    actor = Actor(party=Party.objects.of_user(user).get(), user=user, application="portal")
    claim = _claim(actor, Decision.DENY, (SelectorKind.URL, PICTURE), (SelectorKind.NAME, "Ada Lindqvist"))
    _claim(
        actor,
        Decision.TERMS,
        (SelectorKind.PREFIX, "https://example.net/ada/prints"),
        title="Prints since 2019",
    )
    _claim(
        actor, Decision.ALLOW, (SelectorKind.URL, "https://example.org/press/portrait.jpg"), uses=Use.SEARCH
    )
    gone = _claim(actor, Decision.DENY, (SelectorKind.DOMAIN, "sketches.example.org"))
    withdraw_claim(acting=actor, claim=gone)
    pictured = _pictured(
        actor, "The harbour, 2019 to 2024", jpeg(1, 320), jpeg(2, 320), white(), jpeg(3, 320)
    )
    held = _pictured(actor, "Studies in grey", jpeg(4, 320))
    hold_for_flood(
        held,
        "One of its hashes resembles 3.1% of 20,000 unrelated pictures, more than that of one "
        "picture should. An operator will look at it; until then the claim is not matched by its hashes and "
        "embeddings.",
    )
    key, _ = create_key(acting=actor, name="Publishing script", scopes=["check", "claims:write"])
    beginner = User.objects.create_user("beginner@example.org")
    create_party(beginner, Party.Kind.ORGANISATION, "Museum of Tides")
    return Gallery(
        claim,
        pictured,
        held,
        key,
        _import(actor.party),
        User.objects.create_user("new@example.org"),
        beginner,
    )


def _claim(
    actor: Actor,
    decision: Decision,
    *selectors: tuple[SelectorKind, str],
    uses: Use = Use.AI_TRAIN,
    title: str = "",
) -> Claim:
    terms = "https://example.net/terms" if decision is Decision.TERMS else ""
    return register_claim(
        acting=actor, decision=decision, uses=uses, selectors=selectors, terms_url=terms, title=title
    )


def _pictured(actor: Actor, title: str, *pictures: bytes) -> Claim:
    """A claim by pictures: the last of several still waits, the one before is hashed when it can be."""
    names = (
        "harbour-at-dawn.jpg",
        "a-name-that-is-so-long-that-it-has-to-break-somewhere-or-other.jpg",
        "scan.png",
        "new.jpg",
    )
    claim = claim_with_pictures(
        acting=actor,
        decision=Decision.DENY,
        uses=Use.AI_TRAIN,
        title=title,
        keep=True,
        pictures=[SentPicture(io.BytesIO(data), name) for data, name in zip(pictures, names, strict=False)],
    )
    uploads = list(claim.uploads.in_order())
    for upload in uploads[:-1] or uploads:
        hash_upload(str(upload.public_id))
    claim.refresh_from_db()
    return claim


def _import(party: Party) -> Import:
    sent = Import.objects.create(
        party=party,
        filename="spring-catalogue.csv",
        format="csv",
        object_key="imports/1",
        sha256="5f" * 32,
        size_bytes=48_210,
        state=Import.State.DONE,
        rows_done=1204,
        rows_good=1201,
        rows_bad=3,
        finished_at=timezone.now(),
    )
    for row, value, detail in (
        (17, "co.uk", "'co.uk' is a public suffix, under which many parties have names"),
        (402, "javascript:void(0)", "the scheme is 'javascript', not http or https"),
        (403, "", "the value is empty"),
    ):
        ImportRejection.objects.create(
            source_import=sent, row=row, code="host", detail=detail, excerpt=f"domain,{value},deny"
        )
    return sent


def _found(url: str) -> str:
    return f"/lookup/?url={quote(url, safe='')}"


# name: (who looks, the address)
PAGES: dict[str, tuple[str, Callable[[Gallery], str]]] = {
    "home": ("nobody", lambda _: "/"),
    "lookup": ("nobody", lambda _: "/lookup/"),
    "lookup-denied": ("nobody", lambda _: _found(RESIZED)),
    "lookup-terms": ("nobody", lambda _: _found("https://example.net/ada/prints/7.jpg")),
    "lookup-unreserved": ("nobody", lambda _: _found("https://example.com/cat.jpg")),
    "lookup-invalid": ("nobody", lambda _: _found("javascript:alert(1)")),
    "lookup-picture": ("nobody", lambda _: "/lookup/picture/"),
    "how-it-works": ("nobody", lambda _: "/how-it-works/"),
    "privacy": ("nobody", lambda _: "/privacy/"),
    "sign-in": ("nobody", lambda _: "/accounts/login/"),
    "sign-up": ("nobody", lambda _: "/accounts/signup/"),
    "missing": ("nobody", lambda _: "/nothing/"),
    "mail": ("nobody", lambda _: "/mail/"),
    "welcome": ("newcomer", lambda _: "/welcome/"),
    "claims-empty": ("beginner", lambda _: "/claims/"),
    "keys-empty": ("beginner", lambda _: "/keys/"),
    "imports-empty": ("beginner", lambda _: "/imports/"),
    "claims": ("person", lambda _: "/claims/"),
    "claims-withdrawn": ("person", lambda _: "/claims/?status=withdrawn"),
    "claim": ("person", lambda made: f"/claims/{made.claim.public_id}/"),
    "claim-by-picture": ("person", lambda made: f"/claims/{made.pictured.public_id}/"),
    "claim-held": ("person", lambda made: f"/claims/{made.held.public_id}/"),
    "claim-pictures": ("person", lambda made: f"/claims/{made.pictured.public_id}/pictures/?watch=1"),
    "withdraw": ("person", lambda made: f"/claims/{made.claim.public_id}/withdraw/"),
    "opt-out-pictures": ("person", lambda _: "/opt-out/pictures/"),
    "opt-out": ("person", lambda _: "/opt-out/"),
    "keys": ("person", lambda _: "/keys/"),
    "key-new": ("person", lambda _: "/keys/new/"),
    "key-revoke": ("person", lambda made: f"/keys/{made.key.public_id}/revoke/"),
    "imports": ("person", lambda _: "/imports/"),
    "import": ("person", lambda made: f"/imports/{made.sent.public_id}/"),
    "account": ("person", lambda _: "/account/"),
    "account-email": ("person", lambda _: "/accounts/email/"),
}
