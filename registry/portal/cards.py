"""Claims as the pages show them."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from optout.words import Decision, Grade, SelectorKind, Use
from registry.models import Claim, ClaimEvent
from registry.portal.lines import Line
from registry.portal.lookup import Word
from registry.portal.words import (
    APPLICATIONS,
    DECISION_TAGS,
    DECISIONS,
    EVENTS,
    GRADES,
    STATUSES,
    USES,
    Text,
    Wording,
)

__all__ = ["ClaimCard", "HistoryEntry", "claim_history"]


class ClaimCard:
    """What the list and the page of a claim say about it.

    At most `most` selectors are read: an imported claim may have millions.
    """

    def __init__(self, claim: Claim, *, most: int) -> None:
        self.claim = claim
        self.decision = Word(Decision(claim.decision).label, DECISIONS[Decision(claim.decision)])
        self.decision_tag: Text = DECISION_TAGS[Decision(claim.decision)]
        self.status = Word(claim.status, STATUSES[claim.status])
        self.grade: Wording = GRADES[Grade(claim.grade)]
        self.uses: list[Wording] = [USES[use] for use in USES if use & Use(claim.uses)]
        self.covered: list[Wording] = [USES[use] for use in USES if use & claim.covered & ~Use(claim.uses)]
        rows = claim.selectors.order_by("kind", "digest")[: most + 1]
        lines = [Line(SelectorKind(row.kind), row.value, value=row.value) for row in rows]
        self.lines, self.has_more = lines[:most], len(lines) > most

    @property
    def heading(self) -> str:
        """The claim's title, or the first thing it is about."""
        return self.claim.title or (self.lines[0].shown if self.lines else _("A claim without selectors"))


@dataclass(frozen=True)
class HistoryEntry:
    """One event of a claim in words."""

    what: Wording
    at: datetime
    through: Text


def claim_history(claim: Claim) -> list[HistoryEntry]:
    """What happened to the claim, the oldest first."""
    events = ClaimEvent.objects.filter(claim=claim).order_by("id")
    return [
        HistoryEntry(
            EVENTS[event.type], event.created_at, APPLICATIONS.get(event.application, event.application)
        )
        for event in events
    ]
