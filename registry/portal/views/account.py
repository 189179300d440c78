"""Who you are: the first visit's questions, the account page."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from registry.actor import Actor
from registry.errors import RegistryError
from registry.models import Party, User
from registry.portal.acting import for_party
from registry.portal.forms import PartyForm, add_refusal
from registry.services.parties import create_party

__all__ = ["account", "welcome"]


@require_safe
@for_party
def account(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The party as the public sees it, and the address you sign in with."""
    return render(request, "portal/account.html", {"section": "account", "party": actor.party})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def welcome(request: HttpRequest) -> HttpResponse:
    """Make the party at the first visit; afterwards go on to the claims."""
    user = request.user
    if not isinstance(user, User) or Party.objects.of_user(user).exists():
        return redirect("portal:claims")
    form = PartyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _create(user, form):
        messages.success(request, _("Welcome. Everything is ready for your first opt-out."))
        return redirect("portal:register")
    return render(
        request, "portal/welcome.html", {"form": form, "newcomer": True}, status=400 if form.errors else 200
    )


def _create(user: User, form: PartyForm) -> bool:
    data = form.cleaned_data
    try:
        create_party(user, data["kind"], data["display_name"], handle=data["handle"] or None)
    except RegistryError as error:
        if error.code == "handle_taken":
            form.add_error("handle", _("Somebody already has this handle. Choose another."))
        else:
            add_refusal(form, error)
        return False
    return True
