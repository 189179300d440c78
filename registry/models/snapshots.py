"""The snapshots that were built and published."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from registry.identifiers import uuid7

__all__ = ["SnapshotRecord", "SnapshotRecordQuerySet"]


class SnapshotRecordQuerySet(models.QuerySet["SnapshotRecord"]):
    """Reads of snapshot records."""

    def published(self) -> "SnapshotRecordQuerySet":
        return self.filter(state=SnapshotRecord.State.PUBLISHED)

    def newest_first(self) -> "SnapshotRecordQuerySet":
        return self.order_by("-public_id")

    def latest_published(self) -> "SnapshotRecord | None":
        return self.published().newest_first().first()


class SnapshotRecord(models.Model):
    """One built snapshot: its digest, its checkpoint and where its files lie."""

    class State(models.TextChoices):
        PUBLISHED = "published", _("published")
        PRUNED = "pruned", _("files removed")

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    state = models.CharField(max_length=16, choices=State, default=State.PUBLISHED)
    digest = models.CharField(max_length=64)
    checkpoint = models.BigIntegerField()
    claims = models.BigIntegerField()
    selectors = models.BigIntegerField()
    size_bytes = models.BigIntegerField()
    seconds = models.FloatField()
    directory = models.CharField(max_length=255)
    object_prefix = models.CharField(max_length=255)
    manifest = models.JSONField()
    built_at = models.DateTimeField(auto_now_add=True)

    objects = SnapshotRecordQuerySet.as_manager()

    class Meta:
        verbose_name = _("snapshot")
        verbose_name_plural = _("snapshots")
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["published", "pruned"]), name="snapshot_state_known"
            ),
            models.CheckConstraint(
                condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="snapshot_digest_format"
            ),
            models.CheckConstraint(condition=Q(checkpoint__gte=0), name="snapshot_checkpoint_not_negative"),
        ]
        indexes = [
            models.Index(
                fields=["-public_id"], condition=Q(state="published"), name="snapshot_published_newest"
            )
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint} {self.digest[:12]}"
