"""What the admin pages share."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from registry.errors import RegistryError
from registry.models import User

__all__ = ["ModelAdmin", "ReadOnlyAdmin", "TabularInline", "apply_service", "operator_of", "request_id_of"]

M = TypeVar("M", bound=models.Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
else:
    # Django's classes take their type parameters in the stubs only.

    class ModelAdmin(admin.ModelAdmin):
        def __class_getitem__(cls, _: object) -> type:
            return cls

    class TabularInline(admin.TabularInline):
        def __class_getitem__(cls, _: object) -> type:
            return cls


class ReadOnlyAdmin(ModelAdmin[M]):
    """Shows things; actions, which call services, are the only changes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The change page of an object must open for reading, and actions need a list.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def operator_of(request: HttpRequest) -> User:
    """The signed-in member of staff."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def request_id_of(request: HttpRequest) -> str:
    return str(request.headers.get("X-Request-ID", ""))[:64]


def apply_service(
    model_admin: ModelAdmin[M], request: HttpRequest, things: Iterable[M], service: Callable[[M], Any]
) -> None:
    """Call `service` for each thing; say how many went well and why others did not."""
    done = 0
    for thing in things:
        try:
            service(thing)
        except RegistryError as error:
            model_admin.message_user(request, f"{thing}: {error.detail}", messages.ERROR)
        else:
            done += 1
    if done:
        text = ngettext("%(count)d done.", "%(count)d done.", done) % {"count": done}
        model_admin.message_user(request, text, messages.SUCCESS)
    else:
        model_admin.message_user(request, _("Nothing was changed."), messages.WARNING)
