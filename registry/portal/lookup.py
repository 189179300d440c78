"""What the registry says about one address or picture, shaped for the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from django.db import DatabaseError, InterfaceError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from optout.engine import Question
from optout.locators import canonical
from optout.words import CONTENT_KINDS, Decision, Grade, Outcome, SelectorKind, Use
from registry.live import current_snapshot
from registry.models import Claim
from registry.pictures import hash_asked
from registry.portal.lines import shown
from registry.portal.words import (
    ANSWERS,
    DECISION_TAGS,
    GRADES,
    HOWS,
    KINDS,
    ORIENTATIONS,
    OUTCOMES,
    TIERS,
    USES,
    Wording,
)

__all__ = ["Answer", "Finding", "Word", "look_up", "look_up_picture", "outcome_word"]

#: Kinds that say that two pictures are alike.
_LIKE = CONTENT_KINDS - {SelectorKind.SHA256, SelectorKind.MD5}


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
    likeness: str


@dataclass(frozen=True)
class OtherUse:
    """The outcome for another use than the one asked about."""

    use: Use
    wording: Wording
    outcome: Word


@dataclass(frozen=True)
class Answer:
    """What the registry says about a `subject` for `use`, and in short for every other use.

    `resemblances` are claims that a picture resembles too little to be decided about.
    """

    subject: str
    use: Use
    use_wording: Wording
    outcome: Word
    sentence: Wording
    findings: list[Finding]
    resemblances: list[Finding]
    others: list[OtherUse]


def look_up(url: str, use: Use) -> Answer:
    """Ask the current snapshot, newest claims included.

    Raises:
        InvalidLocator: this is no address; `explain_invalid` says it kindly.
        Unavailable: there is no snapshot to ask right now.
    """
    return _answer({"url": url}, shown(SelectorKind.URL, canonical(url)), use)


def look_up_picture(file: IO[bytes], name: str, use: Use) -> Answer:
    """Ask about a picture, by its digests and by what it looks like.

    Raises:
        BadInput: it cannot be read.
        Unavailable: there is no snapshot to ask, or too much to do, right now.
    """
    picture, probes = hash_asked(file)
    item = {"picture": probes, "sha256": picture.sha256, "md5": picture.md5}
    return _answer(item, name, use)


def _answer(item: Mapping[str, Any], subject: str, use: Use) -> Answer:
    snapshot = current_snapshot()
    answers = {each: snapshot.check([item], Question(use=each))[0] for each in USES}
    outcome = Outcome[answers[use]["outcome"].upper()]
    return Answer(
        subject=subject,
        use=use,
        use_wording=USES[use],
        outcome=outcome_word(outcome),
        sentence=ANSWERS[outcome],
        findings=_findings(answers[use]["reasons"]),
        resemblances=_findings(answers[use]["flags"]),
        others=[_other(each, answers[each]) for each in USES if each != use],
    )


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
        matched=_matched(kind, reason["matched"]),
        how=_how(kind, reason),
        grade=GRADES[Grade(reason["grade"])],
        valid_from=datetime.fromisoformat(reason["valid_from"]) if reason["valid_from"] else None,
        recorded=claim.created_at if claim is not None else None,
        terms_url=reason["terms_url"],
        likeness=_likeness(reason) if kind in _LIKE else "",
    )


def _matched(kind: SelectorKind, matched: str) -> str:
    """What matched; of a picture its own hash, by its beginning."""
    return f"{matched[:16]} …" if kind in _LIKE else shown(kind, matched)


def _how(kind: SelectorKind, reason: Mapping[str, Any]) -> Wording | None:
    if kind in _LIKE:
        return TIERS[reason["tier"]]
    return HOWS.get(reason["how"] if kind is SelectorKind.URL else kind.label)


def _likeness(reason: Mapping[str, Any]) -> str:
    """How a picture resembles the claimed one, in numbers."""
    numbers = {"distance": reason["distance"], "most": reason["threshold"]}
    if reason["selector"] == SelectorKind.CLIP.label:
        return (
            _("What it shows is %(distance).2f from what the claimed picture shows; %(most).2f counts.")
            % numbers
        )
    sentence = ngettext(
        "Its hash differs from the claimed one in %(distance)d bit; up to %(most)d count.",
        "Its hash differs from the claimed one in %(distance)d bits; up to %(most)d count.",
        numbers["distance"],
    )
    turned = ORIENTATIONS.get(reason["orientation"], "")
    return f"{sentence % numbers} {turned}".rstrip()
