"""Bulk imports and the rows they refused."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from registry.identifiers import uuid7
from registry.models.constraints import matching
from registry.models.keys import ApiKey
from registry.models.people import Party, User

__all__ = ["Import", "ImportQuerySet", "ImportRejection"]


class ImportQuerySet(models.QuerySet["Import"]):
    """Reads of imports."""

    def for_party(self, party: Party) -> "ImportQuerySet":
        return self.filter(party=party)

    def unfinished(self) -> "ImportQuerySet":
        return self.filter(state__in=[Import.State.RECEIVED, Import.State.RUNNING])

    def newest_first(self) -> "ImportQuerySet":
        """A total order, so that pages never overlap."""
        return self.order_by("-public_id")


class Import(models.Model):
    """One claim exchange file that a party sent, and how far its loading has come.

    `position`, the number of the last row that was dealt with, moves in the same transaction as the rows
    themselves. Every row read is good, bad or unchanged: `rows_done = rows_good + rows_bad + rows_unchanged`.
    """

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="imports", db_index=False)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    application = models.CharField(max_length=64, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    filename = models.CharField(max_length=255)
    format = models.CharField(max_length=8)
    object_key = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.RECEIVED)
    position = models.BigIntegerField(default=0)
    rows_done = models.BigIntegerField(default=0)
    rows_good = models.BigIntegerField(default=0)
    rows_bad = models.BigIntegerField(default=0)
    rows_unchanged = models.BigIntegerField(default=0)
    claims_created = models.BigIntegerField(default=0)
    claims_amended = models.BigIntegerField(default=0)
    rejections_key = models.CharField(max_length=255, blank=True, default="")
    error_code = models.CharField(max_length=64, blank=True, default="")
    error = models.TextField(blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["received", "running", "done", "failed"]), name="import_state_known"
            ),
            models.CheckConstraint(
                condition=Q(format__in=["jsonl", "csv", "parquet"]), name="import_format_known"
            ),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="import_sha256_format"),
            models.CheckConstraint(condition=Q(size_bytes__gte=0), name="import_size_not_negative"),
            models.CheckConstraint(
                condition=Q(rows_done=F("rows_good") + F("rows_bad") + F("rows_unchanged")),
                name="import_rows_add_up",
            ),
            models.CheckConstraint(
                condition=Q(rows_good__gte=0, rows_bad__gte=0, rows_unchanged__gte=0),
                name="import_rows_not_negative",
            ),
            models.CheckConstraint(
                condition=matching(Q(state__in=["done", "failed"]), "finished_at"),
                name="import_finished_iff_finished_at",
            ),
            models.CheckConstraint(
                condition=Q(state="failed") | Q(error=""), name="import_error_only_when_failed"
            ),
        ]
        indexes = [
            models.Index(fields=["party", "-public_id"], name="import_party_newest"),
            models.Index(
                fields=["created_at"],
                condition=Q(state__in=["received", "running"]),
                name="import_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.filename} ({self.state})"

    @property
    def is_finished(self) -> bool:
        return self.state in (self.State.DONE, self.State.FAILED)


class ImportRejection(models.Model):
    """One refused row of an import; the first 10,000 are kept here, all of them in a file."""

    source_import = models.ForeignKey(
        Import, on_delete=models.CASCADE, related_name="rejections", db_index=False
    )
    row = models.BigIntegerField()
    code = models.CharField(max_length=64)
    detail = models.TextField()
    excerpt = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("refused row")
        verbose_name_plural = _("refused rows")
        ordering = ["source_import", "row"]
        constraints = [
            models.UniqueConstraint(fields=["source_import", "row"], name="importrejection_row_unique"),
            models.CheckConstraint(condition=Q(row__gte=1), name="importrejection_row_positive"),
        ]

    def __str__(self) -> str:
        return f"row {self.row}: {self.code}"
