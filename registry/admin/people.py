"""Users, parties, keys and domain proofs."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from registry.admin.base import ModelAdmin, ReadOnlyAdmin, TabularInline, apply_service, operator_of
from registry.models import ApiKey, DomainProof, Membership, Party, User
from registry.services.domains import verify_proof
from registry.services.keys import revoke_as_operator

__all__ = ["ApiKeyAdmin", "DomainProofAdmin", "PartyAdmin", "UserAdmin"]


@admin.register(User)
class UserAdmin(ModelAdmin[User]):
    """People who sign in; they do so with e-mail codes, so there is no password to set."""

    list_display = ["email", "is_staff", "is_active", "date_joined", "last_login"]
    list_filter = ["is_staff", "is_active"]
    search_fields = ["email", "memberships__party__handle"]
    ordering = ["-date_joined"]
    fields = ["email", "is_active", "is_staff", "is_superuser", "groups", "date_joined", "last_login"]
    readonly_fields = ["date_joined", "last_login"]
    filter_horizontal = ["groups"]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            obj.note_address()


class MembershipInline(TabularInline[Membership, Party]):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Party)
class PartyAdmin(ModelAdmin[Party]):
    """Parties; the handle stands in published snapshots and never changes."""

    list_display = ["handle", "display_name", "kind", "created_at"]
    list_filter = ["kind"]
    search_fields = ["handle", "display_name", "memberships__user__email"]
    ordering = ["-public_id"]
    fields = ["public_id", "handle", "kind", "display_name", "created_at"]
    readonly_fields = ["public_id", "created_at"]
    inlines = [MembershipInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Party | None = None) -> list[str]:
        return [*self.readonly_fields, *(["handle"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class UsableFilter(admin.SimpleListFilter):
    title = _("usable")
    parameter_name = "usable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("usable")), ("revoked", _("revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        if self.value() is None:
            return queryset
        return queryset.filter(Q(revoked_at__isnull=self.value() == "yes"))


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin[ApiKey]):
    """Keys: what they may do and when they were used last, never their digest."""

    list_display = [
        "prefix",
        "party",
        "name",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]
    list_filter = [UsableFilter]
    list_select_related = ["party"]
    search_fields = ["prefix", "name", "party__handle"]
    ordering = ["-public_id"]
    exclude = ["digest"]
    actions = ["revoke"]

    @admin.action(description=_("Revoke"), permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        apply_service(self, request, queryset, lambda key: revoke_as_operator(key=key))


@admin.register(DomainProof)
class DomainProofAdmin(ModelAdmin[DomainProof]):
    """Which party says that a domain is hers; verifying is an action."""

    list_display = ["domain", "party", "created_at", "verified_at", "verified_by"]
    list_filter = [("verified_at", admin.EmptyFieldListFilter)]
    list_select_related = ["party", "verified_by"]
    search_fields = ["domain", "party__handle"]
    ordering = ["-public_id"]
    fields = ["party", "domain", "created_at", "verified_at", "verified_by"]
    readonly_fields = ["created_at", "verified_at", "verified_by"]
    autocomplete_fields = ["party"]
    actions = ["verify"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description=_("Verify: this party has proven the domain"), permissions=["view"])
    def verify(self, request: HttpRequest, queryset: QuerySet[DomainProof]) -> None:
        operator = operator_of(request)
        apply_service(self, request, queryset, lambda proof: verify_proof(operator=operator, proof=proof))
