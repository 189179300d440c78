"""What the registry says about one address, shaped for the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.utils.translation import gettext_lazy as _

from optout.engine import Question
from optout.locators import InvalidLocator, LocatorStatus, canonical
from optout.words import Decision, Grade, Outcome, SelectorKind, Use
from registry.live import current_snapshot
from registry.models import Claim
from registry.portal.lines import shown
from registry.portal.words import ANSWERS, DECISION_TAGS, GRADES, HOWS, KINDS, OUTCOMES, USES, Text, Wording

__all__ = ["Answer", "Finding", "Word", "explain_invalid", "look_up", "outcome_word"]

_PROBLEMS: dict[LocatorStatus, Text] = {
    LocatorStatus.EMPTY: _("Write or paste an address first."),
    LocatorStatus.SCHEME: _(
        "Only addresses of the web can be looked up: they begin with https:// or http://."
    ),
    LocatorStatus.HOST: _("There is no such site name. Check the part between https:// and the next slash."),
    LocatorStatus.PORT: _("The number after the colon is not a port."),
    LocatorStatus.ENCODING: _(
        "The address has characters that do not belong in one. Copy it from the browser again."
    ),
    LocatorStatus.TOO_LONG: _("The address is too long: 8,192 bytes are the most."),
}


@dataclass(frozen=True)
class Word:
    """A word with the icon and tone it always comes with."""

    icon: str
    wording: Wording

    def __str__(self) -> str:
        return str(self.wording)


@dataclass(frozen=True)
class Finding:
    """One claim that matched, as the page shows it."""

    claim: str
    owner: str
    decision: Word
    uses: list[Wording]
    kind: Wording
    matched: str
    how: Wording | None
    grade: Wording
    valid_from: datetime | None
    recorded: datetime | None
    terms_url: str


@dataclass(frozen=True)
class OtherUse:
    """The outcome for another use than the one asked about."""

    use: Use
    wording: Wording
    outcome: Word


@dataclass(frozen=True)
class Answer:
    """What the registry says about `canonical` for `use`, and in short for every other use."""

    canonical: str
    use: Use
    use_wording: Wording
    outcome: Word
    sentence: Wording
    findings: list[Finding]
    others: list[OtherUse]


def look_up(url: str, use: Use) -> Answer:
    """Ask the current snapshot, newest claims included.

    Raises:
        InvalidLocator: this is no address; `explain_invalid` says it kindly.
        Unavailable: there is no snapshot to ask right now.
    """
    form = canonical(url)
    snapshot = current_snapshot()
    answers = {each: snapshot.check([{"url": url}], Question(use=each))[0] for each in USES}
    outcome = Outcome[answers[use]["outcome"].upper()]
    return Answer(
        canonical=shown(SelectorKind.URL, form),
        use=use,
        use_wording=USES[use],
        outcome=outcome_word(outcome),
        sentence=ANSWERS[outcome],
        findings=_findings(answers[use]["reasons"]),
        others=[_other(each, answers[each]) for each in USES if each != use],
    )


def explain_invalid(error: InvalidLocator) -> Text:
    """What is wrong with an address, for whoever typed it."""
    return _PROBLEMS.get(error.status, _("This is not an address of the web."))


def outcome_word(outcome: Outcome) -> Word:
    return Word(outcome.label, OUTCOMES[outcome])


def _other(use: Use, answer: Mapping[str, Any]) -> OtherUse:
    return OtherUse(use, USES[use], outcome_word(Outcome[answer["outcome"].upper()]))


def _findings(reasons: list[Mapping[str, Any]]) -> list[Finding]:
    claims = _recorded([reason["claim"] for reason in reasons])
    return [_finding(reason, claims.get(reason["claim"])) for reason in reasons]


def _recorded(public_ids: list[str]) -> dict[str, Claim]:
    """The claims as the database has them; while it is away the answer stands, and tells less of them."""
    try:
        return {str(claim.public_id): claim for claim in Claim.objects.filter(public_id__in=public_ids)}
    except (DatabaseError, InterfaceError):
        return {}


def _finding(reason: Mapping[str, Any], claim: Claim | None) -> Finding:
    kind = SelectorKind.parse(reason["selector"])
    decision = Decision[reason["decision"].upper()]
    return Finding(
        claim=reason["claim"],
        owner=reason["owner"],
        decision=Word(decision.label, Wording(DECISION_TAGS[decision])),
        uses=[USES[use] for use in USES if claim is not None and use & Use(claim.uses)],
        kind=KINDS[kind],
        matched=shown(kind, reason["matched"]),
        how=HOWS.get(reason["how"] if kind is SelectorKind.URL else kind.label),
        grade=GRADES[Grade(reason["grade"])],
        valid_from=datetime.fromisoformat(reason["valid_from"]) if reason["valid_from"] else None,
        recorded=claim.created_at if claim is not None else None,
        terms_url=reason["terms_url"],
    )
