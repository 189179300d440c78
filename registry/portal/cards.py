"""Claims as the pages show them."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from optout.words import CONTENT_KINDS, Decision, Grade, SelectorKind, Use
from registry.models import Claim, ClaimEvent, Selector
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
from registry.shown import made_here

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
        rows = list(claim.selectors.order_by("kind", "digest")[: most + 1])
        pairs = [(SelectorKind(row.kind), row.value) for row in rows if row.kind in CONTENT_KINDS]
        made = made_here([claim], pairs) if pairs else set()
        # Hashes of pictures that were sent are shown with the pictures.
        lines = [_line(row) for row in rows if (claim.pk, row.value) not in made]
        self.lines = lines[:most]
        self.has_more = len(rows) > most if lines else claim.uploads.count() > 1

    @property
    def heading(self) -> str:
        """The claim's title, or the first thing it is about."""
        if self.claim.title or self.lines:
            return self.claim.title or self.lines[0].shown
        first = self.claim.uploads.in_order().first()
        return first.name if first is not None else _("A claim without selectors")


def _line(row: Selector) -> Line:
    return Line(SelectorKind(row.kind), row.value, value=row.value, by_sender=row.kind in CONTENT_KINDS)


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
