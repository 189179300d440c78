"""Claims, with their selectors, and their events."""

from typing import Protocol

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from registry.admin.base import ReadOnlyAdmin, apply_service, operator_of, request_id_of
from registry.models import Claim, ClaimEvent, User
from registry.services.claims import hold_claim, release_claim, withdraw_as_operator

__all__ = ["ClaimAdmin", "ClaimEventAdmin"]

_MOST_SHOWN = 100


class Moderate(Protocol):
    """A service of an operator about one claim."""

    def __call__(self, *, operator: User, claim: Claim, request_id: str) -> Claim: ...


@admin.register(Claim)
class ClaimAdmin(ReadOnlyAdmin[Claim]):
    """Claims; they change by withdrawing, holding and releasing, and each change is an event."""

    list_display = [
        "public_id",
        "party",
        "owner",
        "decision",
        "named_uses",
        "grade",
        "status",
        "ref",
        "created_at",
    ]
    list_filter = ["status", "hold", "decision", "grade", "party__kind"]
    list_select_related = ["party"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["=public_id", "=party__handle", "=owner", "=ref"]
    search_help_text = _("A claim's id, a party's handle, a creator or a ref, in full")
    ordering = ["-public_id"]
    fields = [
        "public_id",
        "party",
        "owner",
        "ref",
        "decision",
        "named_uses",
        "grade",
        "status",
        "why_held",
        "hold_reason",
        "valid_from",
        "terms_url",
        "title",
        "created_at",
        "withdrawn_at",
        "source_import",
        "selector_list",
        "picture_link",
        "event_list",
    ]
    actions = ["withdraw", "hold", "release"]

    @admin.display(description=_("uses"))
    def named_uses(self, claim: Claim) -> str:
        return ", ".join(claim.use_labels)

    @admin.display(description=_("on hold because"))
    def why_held(self, claim: Claim) -> str | None:
        return claim.get_hold_display() if claim.status == Claim.Status.HELD else None

    @admin.display(description=_("pictures"))
    def picture_link(self, claim: Claim) -> SafeString | None:
        count = claim.uploads.count()
        address = f"{reverse('admin:registry_upload_changelist')}?q={claim.public_id}"
        return format_html('<a href="{}">{}</a>', address, count) if count else None

    @admin.display(description=_("selectors"))
    def selector_list(self, claim: Claim) -> SafeString:
        shown = claim.selectors.order_by("kind", "digest")[:_MOST_SHOWN]
        return format_html_join("", "<div>{}: {}</div>", ((row.kind_label, row.value) for row in shown))

    @admin.display(description=_("events"))
    def event_list(self, claim: Claim) -> SafeString:
        shown = claim.events.order_by("-id")[:_MOST_SHOWN]
        rows = ((row.created_at.isoformat(), row.get_type_display(), row.application) for row in shown)
        return format_html_join("", "<div>{} {} {}</div>", rows)

    @admin.action(description=_("Withdraw"), permissions=["view"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Claim]) -> None:
        self._moderate(request, queryset, withdraw_as_operator)

    @admin.action(description=_("Hold: a denial goes on speaking, nothing else does"), permissions=["view"])
    def hold(self, request: HttpRequest, queryset: QuerySet[Claim]) -> None:
        self._moderate(request, queryset, hold_claim)

    @admin.action(description=_("Release"), permissions=["view"])
    def release(self, request: HttpRequest, queryset: QuerySet[Claim]) -> None:
        self._moderate(request, queryset, release_claim)

    def _moderate(self, request: HttpRequest, queryset: QuerySet[Claim], service: Moderate) -> None:
        operator, request_id = operator_of(request), request_id_of(request)
        apply_service(
            self,
            request,
            queryset,
            lambda claim: service(operator=operator, claim=claim, request_id=request_id),
        )


@admin.register(ClaimEvent)
class ClaimEventAdmin(ReadOnlyAdmin[ClaimEvent]):
    """Events, read-only as in the database."""

    list_display = ["id", "type", "claim", "party", "user", "key", "application", "request_id", "created_at"]
    list_filter = ["type", "application"]
    list_select_related = ["claim", "party", "user", "key"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["=claim__public_id", "=request_id", "=party__handle"]
    ordering = ["-id"]
    fields = [
        "id",
        "type",
        "claim",
        "party",
        "user",
        "key",
        "application",
        "request_id",
        "created_at",
        "payload",
        "digest_hex",
    ]

    @admin.display(description=_("digest"))
    def digest_hex(self, event: ClaimEvent) -> str:
        return bytes(event.digest).hex()
