"""Imports and the rows they refused."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from registry.admin.base import ReadOnlyAdmin, apply_service
from registry.models import Import
from registry.services.imports import retry_import

__all__ = ["ImportAdmin"]

_MOST_SHOWN = 100


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin[Import]):
    """Imports: how far they are, what they counted, what was wrong."""

    list_display = [
        "public_id",
        "party",
        "filename",
        "state",
        "rows_done",
        "rows_good",
        "rows_unchanged",
        "rows_bad",
        "created_at",
        "finished_at",
    ]
    list_filter = ["state", "format"]
    list_select_related = ["party"]
    search_fields = ["=public_id", "=party__handle", "filename", "=sha256"]
    ordering = ["-public_id"]
    actions = ["retry"]
    readonly_fields = ["refused_rows"]

    @admin.display(description=_("refused rows"))
    def refused_rows(self, source: Import) -> SafeString:
        shown = source.rejections.order_by("row")[:_MOST_SHOWN]
        return format_html_join(
            "", "<div>{}: {} ({}) {}</div>", ((row.row, row.detail, row.code, row.excerpt) for row in shown)
        )

    @admin.action(description=_("Try again"), permissions=["view"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Import]) -> None:
        apply_service(self, request, queryset, lambda source: retry_import(source_import=source))
