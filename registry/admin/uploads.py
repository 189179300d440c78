"""Uploaded pictures: how far they are, why some were put aside; those that are kept can be looked at."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry import storage
from registry.admin.base import ReadOnlyAdmin, apply_service
from registry.models import Upload
from registry.services.pictures import retry_upload

__all__ = ["UploadAdmin"]

#: What a browser may be told that a picture is; the sender's word for anything else is not passed on.
_SHOWN = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/bmp", "image/avif"}
)


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin[Upload]):
    """Uploads; one that our own program failed on can be tried again while its picture is stored.

    Pictures are shown only where the owner asked to keep them.
    """

    list_display = ["public_id", "party", "claim", "name", "state", "reason_code", "embedding", "created_at"]
    list_filter = ["state", "reason_code", "embedding", "keep"]
    list_select_related = ["party", "claim"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["=public_id", "=party__handle", "=claim__public_id", "=sha256"]
    ordering = ["-public_id"]
    actions = ["retry"]
    readonly_fields = ["picture"]

    @admin.action(description=_("Try again"), permissions=["view"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Upload]) -> None:
        apply_service(self, request, queryset, lambda upload: retry_upload(upload=upload))

    @admin.display(description=_("picture"))
    def picture(self, upload: Upload) -> SafeString | str:
        if not upload.is_kept:
            return gettext("Not kept: its owner did not ask for it, or removed it.")
        address = reverse("admin:registry_upload_picture", args=[upload.pk])
        return format_html('<a href="{0}"><img src="{0}" alt="{1}" width="400"></a>', address, upload.name)

    def get_urls(self) -> list[URLPattern]:
        show = self.admin_site.admin_view(self.show_picture)
        mine = [path("<int:number>/picture/", show, name="registry_upload_picture")]
        return [*mine, *super().get_urls()]

    def show_picture(self, request: HttpRequest, number: int) -> FileResponse:
        """The bytes of a kept picture, in a form that no browser takes for a page."""
        upload = get_object_or_404(Upload, pk=number)
        if not self.has_view_permission(request, upload):
            raise PermissionDenied
        if not upload.is_kept:
            raise Http404("This picture is not kept.")
        is_shown = upload.content_type in _SHOWN
        try:
            file = storage.open(upload.object_key)
        except FileNotFoundError:
            raise Http404("This picture is not stored any more.") from None
        return FileResponse(
            file,
            as_attachment=not is_shown,
            filename=upload.name,
            content_type=upload.content_type if is_shown else "application/octet-stream",
        )
