"""A party's claims: the list, one claim, opting out, withdrawing."""

from uuid import UUID, uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from registry.access import access_claim
from registry.actor import Actor
from registry.errors import Conflict, RegistryError
from registry.models import Claim
from registry.portal.acting import for_party
from registry.portal.cards import ClaimCard, claim_history
from registry.portal.forms import RegisterForm, add_refusal
from registry.portal.picture_cards import PictureCard
from registry.portal.words import STATUSES
from registry.services.claims import withdraw_claim
from registry.services.pictures import claim_with_pictures

__all__ = ["claim_detail", "claims", "register", "withdraw"]

PAGE = 20
LINES_IN_LIST = 1
LINES_IN_FULL = 200
PICTURES_IN_FULL = 12


@require_safe
@for_party
def claims(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The party's claims, newest first, by status."""
    mine = Claim.objects.for_party(actor.party)
    status = request.GET.get("status", "")
    chosen = mine.filter(status=status) if status in Claim.Status.values else mine
    page = Paginator(chosen.newest_first(), PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "portal/claims.html",
        {
            "section": "claims",
            "page": page,
            "cards": [ClaimCard(claim, most=LINES_IN_LIST) for claim in page],
            "status": status if status in Claim.Status.values else "",
            "statuses": STATUSES,
            "has_any": page.paginator.count > 0 or mine.exists(),
        },
    )


@require_safe
@for_party
def claim_detail(request: HttpRequest, actor: Actor, public_id: UUID) -> HttpResponse:
    """One claim: what it says, what it matches, what happened to it."""
    claim = access_claim(actor, public_id)
    card = ClaimCard(claim, most=LINES_IN_FULL)
    context = {
        "section": "claims",
        "claim": claim,
        "card": card,
        "picture_count": claim.uploads.count(),
        "pictures": [PictureCard(upload) for upload in claim.uploads.in_order()[:PICTURES_IN_FULL]],
        "history": claim_history(claim),
    }
    return render(request, "portal/claim.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_party
def register(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The opt-out form; what was written is shown once more before it is recorded."""
    if request.method != "POST":
        return _form(request, RegisterForm(initial={"token": uuid4()}))
    form = RegisterForm(request.POST)
    step = request.POST.get("step", "preview")
    if not form.is_valid():
        return _form(request, form, status=400)
    if step == "edit":
        return _form(request, form)
    if step == "record":
        return _record(request, actor, form)
    return render(request, "portal/register_preview.html", {"section": "register", "form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@for_party
def withdraw(request: HttpRequest, actor: Actor, public_id: UUID) -> HttpResponse:
    """Ask once more, then withdraw."""
    claim = access_claim(actor, public_id)
    if request.method != "POST":
        context = {"section": "claims", "claim": claim, "card": ClaimCard(claim, most=LINES_IN_LIST)}
        return render(request, "portal/withdraw.html", context)
    try:
        withdraw_claim(acting=actor, claim=claim)
    except Conflict as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, _("The claim is withdrawn. From now on it is no longer in any answer."))
    return redirect("portal:claim", public_id=claim.public_id)


def _form(request: HttpRequest, form: RegisterForm, status: int = 200) -> HttpResponse:
    return render(request, "portal/register.html", {"section": "register", "form": form}, status=status)


def _record(request: HttpRequest, actor: Actor, form: RegisterForm) -> HttpResponse:
    fields = form.claim_fields
    try:
        claim = claim_with_pictures(acting=actor, **fields)
    except Conflict as error:
        if error.code != "ref_exists":
            return _refused(request, form, error)
        # The button was pressed twice: the claim that is there is the one that was meant.
        claim = Claim.objects.for_party(actor.party).get(owner="", ref=fields["ref"])
    except RegistryError as error:
        return _refused(request, form, error)
    messages.success(
        request, _("Your opt-out is recorded. The answers of the registry include it within seconds.")
    )
    return redirect("portal:claim", public_id=claim.public_id)


def _refused(request: HttpRequest, form: RegisterForm, error: RegistryError) -> HttpResponse:
    add_refusal(form, error)
    return _form(request, form, status=error.status)
