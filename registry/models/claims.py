"""Claims and their selectors."""

import hashlib
import uuid
from collections.abc import Iterable

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from optout.words import Decision, SelectorKind, Use
from registry.identifiers import uuid7
from registry.models.constraints import matching, no_control_characters, octets_between
from registry.models.imports import Import
from registry.models.people import Party

__all__ = ["OWNER_PATTERN", "Claim", "ClaimQuerySet", "Selector", "selector_digest"]

# The column's type says how long it may be; said here as well, it would cost more than all other checks.
OWNER_PATTERN = r"^[^/\u0001-\u001f\u007f]*$"
#: In bytes: a locator of 8,192 bytes may grow threefold when its characters are percent-encoded.
LONGEST_VALUE = 32_768


class ClaimQuerySet(models.QuerySet["Claim"]):
    """Reads of claims."""

    def for_party(self, party: Party) -> "ClaimQuerySet":
        return self.filter(party=party)

    def active(self) -> "ClaimQuerySet":
        return self.filter(status=Claim.Status.ACTIVE)

    def speaking(self) -> "ClaimQuerySet":
        """What snapshots hold: active claims, and denials that are held: deny holds while a case is open.

        Of a denial that the flood guard holds, the perceptual hashes are silent (registry.stream).
        """
        return self.filter(
            Q(status=Claim.Status.ACTIVE) | Q(status=Claim.Status.HELD, decision=Decision.DENY)
        )

    def newest_first(self) -> "ClaimQuerySet":
        """A total order (public ids sort by time and are unique), so that pages never overlap."""
        return self.order_by("-public_id")


class Claim(models.Model):
    """One party's statement: a decision about uses, for everything its selectors match."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        HELD = "held", _("held")
        WITHDRAWN = "withdrawn", _("withdrawn")

    class Hold(models.TextChoices):
        """Why a claim is held, where that says what goes on speaking meanwhile."""

        CASE = "", _("a case is open")
        FLOOD = "flood", _("it matches too much")

    DECISIONS = [(int(decision), decision.label) for decision in Decision]

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="claims", db_index=False)
    source_import = models.ForeignKey(
        Import, null=True, blank=True, on_delete=models.PROTECT, related_name="claims", db_index=False
    )
    decision = models.PositiveSmallIntegerField(choices=DECISIONS)
    uses = models.PositiveSmallIntegerField(help_text=_("Mask of the uses as the party named them."))
    grade = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    # Imports insert claims past the ORM, and know nothing of these two.
    hold = models.CharField(max_length=16, choices=Hold, blank=True, default=Hold.CASE, db_default="")
    hold_reason = models.CharField(
        max_length=500,
        blank=True,
        default="",
        db_default="",
        help_text=_("Why it is held, for the party to read."),
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    content_key = models.UUIDField(
        null=True, blank=True, editable=False, help_text=_("Identity of an imported claim that has no ref.")
    )
    owner = models.CharField(
        max_length=200, blank=True, default="", help_text=_("The creator a platform speaks for.")
    )
    ref = models.CharField(max_length=200, blank=True, default="", help_text=_("The sender's own id."))
    terms_url = models.CharField(max_length=2048, blank=True, default="")
    title = models.CharField(max_length=500, blank=True, default="")

    objects = ClaimQuerySet.as_manager()

    class Meta:
        verbose_name = _("claim")
        verbose_name_plural = _("claims")
        constraints = [
            models.CheckConstraint(
                condition=Q(decision__gte=1, decision__lte=3), name="claim_decision_known"
            ),
            models.CheckConstraint(condition=Q(uses__gte=1, uses__lte=31), name="claim_uses_known"),
            models.CheckConstraint(condition=Q(grade__gte=0, grade__lte=4), name="claim_grade_known"),
            models.CheckConstraint(
                condition=Q(status__in=["active", "held", "withdrawn"]), name="claim_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="held") | Q(hold="", hold_reason=""), name="claim_hold_only_when_held"
            ),
            models.CheckConstraint(condition=Q(hold__in=["", "flood"]), name="claim_hold_known"),
            models.CheckConstraint(
                condition=matching(Q(status="withdrawn"), "withdrawn_at"),
                name="claim_withdrawn_iff_withdrawn_at",
            ),
            models.CheckConstraint(
                condition=~Q(decision=int(Decision.TERMS)) | ~Q(terms_url=""),
                name="claim_terms_need_terms_url",
            ),
            models.CheckConstraint(
                condition=Q(terms_url="") | Q(terms_url__iregex=r"^https?://[^ \u0001-\u001f\u007f]+$"),
                name="claim_terms_url_format",
            ),
            models.CheckConstraint(condition=Q(owner__regex=OWNER_PATTERN), name="claim_owner_format"),
            models.CheckConstraint(condition=no_control_characters("ref"), name="claim_ref_format"),
            models.CheckConstraint(condition=no_control_characters("title"), name="claim_title_format"),
            models.CheckConstraint(
                condition=Q(ref="") | Q(content_key__isnull=True), name="claim_ref_or_content_key"
            ),
            models.UniqueConstraint(
                fields=["party", "owner", "ref"], condition=~Q(ref=""), name="claim_party_owner_ref_unique"
            ),
            models.UniqueConstraint(
                fields=["party", "content_key"],
                condition=Q(content_key__isnull=False),
                name="claim_party_content_key_unique",
            ),
        ]
        indexes = [models.Index(fields=["party", "-public_id"], name="claim_party_newest")]

    def __str__(self) -> str:
        return f"{Decision(self.decision).label} {self.public_id}"

    @property
    def covered(self) -> Use:
        """Every use the claim speaks about: the named ones and those below them."""
        return Use(self.uses).covered

    @property
    def use_labels(self) -> list[str]:
        return Use(self.uses).labels

    @property
    def decision_label(self) -> str:
        return Decision(self.decision).label

    @property
    def speaker(self) -> str:
        """The owner as snapshots name it: the party's handle, or `party/creator`."""
        return f"{self.party.handle}/{self.owner}" if self.owner else self.party.handle


def selector_digest(value: str) -> uuid.UUID:
    """The key of a selector's value: the first 16 bytes of its SHA-256."""
    return uuid.UUID(bytes=hashlib.sha256(value.encode()).digest()[:16])


class Selector(models.Model):
    """What identifies the things a claim is about.

    The primary key is the table's only index and its order of storage; see docs/adr/0006-selector-table.md.
    """

    KINDS = [(int(kind), kind.label) for kind in SelectorKind]

    pk = models.CompositePrimaryKey("claim_id", "kind", "digest")
    # No row-by-row foreign key check: a statement trigger checks whole loads at once (migration 0002).
    claim = models.ForeignKey(
        Claim, on_delete=models.DO_NOTHING, related_name="selectors", db_index=False, db_constraint=False
    )
    kind = models.PositiveSmallIntegerField(choices=KINDS)
    digest = models.UUIDField(help_text=_("First 16 bytes of the SHA-256 of the value."))
    value = models.TextField()

    class Meta:
        verbose_name = _("selector")
        verbose_name_plural = _("selectors")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[int(kind) for kind in SelectorKind]), name="selector_kind_known"
            ),
            models.CheckConstraint(
                condition=octets_between("value", 1, LONGEST_VALUE), name="selector_value_length"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind_label}: {self.value}"

    @property
    def kind_label(self) -> str:
        return SelectorKind(self.kind).label

    @classmethod
    def of(cls, claim: Claim, pairs: Iterable[tuple[SelectorKind, str]]) -> "list[Selector]":
        """Unsaved selectors of `claim`, without duplicates, in the table's order."""
        rows = {(int(kind), selector_digest(value)): value for kind, value in pairs}
        return [
            cls(claim=claim, kind=kind, digest=digest, value=rows[kind, digest])
            for kind, digest in sorted(rows)
        ]
