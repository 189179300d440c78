"""Imports, to look at: files are sent through the API."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from registry.access import access_import
from registry.actor import Actor
from registry.models import Import
from registry.portal.acting import for_party
from registry.portal.words import IMPORT_STATES

__all__ = ["import_detail", "imports"]

PAGE = 20
REJECTIONS_PAGE = 100


@require_safe
@for_party
def imports(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The party's imports, newest first."""
    page = Paginator(Import.objects.for_party(actor.party).newest_first(), PAGE).get_page(
        request.GET.get("page")
    )
    rows = [(each, IMPORT_STATES[each.state]) for each in page]
    return render(request, "portal/imports.html", {"section": "imports", "page": page, "rows": rows})


@require_safe
@for_party
def import_detail(request: HttpRequest, actor: Actor, public_id: UUID) -> HttpResponse:
    """How one import went, and each refused row with its reason."""
    found = access_import(actor, public_id)
    page = Paginator(found.rejections.order_by("row"), REJECTIONS_PAGE).get_page(request.GET.get("page"))
    context = {"section": "imports", "found": found, "state": IMPORT_STATES[found.state], "page": page}
    return render(request, "portal/import.html", context)
