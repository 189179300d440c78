"""API keys: making, revoking, and telling who a secret belongs to."""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry.actor import Actor
from registry.errors import InvalidInput, NotFound
from registry.models import ApiKey, Scope
from registry.services import key_cache

__all__ = ["authenticate", "create_key", "revoke_key"]

_ALPHABET = string.ascii_lowercase + string.digits


def create_key(
    *, acting: Actor, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key of the acting party, and its secret, which is never seen again.

    Raises:
        InvalidInput: no name, no or unknown scopes, an expiry in the past.
    """
    wanted = sorted(set(scopes))
    problems: dict[str, list[str]] = {}
    if not name.strip() or len(name) > 100:
        problems["name"] = ["Give a name of at most 100 characters."]
    if not wanted or not set(wanted) <= set(Scope.values):
        problems["scopes"] = [f"Choose from {', '.join(Scope.values)}."]
    if expires_at is not None and expires_at <= timezone.now():
        problems["expires_at"] = ["Choose a time in the future."]
    if problems:
        raise InvalidInput(problems)
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    secret = f"opt_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        party=acting.party,
        name=name.strip(),
        prefix=prefix,
        digest=digest_of(secret),
        scopes=wanted,
        created_by=acting.user,
        expires_at=expires_at,
    )
    return key, secret


def digest_of(secret: str) -> bytes:
    """The keyed digest (32 bytes) under which a secret is stored."""
    return hmac.digest(
        settings.OPTOUT_KEY_PEPPER.encode(), secret.encode("utf-8", "surrogatepass"), hashlib.sha256
    )


def revoke_key(*, acting: Actor, key: ApiKey) -> ApiKey:
    """Make a key of the acting party useless, within seconds everywhere; revoking again changes nothing.

    Raises:
        NotFound: the key is another's.
    """
    if key.party_id != acting.party.pk:
        raise NotFound("There is no such key.")
    return revoke_as_operator(key=key)


def revoke_as_operator(*, key: ApiKey) -> ApiKey:
    """Make any party's key useless, within seconds everywhere; revoking again changes nothing."""
    with transaction.atomic():
        current = ApiKey.objects.select_for_update().get(pk=key.pk)
        if current.revoked_at is None:
            current.revoked_at = timezone.now()
            current.save(update_fields=["revoked_at"])
        transaction.on_commit(lambda: key_cache.forget(current.prefix))
    return current


def authenticate(secret: str, *, request_id: str = "", application: str = "api") -> Actor:
    """Who the secret belongs to.

    Raises:
        Unauthenticated: codes `unknown_key`, `expired_key`, `revoked_key`.
        Unavailable: neither Valkey nor PostgreSQL can say.
    """
    parts = secret.split("_", 2)
    prefix = parts[1] if len(parts) == 3 and parts[0] == "opt" else ""
    key = key_cache.find(prefix)
    # The digest is computed for unknown prefixes too: the time taken tells nothing.
    held = bytes(key.digest) if key is not None else bytes(32)
    if not hmac.compare_digest(held, digest_of(secret)) or key is None:
        raise key_cache.unknown_key()
    key_cache.refuse_unusable(key)
    key_cache.note_use(key)
    return Actor(party=key.party, key=key, request_id=request_id, application=application)
