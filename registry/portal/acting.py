"""Who acts in the portal: the party of the signed-in user."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.cache import patch_cache_control

from registry.actor import Actor
from registry.errors import NotFound
from registry.models import Party, User

__all__ = ["for_party"]


def for_party(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Call the view with the signed-in user's actor; who has no party yet is asked for a name first.

    Another's thing is answered like one that does not exist: 404.
    """

    @wraps(view)
    @login_required
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        actor = _actor(request.user)
        if actor is None:
            return redirect("portal:welcome")
        try:
            response = view(request, actor, *args, **kwargs)
        except NotFound as error:
            raise Http404(error.detail) from error
        patch_cache_control(response, private=True)
        return response

    return wrapped


def _actor(user: Any) -> Actor | None:
    party = Party.objects.of_user(user).first() if isinstance(user, User) else None
    if party is None:
        return None
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    return Actor(party=party, user=user, request_id=request_id, application="portal")
