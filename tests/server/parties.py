"""Parties, actors and claims for the tests of the services."""

from typing import Any

from optout.words import Decision, SelectorKind, Use
from registry.actor import Actor
from registry.models import Claim, Party, User
from registry.services.claims import register_claim
from registry.services.domains import start_proof, verify_proof
from registry.services.parties import create_party

__all__ = ["PAGE", "claim_by", "operator", "person", "platform", "prove"]

PAGE = "https://gallery.example/works/1.jpg"


def person(name: str = "Anna Ahl") -> Actor:
    """Somebody who signs in and speaks for herself."""
    user = User.objects.create_user(f"{name.lower().replace(' ', '.')}@example.org")
    return Actor(
        create_party(user, Party.Kind.PERSON, name), user=user, request_id="r-1", application="portal"
    )


def platform(name: str = "Big Gallery") -> Actor:
    """A platform that speaks for its artists."""
    user = User.objects.create_user(f"{name.lower().replace(' ', '.')}@example.org")
    return Actor(create_party(user, Party.Kind.PLATFORM, name), user=user, application="api")


def operator() -> User:
    return User.objects.create_superuser("operator@example.org")


def claim_by(actor: Actor, *values: str, kind: SelectorKind = SelectorKind.URL, **fields: Any) -> Claim:
    """A claim about some URLs (or values of another kind); denies training when not told otherwise."""
    stated = {"decision": Decision.DENY, "uses": Use.AI_TRAIN, **fields}
    return register_claim(acting=actor, selectors=[(kind, value) for value in values or (PAGE,)], **stated)


def prove(actor: Actor, domain: str) -> None:
    """The actor's party has proven `domain`."""
    by = User.objects.filter(is_superuser=True).first() or operator()
    verify_proof(operator=by, proof=start_proof(party=actor.party, domain=domain))
