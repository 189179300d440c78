"""Who has proven which domain, and what follows for claims."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from optout.errors import InvalidSelector
from optout.locators import canonical_domain, host_of, host_suffixes
from optout.words import Grade, SelectorKind
from registry.errors import Conflict, InvalidInput
from registry.models import DomainProof, Party, User

__all__ = [
    "LOCATED_KINDS",
    "grade_of",
    "hosts_of_others",
    "provers",
    "selector_host",
    "start_proof",
    "verify_proof",
]

LOCATED_KINDS = frozenset({SelectorKind.URL, SelectorKind.PREFIX, SelectorKind.DOMAIN})


def selector_host(kind: int, value: str) -> str | None:
    """The host that a canonical url, prefix or domain lies on, without its port; None for other kinds."""
    return host_of(value) if kind in LOCATED_KINDS else None


def provers(hosts: Iterable[str]) -> dict[str, set[int]]:
    """For each host the ids of the parties that have proven it or a domain above it."""
    suffixes = {host: set(host_suffixes(host)) for host in hosts}
    wanted = set().union(*suffixes.values()) if suffixes else set()
    held = _verified(sorted(wanted))
    return {host: {held[suffix] for suffix in above if suffix in held} for host, above in suffixes.items()}


def _verified(domains: list[str]) -> dict[str, int]:
    # One array parameter: an import asks about more names than a list of parameters may hold.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT domain, party_id FROM registry_domainproof "
            "WHERE verified_at IS NOT NULL AND domain = ANY(%s)",
            [domains],
        )
        return dict(cursor.fetchall())


def hosts_of_others(party: Party, proven: Mapping[str, set[int]]) -> set[str]:
    """The hosts that somebody else has proven and `party` has not."""
    return {host for host, parties in proven.items() if parties and party.pk not in parties}


def grade_of(party: Party, owner: str, hosts: Iterable[str | None], proven: Mapping[str, set[int]]) -> Grade:
    """The grade of a claim: proven when every selector lies on a domain that the party has proven."""
    hosts = list(hosts)
    if hosts and all(host is not None and party.pk in proven.get(host, ()) for host in hosts):
        return Grade.DOMAIN_PROVEN
    return Grade.VOUCHED if owner else Grade.STATED


def start_proof(*, party: Party, domain: str) -> DomainProof:
    """Note that `party` means to prove `domain`; it counts once verified.

    Raises:
        InvalidInput: not a domain that can be claimed.
    """
    try:
        name = canonical_domain(domain)
    except InvalidSelector as error:
        raise InvalidInput({"domain": [str(error)]}) from error
    return DomainProof.objects.get_or_create(party=party, domain=name)[0]


def verify_proof(*, operator: User, proof: DomainProof, at: datetime | None = None) -> DomainProof:
    """Set a proof as verified by an operator.

    Raises:
        Conflict: another party has proven the domain (`domain_verified_by_other`).
    """
    try:
        with transaction.atomic():
            proof.verified_at, proof.verified_by = at or timezone.now(), operator
            proof.save(update_fields=["verified_at", "verified_by"])
    except IntegrityError as error:
        raise Conflict(
            f"Another party has proven {proof.domain}.", code="domain_verified_by_other"
        ) from error
    return proof
