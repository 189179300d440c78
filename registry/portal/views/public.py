"""Pages for everybody."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from optout.locators import InvalidLocator
from optout.words import Use
from registry.errors import Unavailable
from registry.portal.lookup import explain_invalid, look_up
from registry.portal.words import GRADES, OUTCOMES, USES

__all__ = ["home", "how_it_works", "lookup", "privacy"]

DEFAULT_USE = Use.AI_TRAIN_GENERATIVE


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
    try:
        answer = look_up(asked, use)
    except InvalidLocator as error:
        return render(
            request, "portal/lookup.html", {**context, "problem": explain_invalid(error)}, status=400
        )
    except Unavailable:
        problem = _("The registry cannot answer right now. Please try again in a minute.")
        return render(request, "portal/lookup.html", {**context, "away": problem}, status=503)
    return render(request, "portal/lookup.html", {**context, "answer": answer})


@require_safe
def how_it_works(request: HttpRequest) -> HttpResponse:
    """The idea, the words, the grades."""
    outcomes = {outcome.label: wording for outcome, wording in OUTCOMES.items()}
    return render(request, "portal/how_it_works.html", {"uses": USES, "outcomes": outcomes, "grades": GRADES})


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """What is kept about people, and what is public."""
    return render(request, "portal/privacy.html")


def _use(label: str) -> Use:
    """The use called `label`; an unknown one is answered like the default, which the page names."""
    try:
        return Use.parse(label)
    except ValueError:
        return DEFAULT_USE
