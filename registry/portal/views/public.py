"""Pages for everybody."""

from math import ceil

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from optout.errors import BadInput
from optout.locators import InvalidLocator
from optout.words import Use
from registry.errors import Unavailable
from registry.pictures import explain_bad_picture
from registry.portal.lines import explain_invalid
from registry.portal.lookup import look_up, look_up_picture
from registry.portal.picture_forms import PictureLookupForm
from registry.portal.words import GRADES, OUTCOMES, USES
from registry.rates import client_address, take

__all__ = ["home", "how_it_works", "lookup", "lookup_picture", "privacy"]

DEFAULT_USE = Use.AI_TRAIN_GENERATIVE
_AWAY = _("The registry cannot answer right now. Please try again in a minute.")


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What this is, and the one question."""
    return render(request, "portal/home.html")


@require_safe
def lookup(request: HttpRequest) -> HttpResponse:
    """What the registry says about `url` for `use`."""
    asked = request.GET.get("url", "").strip()
    use = _use(request.GET.get("use", ""))
    context = {"asked": asked, "use": use, "uses": USES}
    if "url" not in request.GET:
        return render(request, "portal/lookup.html", context)
    if wait := _wait(request, "lookup"):
        return _later(render(request, "portal/lookup.html", {**context, "wait": wait}, status=429), wait)
    try:
        answer = look_up(asked, use)
    except InvalidLocator as error:
        return render(
            request, "portal/lookup.html", {**context, "problem": explain_invalid(error)}, status=400
        )
    except Unavailable:
        return render(request, "portal/lookup.html", {**context, "away": _AWAY}, status=503)
    return render(request, "portal/lookup.html", {**context, "answer": answer})


@require_http_methods(["GET", "HEAD", "POST"])
def lookup_picture(request: HttpRequest) -> HttpResponse:
    """What the registry says about a picture, which is hashed in memory and not kept."""
    if request.method != "POST":
        return _picture_page(request, PictureLookupForm())
    if wait := _wait(request, "lookup-picture"):
        return _later(_picture_page(request, PictureLookupForm(), status=429, wait=wait), wait)
    form = PictureLookupForm(request.POST, request.FILES)
    if not form.is_valid():
        return _picture_page(request, form, status=400)
    file = form.cleaned_data["picture"]
    try:
        answer = look_up_picture(file, file.name, DEFAULT_USE)
    except BadInput as error:
        form.add_error("picture", explain_bad_picture(error.code))
        return _picture_page(request, form, status=400)
    except Unavailable:
        return _picture_page(request, form, status=503, away=_AWAY)
    return _picture_page(request, PictureLookupForm(), answer=answer)


@require_safe
def how_it_works(request: HttpRequest) -> HttpResponse:
    """The idea, the words, the grades."""
    outcomes = {outcome.label: wording for outcome, wording in OUTCOMES.items()}
    return render(request, "portal/how_it_works.html", {"uses": USES, "outcomes": outcomes, "grades": GRADES})


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """What is kept about people, and what is public."""
    return render(request, "portal/privacy.html")


def _picture_page(
    request: HttpRequest, form: PictureLookupForm, *, status: int = 200, **context: object
) -> HttpResponse:
    return render(request, "portal/lookup_picture.html", {"form": form, **context}, status=status)


def _wait(request: HttpRequest, bucket: str) -> int:
    """Whole seconds until whoever asks may ask again; 0: it is her turn, and this was it."""
    return ceil(take(bucket, client_address(request)))


def _later(response: HttpResponse, wait: int) -> HttpResponse:
    response["Retry-After"] = str(wait)
    return response


def _use(label: str) -> Use:
    """The use called `label`; an unknown one is answered like the default, which the page names."""
    try:
        return Use.parse(label)
    except ValueError:
        return DEFAULT_USE
