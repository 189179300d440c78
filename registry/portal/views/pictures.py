"""Opting out by picture: sending pictures, and what became of each."""

from uuid import UUID, uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from registry.access import access_claim, access_upload
from registry.actor import Actor
from registry.errors import Conflict, RegistryError
from registry.models import Claim
from registry.portal.acting import for_party
from registry.portal.cards import ClaimCard
from registry.portal.forms import add_refusal
from registry.portal.picture_cards import PictureCard
from registry.portal.picture_forms import MorePicturesForm, PicturesForm
from registry.services.pictures import add_pictures, claim_with_pictures, delete_upload
from registry.shown import picture_counts

__all__ = ["claim_pictures", "register_pictures", "remove_picture"]

PAGE = 50
#: Seconds after which the page looks again by itself, if the person lets it.
AGAIN = 4


@require_http_methods(["GET", "HEAD", "POST"])
@for_party
def register_pictures(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The form, and recording what it sends; what cannot be hashed is said on the page that follows."""
    if request.method != "POST":
        return _form(request, PicturesForm(initial={"token": uuid4()}))
    form = PicturesForm(request.POST, request.FILES)
    if not form.is_valid():
        return _form(request, form, status=400)
    try:
        claim = claim_with_pictures(
            acting=actor, pictures=form.sent, keep=form.cleaned_data["keep"], **form.stated
        )
    except Conflict as error:
        if error.code != "ref_exists":
            return _refused(request, form, error)
        # The button was pressed twice: the claim that is there is the one that was meant.
        claim = Claim.objects.for_party(actor.party).get(owner="", ref=form.stated["ref"])
    except RegistryError as error:
        return _refused(request, form, error)
    return _watch(request, claim, len(form.sent))


@require_http_methods(["GET", "HEAD", "POST"])
@for_party
def claim_pictures(request: HttpRequest, actor: Actor, public_id: UUID) -> HttpResponse:
    """Each picture of a claim with its state and reason; more can be sent."""
    claim = access_claim(actor, public_id)
    if request.method != "POST":
        return _pictures(request, claim, MorePicturesForm())
    form = MorePicturesForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            add_pictures(acting=actor, claim=claim, pictures=form.sent, keep=form.cleaned_data["keep"])
        except RegistryError as error:
            add_refusal(form, error)
        else:
            return _watch(request, claim, len(form.sent))
    return _pictures(request, claim, form, status=400)


@require_POST
@for_party
def remove_picture(request: HttpRequest, actor: Actor, public_id: UUID) -> HttpResponse:
    """Delete a stored picture; its hashes stay with the claim."""
    upload = access_upload(actor, public_id, scope="claims:write")
    delete_upload(acting=actor, upload=upload)
    messages.success(request, _("%(name)s is deleted here.") % {"name": upload.name})
    return redirect("portal:claim-pictures", public_id=upload.claim.public_id)


def _form(request: HttpRequest, form: PicturesForm, status: int = 200) -> HttpResponse:
    return render(request, "portal/pictures_new.html", {"section": "register", "form": form}, status=status)


def _refused(request: HttpRequest, form: PicturesForm, error: RegistryError) -> HttpResponse:
    add_refusal(form, error)
    return _form(request, form, status=error.status)


def _watch(request: HttpRequest, claim: Claim, count: int) -> HttpResponse:
    sentence = ngettext(
        "%(count)d picture arrived. It is being hashed.",
        "%(count)d pictures arrived. They are being hashed.",
        count,
    )
    messages.success(request, sentence % {"count": count})
    address = reverse("portal:claim-pictures", args=[claim.public_id])
    return redirect(f"{address}?watch=1")


def _pictures(request: HttpRequest, claim: Claim, form: MorePicturesForm, status: int = 200) -> HttpResponse:
    counts = picture_counts([claim])[claim.pk]
    page = Paginator(claim.uploads.in_order(), PAGE).get_page(request.GET.get("page"))
    watching = bool(counts.waiting) and "watch" in request.GET
    context = {
        "section": "claims",
        "claim": claim,
        "card": ClaimCard(claim, most=1),
        "counts": counts,
        "page": page,
        "pictures": [PictureCard(upload) for upload in page],
        "form": form,
        "watching": watching,
        "again": AGAIN,
    }
    response = render(request, "portal/pictures.html", context, status=status)
    if watching:
        response["Refresh"] = str(AGAIN)
    return response
