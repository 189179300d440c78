"""Claim events: append-only, in the order in which they were committed."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from registry.models.claims import Claim
from registry.models.constraints import octets
from registry.models.keys import ApiKey
from registry.models.people import Party, User

__all__ = ["ClaimEvent", "ClaimEventQuerySet"]


class ClaimEventQuerySet(models.QuerySet["ClaimEvent"]):
    """Reads of events."""

    def since(self, checkpoint: int) -> "ClaimEventQuerySet":
        """Events after `checkpoint`, oldest first; ids are in order of commit."""
        return self.filter(id__gt=checkpoint).order_by("id")

    def checkpoint(self) -> int:
        """The id of the newest event, 0 before the first."""
        return self.aggregate(newest=models.Max("id"))["newest"] or 0


class ClaimEvent(models.Model):
    """One change of a claim, who made it, through which key and application.

    `payload` holds no personal data; `digest` is the SHA-256 of its canonical JSON. A trigger refuses UPDATE,
    DELETE and TRUNCATE (migration 0002).
    """

    class Type(models.TextChoices):
        REGISTERED = "registered", _("registered")
        EXTENDED = "extended", _("selectors added")
        AMENDED = "amended", _("amended")
        WITHDRAWN = "withdrawn", _("withdrawn")
        HELD = "held", _("held")
        RELEASED = "released", _("released")

    # Checked for whole statements by the trigger that also checks selectors (migration 0002).
    claim = models.ForeignKey(Claim, on_delete=models.DO_NOTHING, related_name="events", db_constraint=False)
    type = models.CharField(max_length=16, choices=Type)
    # Who acted stays named by number after a user or key is deleted: no constraint may stop that deletion or
    # rewrite the event. An operator acts for no party.
    party = models.ForeignKey(
        Party, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    user = models.ForeignKey(
        User, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    application = models.CharField(max_length=64, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    payload = models.JSONField()
    digest = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()

    objects = ClaimEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("claim event")
        verbose_name_plural = _("claim events")
        constraints = [
            models.CheckConstraint(
                condition=Q(type__in=["registered", "extended", "amended", "withdrawn", "held", "released"]),
                name="claimevent_type_known",
            ),
            models.CheckConstraint(condition=octets("digest", 32), name="claimevent_digest_length"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.type}"
