"""Uploaded pictures: how far they are, and why some were put aside. The pictures themselves are not shown."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from registry.admin.base import ReadOnlyAdmin, apply_service
from registry.models import Upload
from registry.services.pictures import retry_upload

__all__ = ["UploadAdmin"]


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin[Upload]):
    """Uploads; one that our own program failed on can be tried again while its picture is stored."""

    list_display = ["public_id", "party", "claim", "name", "state", "reason_code", "embedding", "created_at"]
    list_filter = ["state", "reason_code", "embedding", "keep"]
    list_select_related = ["party", "claim"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["=public_id", "=party__handle", "=claim__public_id", "=sha256"]
    ordering = ["-public_id"]
    actions = ["retry"]

    @admin.action(description=_("Try again"), permissions=["view"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Upload]) -> None:
        apply_service(self, request, queryset, lambda upload: retry_upload(upload=upload))
