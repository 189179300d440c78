"""Answers kept so that a repeated request gets the same one."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from registry.models.constraints import matching, octets
from registry.models.people import Party

__all__ = ["IdempotencyRecord"]


class IdempotencyRecord(models.Model):
    """One Idempotency-Key of a party: the request it stood for and, once done, the answer."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        DONE = "done", _("done")

    party = models.ForeignKey(Party, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    request_digest = models.BinaryField(max_length=32)
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    response_status = models.PositiveSmallIntegerField(null=True, blank=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.BinaryField(default=b"")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("idempotency record")
        verbose_name_plural = _("idempotency records")
        constraints = [
            models.UniqueConstraint(fields=["party", "key"], name="idempotency_party_key_unique"),
            models.CheckConstraint(
                condition=Q(state__in=["running", "done"]), name="idempotency_state_known"
            ),
            models.CheckConstraint(condition=octets("request_digest", 32), name="idempotency_digest_length"),
            models.CheckConstraint(
                condition=matching(Q(state="done"), "response_status"), name="idempotency_done_iff_response"
            ),
        ]

    def __str__(self) -> str:
        return self.key
