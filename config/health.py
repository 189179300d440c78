"""Is the process alive, and can it do its work?"""

from django.core.cache import cache
from django.db import connection
from django.db.utils import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

__all__ = ["show_alive", "show_ready"]


@never_cache
@require_safe
def show_alive(request: HttpRequest) -> JsonResponse:
    """200 whenever the process answers at all."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def show_ready(request: HttpRequest) -> JsonResponse:
    """200 when PostgreSQL and Valkey answer, else 503 naming what does not.

    A process that is not ready still answers lookups from the snapshot it has.
    """
    parts = {"database": _database_answers(), "valkey": _valkey_answers()}
    words = {name: "ok" if answers else "away" for name, answers in parts.items()}
    return JsonResponse(words, status=200 if all(parts.values()) else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _valkey_answers() -> bool:
    try:
        cache.get("ready")
    except RedisError:
        return False
    return True
