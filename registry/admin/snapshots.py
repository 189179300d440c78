"""Snapshots."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from registry.admin.base import ReadOnlyAdmin
from registry.models import SnapshotRecord
from registry.services.snapshots import send_build

__all__ = ["SnapshotRecordAdmin"]


@admin.register(SnapshotRecord)
class SnapshotRecordAdmin(ReadOnlyAdmin[SnapshotRecord]):
    """Built snapshots, the newest first."""

    list_display = [
        "built_at",
        "state",
        "checkpoint",
        "claims",
        "selectors",
        "size_bytes",
        "seconds",
        "digest",
    ]
    list_filter = ["state"]
    search_fields = ["=digest"]
    ordering = ["-public_id"]
    actions = ["build"]

    @admin.action(description=_("Build a snapshot now"), permissions=["view"])
    def build(self, request: HttpRequest, queryset: QuerySet[SnapshotRecord]) -> None:
        send_build()
        self.message_user(
            request, _("A build was asked for; it runs when there are new events."), messages.SUCCESS
        )
