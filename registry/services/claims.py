"""Registering, withdrawing, holding and releasing claims."""

import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.utils import timezone

from optout.errors import InvalidSelector
from optout.exchange import validate_selector
from optout.words import Decision, SelectorKind, Use
from registry.actor import Actor
from registry.errors import Conflict, Forbidden, InvalidInput, NotFound
from registry.models import Claim, ClaimEvent, Party, Selector, Upload, User
from registry.services import flood
from registry.services.domains import grade_of, hosts_of_others, provers, selector_host
from registry.services.events import record_event, waits

__all__ = [
    "MOST_SELECTORS",
    "add_selectors",
    "hold_claim",
    "hold_for_flood",
    "lock_claim",
    "register_claim",
    "release_claim",
    "withdraw_claim",
]

MOST_SELECTORS = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def register_claim(
    *,
    acting: Actor,
    decision: Decision | int,
    uses: Use | int,
    selectors: Sequence[tuple[SelectorKind | int, str]],
    owner: str = "",
    ref: str = "",
    valid_from: datetime | None = None,
    terms_url: str = "",
    title: str = "",
    pictures: int = 0,
) -> Claim:
    """Record a claim of the acting party, its selectors and the event, all or nothing.

    Args:
        acting: who claims.
        decision: what the claim says.
        uses: mask of the uses as the party names them.
        selectors: 1 to 1,000 pairs of kind and value as the person wrote it.
        owner: the creator a platform speaks for; empty when the party speaks for itself.
        ref: the party's own id of the claim, unique for each owner.
        valid_from: since when; None means since ever.
        terms_url: where the terms stand, needed by the decision `terms`.
        title: a name for people.
        pictures: how many pictures follow whose hashes become selectors; then `selectors` may be empty.

    A claim with a hash that would match too many unrelated pictures is held for an operator.

    Raises:
        InvalidInput: with one entry for each bad field, selectors as `selectors.<index>`.
        Forbidden: only platforms speak for others (`not_a_platform`).
        Conflict: `domain_verified_by_other`, `ref_exists`, or `busy`.
    """
    acting.require("claims:write")
    owner = "" if owner == acting.party.handle else owner
    pairs, problems = _checked_selectors(selectors, least=0 if pictures else 1)
    problems |= _wrong_fields(decision, uses, owner, ref, valid_from, terms_url, title)
    if problems:
        raise InvalidInput(problems)
    if owner and acting.party.kind != Party.Kind.PLATFORM:
        raise Forbidden("Only a platform may speak for somebody else.", code="not_a_platform")
    hosts = [selector_host(kind, value) for kind, value in pairs]
    proven = provers(host for host in hosts if host is not None)
    _refuse_others_domains(acting.party, pairs, hosts, hosts_of_others(acting.party, proven))
    hosts += [None] * pictures
    claim = Claim(
        party=acting.party,
        owner=owner,
        ref=ref,
        decision=int(decision),
        uses=int(uses),
        grade=int(grade_of(acting.party, owner, hosts, proven)),
        valid_from=valid_from,
        terms_url=terms_url,
        title=title,
    )
    return _store(acting, claim, pairs)


def _store(acting: Actor, claim: Claim, pairs: list[tuple[SelectorKind, str]]) -> Claim:
    flooding = flood.reason_of(pairs, acting.party)
    try:
        with waits(), transaction.atomic():
            claim.save(force_insert=True)
            rows = Selector.objects.bulk_create(Selector.of(claim, pairs))
            _record(acting, claim, ClaimEvent.Type.REGISTERED, rows)
            if flooding:
                hold_for_flood(claim, flooding)
    except IntegrityError as error:
        if "claim_party_owner_ref_unique" not in str(error):
            raise
        raise Conflict(f"There is already a claim with the ref {claim.ref}.", code="ref_exists") from error
    return claim


def withdraw_claim(*, acting: Actor, claim: Claim) -> Claim:
    """Withdraw a claim of the acting party; withdrawing again changes nothing.

    Raises:
        NotFound: the claim is another's, or there is none.
        Conflict: `busy`.
    """
    acting.require("claims:write")
    with waits(), transaction.atomic():
        current = (
            Claim.objects.select_for_update(of=("self",)).select_related("party").filter(pk=claim.pk).first()
        )
        if current is None or current.party_id != acting.party.pk:
            raise NotFound("There is no such claim.")
        if current.status != Claim.Status.WITHDRAWN:
            _withdraw(current)
            _record(acting, current, ClaimEvent.Type.WITHDRAWN)
    return current


def hold_claim(*, operator: User, claim: Claim, request_id: str = "") -> Claim:
    """Set an active claim aside while a case is open: a held denial still speaks, nothing else does.

    Raises:
        NotFound, Conflict: gone, or `not_active`.
    """
    return _moderate(
        operator, claim, Claim.Status.ACTIVE, Claim.Status.HELD, ClaimEvent.Type.HELD, request_id
    )


def hold_for_flood(claim: Claim, reason: str) -> None:
    """Set a claim's perceptual hashes aside for an operator; belongs in a transaction that holds its lock.

    What it says by address, digest or name goes on as for any held claim. One that is held already stays so.
    """
    if claim.status != Claim.Status.ACTIVE:
        return
    claim.status, claim.hold, claim.hold_reason = Claim.Status.HELD, Claim.Hold.FLOOD, reason[:500]
    claim.save(update_fields=["status", "hold", "hold_reason"])
    record_event(claim, ClaimEvent.Type.HELD, application="flood-guard")


def add_selectors(
    upload: Upload, claim: Claim, pairs: list[tuple[SelectorKind, str]], *, application: str
) -> None:
    """Add selectors made of an upload to its claim, with the event.

    Belongs in a transaction that holds the claim's lock. Those that the claim has already are left out; when
    it has all of them, there is no event.
    """
    rows = Selector.of(claim, pairs)
    held = set(claim.selectors.filter(digest__in=[row.digest for row in rows]).values_list("kind", "digest"))
    fresh = [row for row in rows if (row.kind, row.digest) not in held]
    if not fresh:
        return
    Selector.objects.bulk_create(fresh)
    record_event(
        claim,
        ClaimEvent.Type.EXTENDED,
        party=claim.party,
        user=upload.user,
        key=upload.key,
        application=application,
        request_id=upload.request_id,
        selectors=fresh,
    )


def lock_claim(upload: Upload) -> Claim:
    """The claim of an upload, held until the transaction ends."""
    return Claim.objects.select_for_update(of=("self",)).select_related("party").get(pk=upload.claim_id)


def release_claim(*, operator: User, claim: Claim, request_id: str = "") -> Claim:
    """Let a held claim speak again.

    Raises:
        NotFound, Conflict: gone, or `not_held`.
    """
    return _moderate(
        operator, claim, Claim.Status.HELD, Claim.Status.ACTIVE, ClaimEvent.Type.RELEASED, request_id
    )


def withdraw_as_operator(*, operator: User, claim: Claim, request_id: str = "") -> Claim:
    """Withdraw a claim in the party's stead; the event names the operator. Withdrawing again changes nothing.

    Raises:
        NotFound, Conflict: gone, or `busy`.
    """
    with waits(), transaction.atomic():
        current = _locked(claim)
        if current.status != Claim.Status.WITHDRAWN:
            _withdraw(current)
            record_event(
                current, ClaimEvent.Type.WITHDRAWN, user=operator, application="admin", request_id=request_id
            )
    return current


def _moderate(
    operator: User,
    claim: Claim,
    before: Claim.Status,
    after: Claim.Status,
    kind: ClaimEvent.Type,
    request_id: str,
) -> Claim:
    with waits(), transaction.atomic():
        current = _locked(claim)
        if current.status == after:
            return current
        if current.status != before:
            raise Conflict(f"The claim is {current.status}, not {before}.", code=f"not_{before}")
        current.status, current.hold, current.hold_reason = after, Claim.Hold.CASE, ""
        current.save(update_fields=["status", "hold", "hold_reason"])
        record_event(current, kind, user=operator, application="admin", request_id=request_id)
    return current


def _locked(claim: Claim) -> Claim:
    current = (
        Claim.objects.select_for_update(of=("self",)).select_related("party").filter(pk=claim.pk).first()
    )
    if current is None:
        raise NotFound("There is no such claim.")
    return current


def _withdraw(claim: Claim) -> None:
    claim.status, claim.withdrawn_at = Claim.Status.WITHDRAWN, timezone.now()
    claim.hold, claim.hold_reason = Claim.Hold.CASE, ""
    claim.save(update_fields=["status", "withdrawn_at", "hold", "hold_reason"])


def _record(acting: Actor, claim: Claim, kind: ClaimEvent.Type, selectors: Sequence[Selector] = ()) -> None:
    record_event(
        claim,
        kind,
        party=acting.party,
        user=acting.user,
        key=acting.key,
        application=acting.application,
        request_id=acting.request_id,
        selectors=selectors,
    )


def _checked_selectors(
    selectors: Sequence[tuple[SelectorKind | int, str]], *, least: int
) -> tuple[list[tuple[SelectorKind, str]], dict[str, list[str]]]:
    if not least <= len(selectors) <= MOST_SELECTORS:
        return [], {"selectors": [f"Give {least} to {MOST_SELECTORS:,} selectors, not {len(selectors):,}."]}
    pairs, problems = [], {}
    for index, (kind, value) in enumerate(selectors):
        try:
            pairs.append((SelectorKind(kind), validate_selector(SelectorKind(kind), value)))
        except (InvalidSelector, ValueError) as error:
            problems[f"selectors.{index}"] = [str(error)]
    return pairs, problems


def _wrong_fields(
    decision: int, uses: int, owner: str, ref: str, valid_from: datetime | None, terms_url: str, title: str
) -> dict[str, list[str]]:
    problems: dict[str, list[str]] = {}
    if decision not in set(Decision):
        problems["decision"] = ["Choose deny, allow or terms."]
    if not 1 <= uses <= sum(Use):
        problems["uses"] = ["Name at least one known use."]
    if _CONTROL.search(owner) or "/" in owner or len(owner) > 200:
        problems["owner"] = ["Use at most 200 characters, no slash and no control characters."]
    if valid_from is not None and valid_from.tzinfo is None:
        problems["valid_from"] = ["Give a time with its time zone."]
    for name, text, most in (("ref", ref, 200), ("title", title, 500)):
        if _CONTROL.search(text) or len(text) > most:
            problems[name] = [f"Use at most {most} characters and no control characters."]
    if terms_url and not _is_web_address(terms_url):
        problems["terms_url"] = ["Give an address that begins with https:// or http://."]
    elif decision == Decision.TERMS and not terms_url:
        problems["terms_url"] = ["The decision terms needs the address of the terms."]
    return problems


def _is_web_address(text: str) -> bool:
    if len(text) > 2048 or _CONTROL.search(text) or " " in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _refuse_others_domains(
    party: Party, pairs: list[tuple[SelectorKind, str]], hosts: list[str | None], foreign: set[str]
) -> None:
    wrong = {
        f"selectors.{index}": [f"Another party has proven that {host} is theirs."]
        for index, host in enumerate(hosts)
        if host in foreign
    }
    if wrong:
        raise Conflict(
            "A selector lies on another's proven domain.", code="domain_verified_by_other", fields=wrong
        )
