"""The key that signs snapshots, and those that they may be signed with."""

from pathlib import Path

from django.conf import settings

from optout.errors import UsageError
from optout.keys import PUBLIC_NAME, PrivateKey, PublicKey, load_private, load_public

__all__ = ["signing_key", "trusted_keys"]


def signing_key() -> PrivateKey:
    """The key that this process signs with.

    Raises:
        UsageError: it has none (`missing_key`).
        BadInput: the file is missing (`missing_key`) or holds none (`bad_key`).
    """
    return load_private(_signing_file())


def trusted_keys() -> list[PublicKey]:
    """The keys of `OPTOUT_TRUSTED_KEYS`, else the public half of the signing key.

    The half that lies beside the signing key is taken first: who only answers need not be able to read the
    private one.

    Raises:
        BadInput: a key is missing (`missing_key`) or is none (`bad_key`).
    """
    if settings.OPTOUT_TRUSTED_KEYS:
        return [load_public(path) for path in settings.OPTOUT_TRUSTED_KEYS]
    private = _signing_file()
    public = private.with_name(PUBLIC_NAME)
    return [load_public(public) if public.is_file() else load_private(private).public]


def _signing_file() -> Path:
    if settings.OPTOUT_SIGNING_KEY is None:
        raise UsageError("Set OPTOUT_SIGNING_KEY: who builds snapshots signs them.", code="missing_key")
    return settings.OPTOUT_SIGNING_KEY
