"""Finding a key by its prefix without PostgreSQL: a few seconds in the process, a minute in Valkey.

Valkey away means PostgreSQL is asked. What is cached is the digest, never the secret.
"""

import base64
import queue
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Q
from django.utils import timezone
from redis.exceptions import RedisError

from registry.errors import Unauthenticated, Unavailable
from registry.models import ApiKey, Party

__all__ = ["clear_local", "find", "forget", "note_use", "refuse_unusable", "unknown_key"]

LOCAL_SECONDS = 3.0
SHARED_SECONDS = 60
VALKEY_PAUSE_SECONDS = 2.0
USE_SECONDS = 60.0
_MOST_LOCAL = 10_000
_PREFIX = re.compile(r"[a-z0-9]{8}")
_REVOKED = "revoked"

_local: dict[str, tuple[float, ApiKey | None]] = {}
_valkey_back_at = 0.0
_noted: dict[str, float] = {}
_uses: "queue.Queue[int]" = queue.Queue(maxsize=1000)
_writer: threading.Thread | None = None
_writer_lock = threading.Lock()


def unknown_key() -> Unauthenticated:
    """The answer to a secret that nobody has."""
    return Unauthenticated("This key is not known.", code="unknown_key")


def refuse_unusable(key: ApiKey) -> None:
    """Raise Unauthenticated when `key` was revoked or has expired."""
    if key.revoked_at is not None:
        raise Unauthenticated("This key was revoked.", code="revoked_key")
    if not key.is_usable():
        raise Unauthenticated("This key has expired.", code="expired_key")


def find(prefix: str) -> ApiKey | None:
    """The key with this prefix, with its party, from the nearest place that knows it; None: there is none.

    Raises:
        Unavailable: no place could be asked.
    """
    if not _PREFIX.fullmatch(prefix):
        return None
    until, key = _local.get(prefix, (0.0, None))
    if time.monotonic() < until:
        return key
    key = _from_valkey(prefix) or _from_database(prefix)
    if len(_local) >= _MOST_LOCAL:
        _local.clear()
    _local[prefix] = (time.monotonic() + LOCAL_SECONDS, key)
    return key


def forget(prefix: str) -> None:
    """Make every process ask the database again; other processes notice within a few seconds.

    A mark is left rather than nothing, so that a process that read the key just before cannot put it back.
    """
    _local.pop(prefix, None)
    _on_valkey("set", _name(prefix), _REVOKED, SHARED_SECONDS)


def clear_local() -> None:
    """Forget what this process holds (after a fork, and in tests)."""
    _local.clear()
    _noted.clear()


def note_use(key: ApiKey) -> None:
    """Note that the key was used, at most once a minute, without waiting for anything."""
    now = time.monotonic()
    if now - _noted.get(key.prefix, -USE_SECONDS) < USE_SECONDS:
        return
    if len(_noted) >= _MOST_LOCAL:
        _noted.clear()
    _noted[key.prefix] = now
    try:
        _uses.put_nowait(key.pk)
    except queue.Full:
        return
    _start_writer()


def _name(prefix: str) -> str:
    return f"key:{prefix}"


def _on_valkey(method: str, *arguments: Any) -> Any:
    """Ask Valkey; None when it is away, and then it is left alone for a moment."""
    global _valkey_back_at
    if time.monotonic() < _valkey_back_at:
        return None
    try:
        return getattr(cache, method)(*arguments)
    except (RedisError, OSError):
        _valkey_back_at = time.monotonic() + VALKEY_PAUSE_SECONDS
        return None


def _from_valkey(prefix: str) -> ApiKey | None:
    held = _on_valkey("get", _name(prefix))
    return _unpacked(held) if isinstance(held, dict) else None


def _from_database(prefix: str) -> ApiKey | None:
    try:
        key = ApiKey.objects.select_related("party").filter(prefix=prefix).first()
    except (DatabaseError, InterfaceError) as error:
        raise Unavailable("Keys cannot be checked right now.") from error
    if key is not None and key.is_usable():
        _on_valkey("add", _name(prefix), _packed(key), SHARED_SECONDS)
    return key


def _packed(key: ApiKey) -> dict[str, Any]:
    party = key.party
    return {
        "key": [
            key.pk,
            str(key.public_id),
            key.prefix,
            base64.b64encode(bytes(key.digest)).decode(),
            key.name,
        ],
        "scopes": list(key.scopes),
        "expires_at": key.expires_at.timestamp() if key.expires_at else None,
        "party": [party.pk, str(party.public_id), party.kind, party.handle, party.display_name],
    }


def _unpacked(held: dict[str, Any]) -> ApiKey:
    party_pk, party_id, kind, handle, display_name = held["party"]
    pk, public_id, prefix, digest, name = held["key"]
    expires = held["expires_at"]
    party = Party(pk=party_pk, public_id=UUID(party_id), kind=kind, handle=handle, display_name=display_name)
    return ApiKey(
        pk=pk,
        public_id=UUID(public_id),
        party=party,
        prefix=prefix,
        digest=base64.b64decode(digest),
        name=name,
        scopes=held["scopes"],
        expires_at=datetime.fromtimestamp(expires, UTC) if expires is not None else None,
    )


def _start_writer() -> None:
    """Start the thread that writes uses down, unless it runs; a fork does not carry threads along."""
    global _writer
    with _writer_lock:
        if _writer is None or not _writer.is_alive():
            _writer = threading.Thread(target=_write_uses, name="key-uses", daemon=True)
            _writer.start()


def _write_uses() -> None:
    """Write what is queued, then end; a database that is away loses a note, nothing more."""
    try:
        while True:
            try:
                pk = _uses.get(timeout=0.2)
            except queue.Empty:
                return
            _write_use(pk)
    finally:
        connection.close()


def _write_use(pk: int) -> None:
    now = timezone.now()
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - timedelta(seconds=USE_SECONDS))
    try:
        ApiKey.objects.filter(stale, pk=pk).update(last_used_at=now)
    except (DatabaseError, InterfaceError):
        connection.close()
