"""The models that embedded pictures here."""

import json

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from registry.admin.base import ReadOnlyAdmin
from registry.models import ClipModel

__all__ = ["ClipModelAdmin"]


@admin.register(ClipModel)
class ClipModelAdmin(ReadOnlyAdmin[ClipModel]):
    """Models of embeddings; what stands here is measured by workers and copied into every snapshot."""

    list_display = ["identifier", "name", "dimension", "changed_at"]
    search_fields = ["=identifier"]
    ordering = ["-changed_at"]
    fields = ["identifier", "changed_at", "what_snapshots_say"]

    @admin.display(description=_("name"))
    def name(self, model: ClipModel) -> str:
        return str(model.record.get("name", ""))

    @admin.display(description=_("dimensions"))
    def dimension(self, model: ClipModel) -> str:
        return str(model.record.get("dimension", ""))

    @admin.display(description=_("what snapshots say of it"))
    def what_snapshots_say(self, model: ClipModel) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(model.record, indent=2, ensure_ascii=False))
