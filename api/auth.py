"""Who asks: API keys in the Authorization header, and the scopes that each view wants."""

from collections.abc import Mapping
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from api.problems import Problem
from api.request_ids import request_id_of
from registry.actor import Actor
from registry.errors import Unauthenticated
from registry.services.keys import authenticate

__all__ = ["HasScope", "KeyAuthentication"]

# `API <key>` is how Spawning's clients send theirs.
SCHEMES = frozenset({"bearer", "api"})
CHALLENGE = 'Bearer realm="optout"'


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer opt_…`; the actor behind the key becomes `request.auth`."""

    def authenticate(self, request: Request) -> tuple[None, Actor] | None:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() not in SCHEMES:
            raise AuthenticationFailed(f"Send the key as `Authorization: Bearer …`, not {scheme[:20]!r}.")
        try:
            return None, authenticate(secret.strip(), request_id=request_id_of(request))
        except Unauthenticated as exc:
            raise AuthenticationFailed(exc.detail, exc.code) from None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class HasScope(BasePermission):
    """Lets a request through when its key has the scope that the view names for the method.

    A view has `scopes: {method: scope}`; a method with the scope None takes any valid key, a view with
    `anonymous = True` also takes requests without one.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.auth is None:
            if getattr(view, "anonymous", False):
                return True
            raise NotAuthenticated("This needs an API key: `Authorization: Bearer opt_…`.", "key_missing")
        scopes: Mapping[str, str | None] = view.scopes
        # HEAD runs what GET runs.
        scope = scopes.get("GET" if request.method == "HEAD" else str(request.method))
        actor: Any = request.auth
        if scope is not None and not actor.may(scope):
            raise missing_scope(scope)
        return True


def missing_scope(scope: str) -> Problem:
    """The refusal that names the scope a key lacks."""
    challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'
    return Problem(
        403,
        "missing_scope",
        f"This key lacks the scope {scope}.",
        headers={"WWW-Authenticate": challenge},
        scope=scope,
    )
