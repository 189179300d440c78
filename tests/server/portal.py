"""Helpers for the tests of the portal."""

import re
from html import unescape
from typing import Any
from uuid import uuid4

from django.http import HttpResponse
from django.test import Client

from registry.actor import Actor

__all__ = ["form_data", "signed_in", "text_of"]


def signed_in(actor: Actor) -> Client:
    """A browser in which the actor's user has signed in."""
    client = Client()
    assert actor.user is not None
    client.force_login(actor.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def text_of(response: HttpResponse | Any) -> str:
    """The page's text as it is read, without tags and with single spaces."""
    body = re.sub(r"<(head|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body.replace("<wbr>", ""))).split())


def form_data(step: str = "preview", **fields: Any) -> dict[str, Any]:
    """What the opt-out form sends."""
    return {"step": step, "decision": "deny", "uses": ["ai-train"], "token": str(uuid4()), **fields}
