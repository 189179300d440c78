"""API keys: the list, a new one, revoking."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from registry.access import access_key
from registry.actor import Actor
from registry.errors import RegistryError
from registry.models import ApiKey
from registry.portal.acting import for_party
from registry.portal.forms import KeyForm, add_refusal
from registry.portal.words import SCOPES
from registry.services.keys import create_key, revoke_key

__all__ = ["keys", "new_key", "revoke"]


@require_safe
@for_party
def keys(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The party's keys, newest first."""
    rows = [_row(key) for key in ApiKey.objects.for_party(actor.party).newest_first()]
    return render(request, "portal/keys.html", {"section": "keys", "rows": rows})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_party
def new_key(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Make a key and show its secret, this once."""
    form = KeyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            key, secret = create_key(
                acting=actor, name=data["name"], scopes=data["scopes"], expires_at=form.expires_at
            )
        except RegistryError as error:
            add_refusal(form, error)
        else:
            return render(request, "portal/key_made.html", {"section": "keys", "secret": secret, **_row(key)})
    context = {"section": "keys", "form": form}
    return render(request, "portal/key_new.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_party
def revoke(request: HttpRequest, actor: Actor, public_id: UUID) -> HttpResponse:
    """Ask once more, then revoke."""
    key = access_key(actor, public_id)
    if request.method != "POST":
        return render(request, "portal/key_revoke.html", {"section": "keys", **_row(key)})
    revoke_key(acting=actor, key=key)
    messages.success(request, _("The key is revoked. It stops working within seconds."))
    return redirect("portal:keys")


def _row(key: ApiKey) -> dict[str, object]:
    has_expired = key.expires_at is not None and key.expires_at <= timezone.now()
    return {"key": key, "scopes": [SCOPES[scope] for scope in key.scopes], "has_expired": has_expired}
